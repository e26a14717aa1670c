"""Halftone, the paper's own headline: a screen read off a face, printed over a whole picture."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from redeg_cli.degrade.chain import load_degrader
from redeg_cli.evaluate.bootstrap import Interval, bootstrap_mean
from redeg_cli.evaluate.parallel import measure_each
from redeg_cli.evaluate.screens import ScreenErrors, compare_screens, find_screen
from redeg_cli.omega.extract import extract_batch
from redeg_cli.omega.families import screen_chain
from redeg_cli.omega.transfer import Crops, degrade_aligned, degrader_of, to_levels
from redeg_cli.progress import OnProgress, no_progress
from redeg_cli.seeds import sample_seed

SIDE = 1024
"""Pixels of the picture that is printed; cut to a multiple of the scale."""
FREQUENCY, ANGLE, ENERGY = 3.0, 3.0, 2.0
"""Percent, degrees and dB within which a screen counts as the right one."""
_COHERENT = 0.9


@dataclass(frozen=True)
class ScreenFigures:
    """What became of some screens."""

    count: int
    frequency: float
    """Median error of the frequency, percent."""
    angle: float
    """Median error of the angle, degrees."""
    energy_db: Interval
    """10 log10 of the ratio of the screens' energies, synthetic to true."""
    coherence: Interval
    """See ``Screen.coherence``."""
    coherence_true: Interval
    hits: float
    """Share of the pictures where frequency, angle and energy are right and the screen is coherent
    (0.9) over all of the picture."""


def measure_screens(
    net: nn.Module,
    faces: Crops,
    large: Callable[[int, int], Tensor],
    scale: int,
    count: int,
    *,
    device: torch.device,
    seed: int,
    on_progress: OnProgress = no_progress,
) -> ScreenFigures:
    """Print ``count`` faces and pictures in one screen each, and the pictures by the faces' Ωs.

    ``large(index, side)`` returns a picture (1, 3, side, side).
    """
    degrader = load_degrader({"steps": screen_chain()}, scale)

    @torch.no_grad()
    def measure(index: int) -> tuple[ScreenErrors, float]:
        own = sample_seed(seed, "screen", index)
        records = [degrader.draw(own)]
        face = faces([own])
        face_lq = degrade_aligned(face, records, scale)
        omega = extract_batch(net, face, face_lq, scale)  # pyright: ignore[reportArgumentType]
        hq = large(index, SIDE // scale * scale)
        learned = degrader_of(net, omega, scale)
        made = to_levels(learned.apply_large(hq, learned.record(0, own), device))
        true = find_screen(degrade_aligned(hq, records, scale, which=1), hq)
        return compare_screens(find_screen(made.to(hq.device), hq), true), true.coherence

    measured = measure_each(measure, range(count), device, on_progress)
    errors, coherences = zip(*measured, strict=True)
    return ScreenFigures(
        count=count,
        frequency=float(np.median([error.frequency for error in errors])),
        angle=float(np.median([error.angle for error in errors])),
        energy_db=bootstrap_mean(np.array([error.energy for error in errors])),
        coherence=bootstrap_mean(np.array([error.coherence for error in errors])),
        coherence_true=bootstrap_mean(np.array(coherences)),
        hits=float(np.mean([is_right(error) for error in errors])),
    )


def is_right(errors: ScreenErrors) -> bool:
    """Return whether a screen would pass for the true one."""
    return (
        errors.frequency <= FREQUENCY
        and errors.angle <= ANGLE
        and abs(errors.energy) <= ENERGY
        and errors.coherence >= _COHERENT
    )
