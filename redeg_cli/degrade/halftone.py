"""Halftone printing: clustered-dot (AM) screens in gray or in the four printing inks."""

import math
from functools import lru_cache

import torch

from redeg_cli.degrade.tone import to_luma

INK_ANGLES = (15.0, 75.0, 0.0, 45.0)
"""Traditional screen angles in degrees of cyan, magenta, yellow and black."""


def screen(
    height: int, width: int, pitch: float, angle: float, phase: tuple[float, float]
) -> torch.Tensor:
    """Return the threshold screen (height, width) in [0, 1] of round dots.

    ``pitch`` is the distance of dots in pixels, ``angle`` in degrees, ``phase`` in periods.
    """
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    u = (cos * x + sin * y) / pitch + phase[0]
    v = (cos * y - sin * x) / pitch + phase[1]
    wave = (torch.cos(2 * math.pi * u) + torch.cos(2 * math.pi * v)) / 2
    levels, shares = _coverage()
    index = torch.searchsorted(levels, wave.contiguous()).clamp(1, len(levels) - 1)
    low, high = levels[index - 1], levels[index]
    part = ((wave - low) / (high - low)).clamp(0, 1)
    return shares[index - 1] + part * (shares[index] - shares[index - 1])


@lru_cache(maxsize=1)
def _coverage() -> tuple[torch.Tensor, torch.Tensor]:
    """Return levels of the wave and the share of the area below each.

    As thresholds the shares are uniform on [0, 1], so dots of ink t cover t of the paper and a
    print keeps its tones on average.
    """
    side = torch.cos(math.pi * (torch.arange(1024, dtype=torch.float64) + 0.5) / 1024)
    ranked = ((side[:, None] + side[None]) / 2).flatten().sort().values
    shares = torch.linspace(0, 1, 513, dtype=torch.float64)
    levels = ranked[(shares * (len(ranked) - 1)).round().long()]
    levels[0], levels[-1] = -1.0, 1.0
    return levels.float(), shares.float()


def halftone(
    image: torch.Tensor,
    pitch: float,
    angles: tuple[float, ...],
    softness: float,
    phases: tuple[tuple[float, float], ...],
) -> torch.Tensor:
    """Print one image (3, H, W) in [0, 1] as halftone.

    One angle (degrees) makes a print in black ink, four make cyan, magenta, yellow and black
    screens (colour is separated with full under-colour removal). ``pitch`` in pixels; ``softness``
    is the width of a dot's edge, in tone from 0 (hard) to 1; ``phases`` one (u, v) per screen.
    """
    if len(angles) not in (1, 4) or len(phases) != len(angles):
        raise ValueError(f"expected 1 or 4 angles and as many phases, got {len(angles)}")
    height, width = image.shape[1:]
    screens = torch.stack(
        [
            screen(height, width, pitch, angle, phase)
            for angle, phase in zip(angles, phases, strict=True)
        ]
    ).to(image.device)
    if len(angles) == 1:
        ink = 1 - to_luma(image)
        return (1 - _dots(ink, screens, softness)).expand(3, -1, -1).clone()
    black = 1 - image.amax(0, keepdim=True)
    colours = (1 - image - black) / (1 - black).clamp(min=1e-3)
    dots = _dots(torch.cat([colours, black]), screens, softness)
    return (1 - dots[:3]) * (1 - dots[3:])


def _dots(ink: torch.Tensor, screens: torch.Tensor, softness: float) -> torch.Tensor:
    edge = max(softness, 0.02)
    return ((ink - (1 - screens)) / edge + 0.5).clamp(0, 1)
