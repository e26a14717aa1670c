"""SynNet put to work on whole images: noise, tiles, the JPEG stage, both grids."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from redeg_cli.degrade.fields import normal_field
from redeg_cli.degrade.jpeg import jpeg
from redeg_cli.degrade.resize import to_aligned, to_native
from redeg_cli.device import autocast
from redeg_cli.nets.lite import ReDegNetLite
from redeg_cli.omega.lattice import Lattice
from redeg_cli.seeds import sample_seed


class JpegStage(NamedTuple):
    """One JPEG compression of a batch."""

    there: Tensor
    """(B,) bool."""
    quality: Tensor
    """(B,) in 1..100."""
    subsample: Tensor
    """(B,) bool: 4:2:0."""

    def apply(self, images: Tensor) -> Tensor:
        """Compress those of (B, 3, H, W) that have the stage."""
        if not bool(self.there.any()):
            return images
        compressed = jpeg(images, self.quality, self.subsample)
        return torch.where(self.there.to(images.device)[:, None, None, None], compressed, images)


Stages = tuple[JpegStage, JpegStage]
"""JPEG on the HQ grid and on the native grid."""


def jpeg_stages(net: nn.Module, omega: Tensor) -> Stages:
    """Return the JPEG stages on the HQ grid and on the native grid that Ω (B, 512) asks for.

    A network without such stages (the released SynNet makes JPEG itself) gets none.
    """
    if not isinstance(net, ReDegNetLite):
        nothing = torch.zeros(omega.shape[0], dtype=torch.bool)
        stage = JpegStage(nothing, torch.full((omega.shape[0],), 90.0), nothing)
        return stage, stage
    logits = net.jpeg_stages(omega)
    quality = (logits[:, :, 1] * 25 + 50).clamp(5, 100)
    stages = [
        JpegStage(logits[:, i, 0] > 0, quality[:, i].round(), logits[:, i, 2] > 0) for i in (0, 1)
    ]
    # Both would compress twice what was compressed once: the surer one stays.
    first = logits[:, 0, 0] > logits[:, 1, 0]
    return (
        stages[0]._replace(there=stages[0].there & first),
        stages[1]._replace(there=stages[1].there & ~first),
    )


def native_noise(
    seeds: Sequence[int],
    height: int,
    width: int,
    scale: int,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Return what grain is made from, (B, 3, height, width), one seed per image.

    It is N(0, 1) and white on the native grid, and enlarged as an aligned LQ is (but not clamped):
    no small filter of the HQ grid's white noise would have its spectrum so exactly.
    """
    shape = (3, -(-height // scale), -(-width // scale))
    drawn = normal_field(seeds, shape, torch.device(device))
    if scale > 1:
        drawn = F.interpolate(drawn, scale_factor=scale, mode="bicubic", antialias=True)
    return drawn[:, :, :height, :width]


def noise_like(hq: Tensor, seed: int, scale: int) -> Tensor:
    """Return ``native_noise`` for each of HQs (B, 3, H, W), on their device."""
    seeds = [sample_seed(seed, "grain", row) for row in range(hq.shape[0])]
    return native_noise(seeds, hq.shape[2], hq.shape[3], scale, hq.device).to(hq)


@torch.no_grad()
def raw_aligned(
    net: nn.Module,
    hq: Tensor,
    omega: Tensor,
    noise: Tensor,
    periodic: Tensor | None = None,
    *,
    precision: str = "auto",
) -> Tensor:
    """Return SynNet's aligned LQ (B, 3, H, W) in [0, 1] on the device of ``hq``, before JPEG.

    H and W: multiples of ``net.multiple``.
    """
    with autocast(hq.device, precision):
        if isinstance(net, ReDegNetLite):
            made = net.synthesise(hq, omega, noise=noise, periodic=periodic)
        else:
            made = net.synthesise(hq, omega)  # pyright: ignore[reportCallIssue]
    return made.float()


def compress(raw: Tensor, stages: Stages, scale: int, aligned: bool) -> Tensor:
    """Return the native LQ (B, 3, H/scale, W/scale) of SynNet's output, or the aligned LQ.

    JPEG, where ``stages`` asks for it, is done on its own grid over the whole image, so that its
    blocks do not depend on tiles.
    """
    on_hq_grid, on_native_grid = stages
    if scale == 1:
        # Both stages stand for the same grid here.
        return on_native_grid.apply(on_hq_grid.apply(raw))
    raw = on_hq_grid.apply(raw)
    native = on_native_grid.apply(to_native(raw, scale))
    if not aligned:
        return native
    again = on_native_grid.there.to(raw.device)[:, None, None, None]
    return torch.where(again, to_aligned(native, scale), raw)


def periodic_maps(
    lattice: Lattice | None,
    seeds: list[int],
    height: int,
    width: int,
    origin: tuple[int, int] = (0, 0),
) -> Tensor | None:
    """Return the lattice's maps (B, 2K, height, width) with fresh phases for each seed.

    ``origin`` is the (x, y) of the top-left pixel in the image: tiles of one image agree.
    """
    if lattice is None:
        return None
    shifts = [lattice.draw_shift(seed) for seed in seeds]
    return torch.stack(
        [lattice.maps(height, width, (x + origin[0], y + origin[1])) for x, y in shifts]
    )
