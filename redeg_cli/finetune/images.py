"""Sharp images to synthesise from: the user's own, or the photographs that come with the wheels."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from redeg_cli.degrade.tone import to_gray
from redeg_cli.errors import InputError, RedegError
from redeg_cli.io.images import read_rgb, to_tensor
from redeg_cli.io.listing import list_images
from redeg_cli.progress import OnProgress, no_progress
from redeg_cli.train.data import ImageStore

# Photographs, sharp and in colour, that scikit-image and scikit-learn install with themselves.
_SCIKIT_IMAGE = (
    "astronaut.png",
    "chelsea.png",
    "coffee.png",
    "motorcycle_left.png",
    "rocket.jpg",
    "hubble_deep_field.jpg",
)
_SCIKIT_LEARN = ("china.jpg", "flower.jpg")

LARGEST = 2048
"""Longer sides are shrunk to this: more pixels only cost memory."""
MOST_FILES = 400
MOST_BYTES = 512 << 20
"""Of images as they are held. Of a folder with more, those evenly spread over it are read."""


def embedded_files() -> list[Path]:
    """Return the paths of the embedded HQ photographs. Raises RedegError when none is there."""
    import skimage
    import sklearn

    folders = (
        (Path(skimage.__file__).parent / "data", _SCIKIT_IMAGE),
        (Path(sklearn.__file__).parent / "datasets" / "images", _SCIKIT_LEARN),
    )
    files = [folder / name for folder, names in folders for name in names]
    there = [path for path in files if path.is_file()]
    if not there:
        raise RedegError(
            "the photographs of scikit-image and scikit-learn are not installed: give your own "
            "sharp photographs with --hq-dir"
        )
    return there


def load_hq(
    folder: Path | None, minimum: int, on_progress: OnProgress = no_progress
) -> tuple[list[Tensor], str]:
    """Return the HQ images, (3, H, W) uint8, and how many are from where.

    Of a folder with more than ``MOST_FILES`` or ``MOST_BYTES`` those are read that are evenly
    spread over it, the same ones each time. What cannot be read and images whose shorter side is
    under ``minimum`` px are left out and told; InputError when none is left.
    """
    if folder is None:
        paths: Sequence[Path] = embedded_files()
        source = "embedded photographs (your own sharp ones, --hq-dir, are better)"
    else:
        paths = [file.path for file in list_images([folder])]
        source = f"images of {folder}"
    there = len(paths)
    paths = paths[:: max(1, math.ceil(there / MOST_FILES))]
    images: dict[int, Tensor] = {}
    small, unread, size = 0, [], 0
    # Numbers by their bits read backwards: wherever it stops, what was read is evenly spread.
    for done, index in enumerate(sorted(range(len(paths)), key=lambda i: f"{i:032b}"[::-1])):
        if size >= MOST_BYTES:
            break
        on_progress(max(done * MOST_BYTES, size * len(paths)), len(paths) * MOST_BYTES)
        try:
            image = _read(paths[index])
        except InputError as error:
            unread.append(str(error))
            continue
        if min(image.shape[1:]) < minimum:
            small += 1
            continue
        images[index] = image
        size += image.numel()
    if not images:
        others = f" ({len(unread)} could not be read: {unread[0]})" if unread else ""
        raise InputError(
            f"{folder} has no image of at least {minimum} px on its shorter side{others}: "
            "--hq-dir wants sharp photographs"
        )
    if there > len(images) + small + len(unread):
        source += f", evenly spread over its {there}"
    if small:
        source += f"; {small} under {minimum} px left out"
    if unread:
        source += f"; {len(unread)} could not be read and left out: {unread[0]}"
        source += ", ..." if len(unread) > 1 else ""
    return [images[index] for index in sorted(images)], f"{len(images)} {source}"


def _read(path: Path) -> Tensor:
    """Return an image (3, H, W) uint8, its longer side ``LARGEST`` px at most."""
    image = to_tensor(read_rgb(path, LARGEST))
    if max(image.shape[2:]) > LARGEST:
        factor = LARGEST / max(image.shape[2:])
        image = F.interpolate(image, scale_factor=factor, mode="bicubic", antialias=True)
    return _to_bytes(image)


def toned_store(
    images: Sequence[Tensor], tone: tuple[np.ndarray, np.ndarray], gray: bool
) -> ImageStore:
    """Bring HQ images (3, H, W) uint8 into the photo's tone range, in place, and return them all.

    ``tone`` is the photo's (black, white) as RGB in [0, 1]: a faded print is restored as a faded
    picture, so what it is trained on has the same range; ``gray`` makes them gray.
    """
    black, white = (torch.from_numpy(v.astype(np.float32)).view(1, 3, 1, 1) for v in tone)
    levels = torch.arange(256.0).expand(1, 3, 1, 256) / 255
    table = _to_bytes(black + (white - black) * levels)[:, 0].numpy()
    for image in images:
        if gray:
            values = to_gray(image[None].float() / 255)
            image.copy_(_to_bytes(black + (white - black) * values))
            continue
        for channel, toned in zip(image.numpy(), table, strict=True):
            channel[:] = toned[channel]
    return ImageStore([list(images)], [1.0])


def _to_bytes(image: Tensor) -> Tensor:
    return (image[0].clamp(0, 1) * 255).round().to(torch.uint8)


def tone_range(rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the (black, white) point per channel of a photo (H, W, 3): its 0.5 and 99.5 %.

    Taken from the photo averaged over about 1/64 of its size, so that dots and grain do not count.
    """
    cell = max(1, min(rgb.shape[:2]) // 64)
    pooled = F.avg_pool2d(to_tensor(rgb), cell)[0].flatten(1)
    low = torch.quantile(pooled, 0.005, dim=1).numpy()
    high = torch.quantile(pooled, 0.995, dim=1).numpy()
    high = np.maximum(high, low + 0.2)
    return low.clip(0, 1), high.clip(0, 1)
