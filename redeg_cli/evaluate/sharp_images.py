"""The sharp images that transfer is measured with: decoded once, cropped from seeds."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from redeg_cli.errors import InputError
from redeg_cli.io.images import read_rgb
from redeg_cli.io.listing import ImageFile, list_images
from redeg_cli.progress import OnProgress, no_progress
from redeg_cli.train.data import ImageStore

_SHRINK = (0.5, 1.0)
"""Crops are shrunk by a factor of this range first, as in training: sharp at every pixel."""


@dataclass(frozen=True)
class SharpImages:
    """The images of one folder."""

    folder: Path
    images: tuple[Tensor, ...]
    """uint8 (3, H, W), in the order of their names."""
    small: tuple[str, ...]
    """Names of those left out because they are smaller than a crop."""
    failed: tuple[tuple[str, str], ...]
    """(name, message) of those that cannot be read."""

    def crops(self, seeds: Sequence[int], side: int, device: torch.device) -> Tensor:
        """Return a random crop (B, 3, side, side) in [0, 1] for each seed."""
        store = ImageStore([self.images], [1.0])
        return torch.stack([store.crop(seed, side, _SHRINK) for seed in seeds]).to(device)

    def large(self, index: int, side: int) -> Tensor:
        """Return a picture (1, 3, side, side) in [0, 1]: an image, mirrored as often as needed."""
        image = self.images[index % len(self.images)]
        for axis in (1, 2):
            whole = torch.cat([image, image.flip(axis)], axis)
            places = torch.arange(side) % whole.shape[axis]
            image = whole.index_select(axis, places)
        return image[None].float() / 255


def read_sharp_images(
    folder: Path, least: int, on_progress: OnProgress = no_progress
) -> SharpImages:
    """Decode the images of a folder and of its sub-folders, several at a time.

    Raises InputError when the folder does not exist, is none or holds no readable image whose
    shorter side has at least ``least`` pixels.
    """
    if folder.is_file():
        raise InputError(f"{folder} is a file, not a folder: give a folder of sharp images")
    files = list_images([folder])
    images: list[Tensor] = []
    small: list[str] = []
    failed: list[tuple[str, str]] = []
    with ThreadPoolExecutor() as pool:
        for done, (file, found) in enumerate(zip(files, pool.map(_read, files), strict=True), 1):
            if isinstance(found, str):
                failed.append((file.name, found))
            elif min(found.shape[1:]) < least:
                small.append(file.name)
            else:
                images.append(found)
            on_progress(done, len(files), f"reading {folder.name}")
    if not images:
        why = f"{len(small)} are smaller than {least} px, {len(failed)} cannot be read"
        raise InputError(
            f"{folder}: none of its {len(files)} images can be used ({why}): "
            "give larger images or a smaller crop"
        )
    return SharpImages(folder, tuple(images), tuple(small), tuple(failed))


def _read(file: ImageFile) -> Tensor | str:
    try:
        rgb = read_rgb(file.path)
    except InputError as error:
        return str(error)
    pixels = torch.from_numpy((rgb * 255).round().astype(np.uint8))
    return pixels.permute(2, 0, 1).contiguous()
