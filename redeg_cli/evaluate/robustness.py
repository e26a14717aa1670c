"""Robustness: what SynNet makes of pictures and Ωs that it never saw must stay a picture."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from redeg_cli.evaluate.parallel import measure_each
from redeg_cli.omega.learned import OmegaDegrader
from redeg_cli.omega.synthesis import JpegStage
from redeg_cli.omega.transfer import degrader_of
from redeg_cli.progress import OnProgress, no_progress
from redeg_cli.seeds import sample_seed

SIZES = ((8, 8), (17, 31), (64, 200), (1024, 1024))
"""Heights and widths in pixels of the HQ grid; cut to multiples of the scale."""
TONES = (0.0, 0.5, 1.0)
_SIDE = 128
_ROUNDING = 1e-5
"""How far beyond [0, 1] the blending of tiles may come: nothing that a file of 16 bits shows."""
_PERIODS = ((0, 2), (2, 0), (2, 2), (0, 4), (4, 0), (4, 4))
"""Periods in pixels down and across (0: constant) of what strided and transposed convolutions and
enlargement by pixel shuffling leave behind."""
_FLOOR = (0.05 / 255) ** 2
"""Power of a wave that no file of 8 bits shows."""


@dataclass(frozen=True)
class Robustness:
    """What came of it."""

    tried: int
    """How many pictures were made."""
    failures: tuple[str, ...]
    """What each was that raised, held NaN or infinity, left [0, 1] or had another size."""
    checkerboard: float
    """dB by which the strongest wave of the period of a network's grid stands above its
    surroundings, on constant pictures: at most about 2 by chance, above 6 it can be seen."""


def try_robustness(
    net: nn.Module,
    omegas: Tensor,
    scale: int,
    device: torch.device,
    seed: int = 0,
    on_progress: OnProgress = no_progress,
) -> Robustness:
    """Degrade constant, tiny, narrow and large pictures under measured and extreme Ωs.

    ``omegas`` (N, 512), N at least 2, are measured ones; of the first two come a mean, both scaled
    by 2 and zero. JPEG, whose blocks are a grid too, is left out of the checkerboard.
    """
    extreme = extreme_omegas(omegas)
    names = [*(f"Ω {row}" for row in range(len(omegas))), *extreme]
    rows = torch.cat([omegas.float().cpu(), torch.stack([*extreme.values()])])
    degrader = degrader_of(net, rows, scale)
    plain = OmegaDegrader(net, degrader.pool, scale, aligned=True, stages=_no_jpeg())

    def look(row: int) -> tuple[list[str], list[Tensor], int]:
        record = degrader.record(row, sample_seed(seed, "robustness", row))
        faults, planes = [], []
        # The large picture takes as long as all others together: one measured Ω, one extreme one.
        sizes = SIZES if row in (0, len(omegas)) else SIZES[:-1]
        for height, width in sizes:
            made = _try(degrader, _ramp(*_cut(height, width, scale)), record, device)
            if isinstance(made, str):
                faults.append(f"{width}x{height}, {names[row]}: {made}")
        for tone in TONES:
            constant = torch.full((1, 3, *_cut(_SIDE, _SIDE, 4 * scale)), tone)
            made = _try(plain, constant, record, device)
            if isinstance(made, str):
                faults.append(f"constant {tone:g}, {names[row]}: {made}")
            else:
                planes.append(made)
        return faults, planes, len(sizes) + len(TONES)

    looks = measure_each(look, range(len(names)), device, on_progress)
    planes = [plane for _, row, _ in looks for plane in row]
    return Robustness(
        tried=sum(count for _, _, count in looks),
        failures=tuple(fault for faults, _, _ in looks for fault in faults),
        checkerboard=checkerboard(torch.cat(planes)) if planes else float("nan"),
    )


def extreme_omegas(omegas: Tensor) -> dict[str, Tensor]:
    """Return Ωs (512,) beyond the first two measured ones (N, 512), by what they are."""
    first, second = omegas[:2].float().cpu()
    return {
        "the mean of two Ωs": (first + second) / 2,
        "2 Ω": 2 * first,
        "2 Ω of another": 2 * second,
        "zero": torch.zeros_like(first),
    }


def checkerboard(images: Tensor) -> float:
    """Return by how many dB waves of the networks' own periods stand out of images (B, 3, H, W).

    H and W are multiples of 4. The power at each of ``_PERIODS``, mean over images and channels,
    is compared with the median of the 24 frequencies around it; the largest ratio counts.
    """
    height, width = images.shape[2:]
    x = images.double()
    x = x - x.mean((2, 3), keepdim=True)
    # |X|² / (H W)² is the power of a wave: of amplitude a at Nyquist a², elsewhere a² / 4.
    power = (torch.fft.fft2(x).abs().square() / (height * width) ** 2).mean((0, 1)) + _FLOOR
    worst = 0.0
    for down, across in _PERIODS:
        row, column = height // down if down else 0, width // across if across else 0
        near = power.roll((2 - row, 2 - column), (0, 1))[:5, :5].flatten()
        around = torch.cat([near[:12], near[13:]])
        worst = max(worst, float(10 * (near[12] / around.median()).log10()))
    return worst


def _try(
    degrader: OmegaDegrader, hq: Tensor, record: dict[str, Any], device: torch.device
) -> Tensor | str:
    """Return what a degrader makes of one picture, or what is wrong with it."""
    try:
        made = degrader.apply_large(hq, record, device)
    except (RuntimeError, ValueError) as error:  # what PyTorch raises for a size it cannot take
        return f"{type(error).__name__}: {' '.join(str(error).split())}"
    if made.shape != hq.shape:
        return f"became {made.shape[3]}x{made.shape[2]}"
    if not bool(made.isfinite().all()):
        return "NaN or infinity"
    if float(made.min()) < -_ROUNDING or float(made.max()) > 1 + _ROUNDING:
        return f"values from {float(made.min()):.5g} to {float(made.max()):.5g}"
    return made


def _cut(height: int, width: int, multiple: int) -> tuple[int, int]:
    return height // multiple * multiple, width // multiple * multiple


def _ramp(height: int, width: int) -> Tensor:
    """Return a picture (1, 3, height, width) that is dark at one corner and light at the other."""
    down, across = torch.linspace(0, 1, height)[:, None], torch.linspace(0, 1, width)
    return torch.stack([(down + across) / 2, down.expand(-1, width), across.expand(height, -1)])[
        None
    ]


def _no_jpeg() -> tuple[JpegStage, JpegStage]:
    none = torch.zeros(1, dtype=torch.bool)
    stage = JpegStage(none, torch.full((1,), 90.0), none)
    return stage, stage
