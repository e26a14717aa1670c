"""The degrader of real LR images: their blur kernels, their noise, their JPEG compression.

Aakerberg et al. 2021, "Real-World Super-Resolution of Face-Images from Surveillance Cameras",
eq. 2: I_LR = (I_HR * k)↓s + n + c, with k and n drawn from pools that were estimated from the LR
images alone (eqs. 3 and 7).
"""

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field, ValidationError
from torch import Tensor

from redeg_cli.degrade.base import Record, Seed, Step, check_batch
from redeg_cli.degrade.blur import filter2d
from redeg_cli.degrade.jpeg import Jpeg, jpeg
from redeg_cli.degrade.kernel_pool import KernelPool
from redeg_cli.degrade.noise_pool import NoisePool
from redeg_cli.device import map_single_threaded
from redeg_cli.errors import RecipeError
from redeg_cli.seeds import numpy_generator, sample_seed
from redeg_cli.validation import explain

NAME = "kernel-noise"
PUBLISHED_CHANCE = 0.9
"""How often an image is compressed by a quality that is given (section 4)."""
JpegChoice = int | Literal["auto", "none"]
"""auto: as one of the noise pool's source images was; a quality: with the published chance."""


class _Noise(Step):
    patch: int = Field(ge=0)
    seed: Seed


class _Parts(Step):
    """A record of this degrader."""

    degrader: Literal["kernel-noise"]
    scale: int
    kernel: int = Field(ge=0)
    noise: _Noise
    jpeg: Jpeg | None


class KernelNoiseDegrader:
    """Draws a kernel, a patch of noise and a compression. See ``Degrader``.

    The record names rows of the pools, so they must be kept to replay it.
    """

    def __init__(
        self, kernels: KernelPool, noise: NoisePool, scale: int, jpeg: JpegChoice = "auto"
    ) -> None:
        """Raises InputError for a scale that the kernels say nothing of."""
        self.kernels = kernels
        self.noise = noise
        self.scale = scale
        self.jpeg = jpeg
        self._table = torch.from_numpy(kernels.at_scale(scale))

    def draw(self, seed: int) -> Record:
        """Return rows of both pools, and how to compress. Pure."""
        rng = numpy_generator(seed)
        kernel, patch = int(rng.integers(len(self.kernels))), int(rng.integers(len(self.noise)))
        traits = self.noise.sources[int(rng.integers(len(self.noise.sources)))].jpeg
        compressed = rng.random() < PUBLISHED_CHANCE
        jpeg: Record | None = None
        if self.jpeg == "auto" and traits.quality is not None:
            jpeg = {"quality": traits.quality, "subsample": traits.subsample}
        elif isinstance(self.jpeg, int) and compressed:
            jpeg = {"quality": float(self.jpeg), "subsample": True}
        noise = {"patch": patch, "seed": sample_seed(seed, "noise")}
        head = {"degrader": NAME, "scale": self.scale}
        return {**head, "kernel": kernel, "noise": noise, "jpeg": jpeg}

    def apply(self, hq: Tensor, records: Sequence[Record]) -> Tensor:
        """See ``Degrader.apply``. Raises RecipeError for a record that is none of these pools."""
        check_batch(hq, records, self.scale)
        parts = [self._read(record, place) for place, record in enumerate(records)]
        if hq.device.type != "cpu":
            with torch.autocast(hq.device.type, enabled=False):
                return self._apply(hq.float(), parts)
        # One image at a time: the others of the batch have no part in its last digit.
        made = map_single_threaded(
            lambda row: self._apply(hq[row : row + 1], parts[row : row + 1]),
            range(len(parts)),
            several=hq.shape[2] * hq.shape[3] >= 160 * 160,
        )
        return torch.cat(made)

    def _apply(self, hq: Tensor, parts: Sequence[_Parts]) -> Tensor:
        s = self.scale
        kernels = self._table[[part.kernel for part in parts]].to(hq.device)
        lq = filter2d(hq, kernels)[:, :, ::s, ::s].clamp(0, 1)
        height, width = lq.shape[2:]
        noise = [
            self.noise.noise(part.noise.patch, part.noise.seed, height, width) for part in parts
        ]
        lq = (lq + torch.stack(noise).to(lq)).clamp(0, 1)
        rows = [row for row, part in enumerate(parts) if part.jpeg is not None]
        if rows:
            steps = [part.jpeg for part in parts if part.jpeg is not None]
            quality = torch.tensor([step.quality for step in steps])
            subsample = torch.tensor([step.subsample for step in steps])
            lq[rows] = jpeg(lq[rows], quality, subsample)
        return lq

    def _read(self, record: Record, place: int) -> _Parts:
        try:
            parts = _Parts.model_validate(record)
        except ValidationError as error:
            raise RecipeError(f"record {place}: {explain(error, _Parts)}") from None
        if parts.scale != self.scale:
            raise RecipeError(f"record {place} is one of scale {parts.scale}, not {self.scale}")
        pairs = ((parts.kernel, self.kernels), (parts.noise.patch, self.noise))
        for row, pool in pairs:
            if row >= len(pool):
                raise RecipeError(f"record {place}: there is no row {row} in a pool of {len(pool)}")
        return parts
