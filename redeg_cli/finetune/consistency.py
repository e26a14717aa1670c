"""Does the restored photo, degraded again, look like the photo? Asked of parts that have no truth.

A restorer that leaves the degradation in, or smooths away what lies below it, is told by this
without any sharp original: SynNet(restored, Ω) then has too much of one thing or too little of the
other. It is asked of the photo itself, not of the faces, on which everything else was fitted.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from redeg_cli.degrade.base import Degrader
from redeg_cli.degrade.tone import to_luma
from redeg_cli.device import autocast
from redeg_cli.finetune.choose import smoothed
from redeg_cli.nets.wrap import Restorer
from redeg_cli.seeds import numpy_generator, sample_seed

SIDE = 64
"""Photo pixels of a part's side."""
COUNT = 12
"""Parts, at most."""
_AT_ONCE = 4
"""Parts that are restored and degraded together."""
SMOOTH = 3.0
"""Standard deviation in photo pixels of the blur behind which grain and dots do not count."""


@dataclass(frozen=True)
class Consistency:
    """How near a photo's parts come to themselves, restored and degraded again."""

    smooth_psnr: float
    """dB, both smoothed: tones and shapes."""
    spectrum: float
    """dB, mean distance of the logarithmic radial power spectra: dots, grain and sharpness."""


def draw_parts(
    rgb: Tensor, boxes: Sequence[tuple[int, int, int, int]], seed: int, count: int = COUNT
) -> Tensor:
    """Return parts (B, 3, s, s) of a photo (1, 3, H, W), at most ``count``, of SIDE px or less.

    Of many places those outside of ``boxes``, (x0, y0, x1, y1) in photo pixels, are taken first,
    and of these the most textured; none overlaps another by more than half a side.
    """
    height, width = rgb.shape[2:]
    side = min(SIDE, height, width) // 8 * 8
    rng = numpy_generator(sample_seed(seed, "consistency"))
    places: set[tuple[bool, float, int, int]] = set()
    for _ in range(8 * count):
        # On the photo's JPEG blocks, which SynNet makes again from the corner of what it is given.
        y = int(rng.random() * (height - side + 1)) // 8 * 8
        x = int(rng.random() * (width - side + 1)) // 8 * 8
        covered = any(
            x < x1 and x0 < x + side and y < y1 and y0 < y + side for x0, y0, x1, y1 in boxes
        )
        texture = float(rgb[:, :, y : y + side, x : x + side].std())
        places.add((covered, -texture, y, x))
    chosen: list[tuple[int, int]] = []
    for _, _, y, x in sorted(places):
        if all(max(abs(y - top), abs(x - left)) >= side // 2 for top, left in chosen):
            chosen.append((y, x))
    return torch.cat([rgb[:, :, y : y + side, x : x + side] for y, x in chosen[:count]])


@torch.no_grad()
def consistency(
    restorer: Restorer, degrader: Degrader, parts: Tensor, device: torch.device, seed: int
) -> Consistency:
    """Return how near ``degrader`` brings the restored ``parts`` (B, 3, s, s) to themselves; NaN
    where what is restored is no number."""
    rows = []
    for start in range(0, len(parts), _AT_ONCE):
        few = parts[start : start + _AT_ONCE]
        with autocast(device):
            restored = restorer(few.to(device)).float().clamp(0, 1)
        if not restored.isfinite().all():
            return Consistency(math.nan, math.nan)
        seeds = [sample_seed(seed, "consistency", start + row) for row in range(len(few))]
        rows.append(degrader.apply(restored, [degrader.draw(each) for each in seeds]).cpu())
    made = torch.cat(rows)
    error = smoothed(made, SMOOTH) - smoothed(parts, SMOOTH)
    # Inside: the restorer sees no context beyond a part's border.
    inner = error[..., 8:-8, 8:-8]
    psnr = float(-10 * inner.square().mean().clamp(min=1e-8).log10())
    distance = float((_log_spectrum(made) - _log_spectrum(parts)).abs().mean())
    return Consistency(psnr, distance)


def _log_spectrum(images: Tensor) -> Tensor:
    """Return the radial power spectrum (bins,) in dB of the luma, the mean over images."""
    luma = to_luma(images)[:, 0]
    side = luma.shape[-1]
    window = torch.hann_window(side, periodic=False)
    inner = (luma - luma.mean((1, 2), keepdim=True)) * window[:, None] * window
    power = torch.fft.rfft2(inner).abs().square().mean(0) / side**2
    fy, fx = torch.fft.fftfreq(side)[:, None], torch.fft.rfftfreq(side)[None]
    bins = ((fx**2 + fy**2).sqrt() * side).round().long().flatten()
    kept = side // 2
    sums = torch.zeros(int(bins.max()) + 1).index_add(0, bins, power.flatten())
    counts = torch.zeros(int(bins.max()) + 1).index_add(0, bins, torch.ones(bins.numel()))
    # What 8 bits round away does not count.
    floor = 1 / (12 * 255**2)
    return 10 * ((sums / counts)[2:kept] + floor).log10()
