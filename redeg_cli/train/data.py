"""HQ images for training: decoded once, kept as bytes, cropped and degraded from seeds."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F

from redeg_cli.degrade.tone import to_gray
from redeg_cli.errors import InputError, RecipeError
from redeg_cli.io.images import read_rgb
from redeg_cli.io.listing import list_images
from redeg_cli.progress import OnProgress
from redeg_cli.seeds import numpy_generator
from redeg_cli.train.recipes import DataSource


class ImageStore:
    """Images (3, H, W) uint8 on one device, drawn by source weight."""

    def __init__(self, groups: Sequence[Sequence[torch.Tensor]], weights: Sequence[float]) -> None:
        self.groups = [list(group) for group in groups]
        total = sum(weights)
        self.shares = [weight / total for weight in weights]

    def __len__(self) -> int:
        return sum(len(group) for group in self.groups)

    def pick(self, rng: np.random.Generator) -> torch.Tensor:
        """Return one image, drawn with ``rng``."""
        group = self.groups[int(rng.choice(len(self.groups), p=self.shares))]
        return group[int(rng.integers(len(group)))]

    def crop(
        self, seed: int, size: int, shrink: tuple[float, float] = (1.0, 1.0), gray: float = 0.0
    ) -> torch.Tensor:
        """Return a random crop (3, size, size) in [0, 1]: shrunk, flipped, turned, perhaps gray.

        ``shrink`` is the range of the resizing factor (never below what the crop needs).
        """
        rng = numpy_generator(seed)
        image = self.pick(rng)
        height, width = image.shape[1:]
        factor = min(1.0, max(float(rng.uniform(*shrink)), size / min(height, width)))
        need = min(round(size / factor), height, width)
        top = int(rng.integers(height - need + 1))
        left = int(rng.integers(width - need + 1))
        patch = image[None, :, top : top + need, left : left + need].float() / 255
        if need != size:
            patch = F.interpolate(
                patch, size=(size, size), mode="bicubic", antialias=True, align_corners=False
            ).clamp(0, 1)
        if rng.random() < 0.5:
            patch = patch.flip(3)
        if rng.random() < gray:
            patch = to_gray(patch)
        return patch[0]


def load_store(
    sources: Sequence[DataSource],
    device: torch.device,
    minimum: int,
    progress: OnProgress | None = None,
) -> ImageStore:
    """Decode every image of ``sources`` onto ``device``.

    Images whose shorter side is under ``minimum`` px are left out; a source that leaves none is
    an InputError.
    """
    groups: list[list[torch.Tensor]] = []
    for source in sources:
        files = list_images([source.folder])
        group: list[torch.Tensor] = []
        for index, file in enumerate(files):
            rgb = read_rgb(file.path)
            if source.align_faces:
                aligned = _largest_face(rgb, source.face_size)
                if aligned is None:
                    continue
                rgb = aligned
            if min(rgb.shape[:2]) >= minimum:
                pixels = torch.from_numpy((rgb * 255).round().astype(np.uint8))
                group.append(pixels.permute(2, 0, 1).contiguous().to(device))
            if progress:
                progress(index + 1, len(files), f"reading {source.folder.name}")
        if not group:
            raise InputError(
                f"{source.folder} has no image of at least {minimum} px on its shorter side"
            )
        groups.append(group)
    return ImageStore(groups, [source.weight for source in sources])


def equal_share(count: int, processes: int, key: str) -> int:
    """Return one process's part of ``count`` rows. Raises RecipeError for unequal parts."""
    if count % processes:
        raise RecipeError(f"{key} = {count} cannot be shared by {processes} processes equally")
    return count // processes


def _largest_face(rgb: np.ndarray, size: int) -> np.ndarray | None:
    from redeg_cli.faces.align import align_face
    from redeg_cli.faces.detect import detect_faces

    faces = detect_faces(rgb)
    if not faces:
        return None
    largest = max(faces, key=lambda f: (f.box[2] - f.box[0]) * (f.box[3] - f.box[1]))
    if largest.box[2] - largest.box[0] < size / 8:
        return None
    return align_face(rgb, largest, size)[0]
