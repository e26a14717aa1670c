"""Tiny networks, pictures and pools for the commands that work with Ω."""

from pathlib import Path

import cv2
import numpy as np
import torch

from redeg_cli.io.images import write_rgb
from redeg_cli.models import model_fingerprint, save_network
from redeg_cli.nets.face import FaceUNet
from redeg_cli.nets.lite import ReDegNetLite
from redeg_cli.omega.pool import Pool

REDEGNET = {
    "degnet": {"widths": [8, 8]},
    "synnet": {"widths": [8, 8], "style": 8, "kernel": 5, "grain_kernel": 5},
}
FACE = {"fold": 2, "widths": [8, 8], "blocks": [1, 1]}


def save_redegnet(path: Path, seed: int = 0) -> Path:
    torch.manual_seed(seed)
    save_network(path, "redegnet-lite", REDEGNET, ReDegNetLite(**REDEGNET).state_dict())
    return path


def save_face_restorer(path: Path) -> Path:
    """A face restorer that returns the face: its last layer is zero."""
    save_network(path, "face-restorer", FACE, FaceUNet(**FACE).state_dict())
    return path


def save_pool(path: Path, redegnet: Path, count: int = 4, scale: int = 2) -> Path:
    omegas = np.random.default_rng(0).standard_normal((count, 512)).astype(np.float32)
    names = tuple(f"pair {i}" for i in range(count))
    fingerprint = model_fingerprint(redegnet)
    Pool(omegas, names, np.full(count, scale), redegnet.stem, fingerprint).save(path)
    return path


def draw(path: Path, size: tuple[int, int] = (64, 48), seed: int | None = None) -> np.ndarray:
    """Write a smooth picture of ``size`` (width, height); return its pixels (H, W, 3) in [0, 1]."""
    rng = np.random.default_rng(len(path.name) if seed is None else seed)
    coarse = rng.random((6, 8, 3)).astype(np.float32)
    rgb = np.clip(cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC), 0, 1)
    rgb = np.round(rgb * 255) / 255
    write_rgb(path, rgb)
    return rgb


def draw_pair(folder: Path, name: str, scale: int, size: tuple[int, int] = (96, 64)) -> None:
    """Write hq/name and lq/name, the LQ ``scale`` times smaller with some noise."""
    hq = draw(folder / "hq" / name, size).astype(np.float32)
    lq = cv2.resize(hq, (size[0] // scale, size[1] // scale), interpolation=cv2.INTER_AREA)
    noise = np.random.default_rng(len(name)).normal(0, 0.02, lq.shape)
    write_rgb(folder / "lq" / name, np.clip(lq + noise, 0, 1))


def tree(folder: Path) -> dict[str, bytes]:
    """Every file of a folder, hidden ones too, by its relative name."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
