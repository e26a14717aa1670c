"""Sharp images to synthesise from: the user's own, or the photographs that come with the wheels."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from redeg_cli.degrade.tone import to_gray
from redeg_cli.errors import InputError, RedegError
from redeg_cli.io.images import read_rgb, to_tensor
from redeg_cli.io.listing import list_images
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
"""Of a larger folder, files evenly spread over it are read."""


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
    folder: Path | None,
    minimum: int,
    tone: tuple[np.ndarray, np.ndarray],
    gray: bool,
) -> tuple[ImageStore, str]:
    """Return the HQ images as a store, in the photo's tone range, and how many are from where.

    ``tone`` is the photo's (black, white) as RGB in [0, 1]: a faded print is restored as a faded
    picture, so what it is trained on has the same range; ``gray`` makes them gray. Images
    whose shorter side is under ``minimum`` px are left out; InputError when none is left.
    """
    if folder is None:
        paths: Sequence[Path] = embedded_files()
        source = "embedded photographs (your own sharp ones, --hq-dir, are better)"
    else:
        paths = [file.path for file in list_images([folder])]
        paths = paths[:: max(1, math.ceil(len(paths) / MOST_FILES))]
        source = f"images of {folder}"
    black, white = (torch.from_numpy(v.astype(np.float32)).view(1, 3, 1, 1) for v in tone)
    images: list[torch.Tensor] = []
    for path in paths:
        image = to_tensor(read_rgb(path))
        if max(image.shape[2:]) > LARGEST:
            factor = LARGEST / max(image.shape[2:])
            image = F.interpolate(image, scale_factor=factor, mode="bicubic", antialias=True)
        if min(image.shape[2:]) < minimum:
            continue
        if gray:
            image = to_gray(image)
        image = (black + (white - black) * image).clamp(0, 1)
        images.append((image[0] * 255).round().to(torch.uint8))
    if not images:
        raise InputError(
            f"{folder} has no image of at least {minimum} px on its shorter side: "
            "--hq-dir wants sharp photographs"
        )
    if left_out := len(paths) - len(images):
        source += f"; {left_out} under {minimum} px left out"
    return ImageStore([images], [1.0]), f"{len(images)} {source}"


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
