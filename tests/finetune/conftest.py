"""Tiny networks of every kind, and pictures with something in them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_models import COMPACT, FACE, REDEGNET

from redeg_cli.finetune.settings import Settings
from redeg_cli.io.images import Photo, read_photo, write_rgb
from redeg_cli.models import load_restorer, save_network
from redeg_cli.nets.compact import CompactF2N
from redeg_cli.nets.face import FaceUNet
from redeg_cli.nets.lite import ReDegNetLite
from redeg_cli.nets.wrap import Restorer

Scene = Callable[..., np.ndarray]


@pytest.fixture
def scene() -> Callable[..., np.ndarray]:
    """Make (H, W, 3) pictures, smooth with edges, well inside [0, 1]."""

    def make(height: int, width: int, seed: int = 0) -> np.ndarray:
        y, x = np.mgrid[:height, :width]
        planes = [
            0.5
            + 0.2 * np.sin(x / (5 + i) + seed)
            + 0.1 * np.cos(y / 7 - i)
            + 0.1 * (x + y > height + 3 * i)
            for i in range(3)
        ]
        return np.stack(planes, 2).clip(0.05, 0.95).astype(np.float32)

    return make


@pytest.fixture
def tiny_restorer(tmp_path: Path) -> Restorer:
    """A compact restorer for x2 that begins as bicubic."""
    torch.manual_seed(0)
    save_network(
        tmp_path / "tiny.safetensors", "f2n-compact", COMPACT, CompactF2N(**COMPACT).state_dict()
    )
    return load_restorer(tmp_path / "tiny.safetensors", 2)


@pytest.fixture
def photo(tmp_path: Path, scene: Scene) -> Photo:
    write_rgb(tmp_path / "old.png", scene(64, 64))
    return read_photo(tmp_path / "old.png")


@pytest.fixture
def settings(tmp_path: Path, scene: Scene) -> Settings:
    torch.manual_seed(0)
    save_network(
        tmp_path / "r.safetensors", "f2n-compact", COMPACT, CompactF2N(**COMPACT).state_dict()
    )
    net = ReDegNetLite(**REDEGNET)
    save_network(tmp_path / "d.safetensors", "redegnet-lite", REDEGNET, net.state_dict())
    save_network(tmp_path / "f.safetensors", "face-restorer", FACE, FaceUNet(**FACE).state_dict())
    sharp = scene(128, 128)[:80, 16:112]
    write_rgb(tmp_path / "hq.png", sharp)
    write_rgb(tmp_path / "lq.png", sharp.reshape(40, 2, 48, 2, 3).mean((1, 3)))
    for index in range(2):
        write_rgb(tmp_path / "hq" / f"{index}.png", scene(112, 112, index))
    return Settings(
        steps=4,
        adapt_steps=2,
        crops=2,
        model=str(tmp_path / "r.safetensors"),
        redegnet=str(tmp_path / "d.safetensors"),
        face_restorer=str(tmp_path / "f.safetensors"),
        hq_dir=tmp_path / "hq",
        face_pair=(tmp_path / "lq.png", tmp_path / "hq.png"),
        device="cpu",
    )
