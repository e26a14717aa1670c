"""HQ images for training: decoded once, kept as bytes, cropped and degraded from seeds."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from accelerate import PartialState

from redeg_cli.degrade.tone import to_gray
from redeg_cli.errors import InputError, RecipeError
from redeg_cli.progress import OnProgress, no_progress
from redeg_cli.seeds import numpy_generator, sample_seed
from redeg_cli.train.decoded import images_in_memory, images_on_disk
from redeg_cli.train.recipe_base import DataSource


class ImageStore:
    """Images (3, H, W) uint8, drawn by source weight."""

    def __init__(
        self,
        groups: Sequence[Sequence[torch.Tensor]],
        weights: Sequence[float],
        device: torch.device | None = None,
    ) -> None:
        """``device`` is where crops go; without one they stay where their image is."""
        self.device = device
        self.groups = [list(group) for group in groups]
        total = sum(weights)
        self.shares = [weight / total for weight in weights]

    def on(self, device: torch.device) -> "ImageStore":
        """Return the same images, their crops on ``device``."""
        return ImageStore(self.groups, self.shares, device)

    def __len__(self) -> int:
        return sum(len(group) for group in self.groups)

    def pick(self, rng: np.random.Generator) -> torch.Tensor:
        """Return one image, drawn with ``rng``."""
        group = self.groups[int(rng.choice(len(self.groups), p=self.shares))]
        return group[int(rng.integers(len(group)))]

    def crop(
        self,
        seed: int,
        size: int,
        shrink: tuple[float, float] = (1.0, 1.0),
        gray: float = 0.0,
        warp: float = 0.0,
    ) -> torch.Tensor:
        """Return a random crop (3, size, size) in [0, 1]: warped, shrunk, flipped, perhaps gray.

        ``shrink`` is the range of the resizing factor (never below what the crop needs), ``warp``
        how far places move (``warped``) in half of the images. The draws are independent of a
        degradation's that is drawn by the same seed.
        """
        rng = numpy_generator(sample_seed(seed, "crop"))
        image = self.pick(rng)
        height, width = image.shape[1:]
        factor = min(1.0, max(float(rng.uniform(*shrink)), size / min(height, width)))
        need = min(round(size / factor), height, width)
        top = int(rng.integers(height - need + 1))
        left = int(rng.integers(width - need + 1))
        patch = image[None, :, top : top + need, left : left + need].to(self.device).float() / 255
        if warp and rng.random() < 0.5:
            patch = warped(patch, warp, rng)
        if need != size:
            patch = F.interpolate(
                patch, size=(size, size), mode="bicubic", antialias=True, align_corners=False
            ).clamp(0, 1)
        if rng.random() < 0.5:
            patch = patch.flip(3)
        if rng.random() < gray:
            patch = to_gray(patch)
        return patch[0]


def warped(image: torch.Tensor, strength: float, rng: np.random.Generator) -> torch.Tensor:
    """Return an image (1, 3, H, W) in [0, 1] whose places moved smoothly: a face of another shape.

    ``strength`` is the standard deviation, in parts of the sides, of how far the knots of a grid of
    5 x 5 move; what lies between them moves by their bicubic interpolation. Borders are mirrored.
    """
    if image.device.type == "mps":  # which has no bicubic grid_sample
        return warped(image.cpu(), strength, rng).to(image.device)
    side = image.shape[2:]
    moves = torch.from_numpy(rng.normal(0, 2 * strength, (1, 2, 5, 5)).astype(np.float32))
    field = F.interpolate(
        moves.to(image.device), size=side, mode="bicubic", align_corners=True
    ).permute(0, 2, 3, 1)
    still = F.affine_grid(torch.eye(2, 3, device=image.device)[None], [1, 1, *side], False)
    return F.grid_sample(image, still + field, "bicubic", "reflection", False).clamp(0, 1)


def load_store(
    sources: Sequence[DataSource],
    device: torch.device,
    minimum: int,
    progress: OnProgress | None = None,
    cache: Path | None = None,
    for_workers: bool = False,
) -> ImageStore:
    """Decode every image of ``sources`` onto ``device``, or into files in the folder ``cache``.

    ``for_workers`` they stay in the CPU's memory (``train.workers``). Images whose shorter side is
    under ``minimum`` px are left out; a source that leaves none is an InputError.
    """
    progress = progress or no_progress
    groups: list[list[torch.Tensor]] = []
    for source in sources:
        if cache is None:
            memory = torch.device("cpu") if for_workers else device
            images = images_in_memory(source, memory, progress)
        else:
            with PartialState().main_process_first():  # the others find what it made
                images = images_on_disk(source, cache, progress)
        group = [image for image in images if min(image.shape[1:]) >= minimum]
        if not group:
            raise InputError(
                f"{source.folder} has no image of at least {minimum} px on its shorter side"
            )
        groups.append(group)
    return ImageStore(groups, [source.weight for source in sources], device)


def equal_share(count: int, processes: int, key: str) -> int:
    """Return one process's part of ``count`` rows. Raises RecipeError for unequal parts."""
    if count % processes:
        raise RecipeError(f"{key} = {count} cannot be shared by {processes} processes equally")
    return count // processes
