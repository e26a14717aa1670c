"""A print in dots, read off a pair: what Ω says of halftone, and its application to any image.

Halftone has a formula, so it is a stage of its own before SynNet, as JPEG is one behind it. What
is left between the printed HQ and the LQ (ink, paper, scanner) is what DegNet and SynNet are for.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from redeg_cli.degrade.halftone import INK_ANGLES
from redeg_cli.degrade.steps import StepTable, run_chains
from redeg_cli.nets.lite import PRINT
from redeg_cli.seeds import numpy_generator

CODE = -PRINT.start
"""How many numbers say how something was printed: the end of Ω."""
COARSEST = 64.0
"""Largest distance of dots in pixels."""
_FINEST = 1.5

Phases = tuple[tuple[float, float], ...]
"""Where the dots of each screen lie, in periods along and across it (see ``degrade.halftone``)."""


@dataclass(frozen=True)
class Print:
    """How a picture was printed in clustered dots."""

    pitch: float
    """Distance of the dots in pixels of the HQ grid."""
    angles: tuple[float, ...]
    """Directions of the screens in degrees, modulo 90: one of black ink, or four of cyan, magenta,
    yellow and black."""
    softness: float = 0.5
    gain: float = 0.0
    black: float = 1.0

    def step(self, phases: Phases) -> StepTable:
        """Return the print as a step of ``degrade.halftone``."""
        return {
            "op": "halftone",
            "pitch": self.pitch,
            "angles": self.angles,
            "softness": self.softness,
            "gain": self.gain,
            "black": self.black,
            "phases": phases,
        }

    def draw_phases(self, seed: int) -> Phases:
        """Return where the dots lie on a picture of its own."""
        drawn = numpy_generator(seed).random((len(self.angles), 2)).tolist()
        return tuple((first, second) for first, second in drawn)

    def moved(self, phases: Phases, x: float, y: float) -> Phases:
        """Return phases for a crop whose top-left pixel is (x, y) of what ``phases`` are for."""
        moved = []
        for angle, (first, second) in zip(self.angles, phases, strict=True):
            cos, sin = _direction(angle, self.pitch)
            moved.append(((first + cos * x + sin * y) % 1, (second - sin * x + cos * y) % 1))
        return tuple(moved)

    def enlarged(self, factor: float) -> "Print":
        """Return the print of a picture that is made larger. Quarter turns change none."""
        return replace(self, pitch=self.pitch * factor)

    def code(self) -> Tensor:
        """Return the print as the last ``CODE`` numbers of Ω, float32; see ``read_code``."""
        colour = len(self.angles) == len(INK_ANGLES)
        angles = self.angles if colour else (None, None, None, *self.angles)
        numbers = [1.0, float(colour), math.log2(self.pitch) / 4]
        numbers += [self.softness, 4 * self.gain, self.black]
        for angle in reversed(angles):
            turn = None if angle is None else math.radians(4 * angle)
            numbers += [0.0, 0.0] if turn is None else [math.cos(turn), math.sin(turn)]
        return torch.tensor(numbers)


def read_code(code: Tensor) -> Print | None:
    """Return the print that the last ``CODE`` numbers of an Ω speak of; None where there is none.

    Any numbers are read: what lies between the codes of two prints, or beyond, is a print too.
    """
    there, colour, pitch, softness, gain, black, *directions = code.double().tolist()
    if not there > 0.5:
        return None
    angles = [
        math.degrees(math.atan2(sin, cos)) / 4 % 90
        for cos, sin in zip(directions[::2], directions[1::2], strict=True)
    ]
    return Print(
        2 ** min(max(4 * pitch, math.log2(_FINEST)), math.log2(COARSEST)),
        tuple(reversed(angles)) if colour > 0.5 else (angles[0],),
        min(max(softness, 0.0), 1.0),
        min(max(gain / 4, 0.0), 0.25),
        min(max(black, 0.0), 1.0),
    )


def printed_note(how: Print, scale: int) -> str:
    """Return a line that says how a photo was printed, whose pairs have this scale."""
    inks = "black ink" if len(how.angles) == 1 else "four inks"
    angles = ", ".join(f"{angle:.0f}°" for angle in how.angles)
    return f"printed in dots, {how.pitch / scale:.1f} px of the photo apart, {inks} ({angles})"


def with_print(omega: Tensor, prints: Sequence[Print | None]) -> Tensor:
    """Return Ωs (N, 512) with a print each at their end, zeros where there is none."""
    codes = [torch.zeros(CODE) if each is None else each.code() for each in prints]
    return torch.cat([omega[:, : PRINT.start], torch.stack(codes).to(omega)], 1)


def print_images(
    images: Tensor, prints: Sequence[Print | None], phases: Sequence[Phases | None]
) -> Tensor:
    """Return images (B, 3, H, W) in [0, 1], each printed in its own way, or as it was."""
    rows = [row for row, each in enumerate(prints) if each is not None]
    if not rows:
        return images
    chains: list[list[StepTable]] = []
    for row in rows:
        each, where = prints[row], phases[row]
        assert each is not None
        assert where is not None
        chains.append([each.step(where)])
    made = images.clone()
    made[rows] = run_chains(images[rows], chains, 1).pixels
    return made


def _direction(angle: float, pitch: float) -> tuple[float, float]:
    turn = math.radians(angle)
    return math.cos(turn) / pitch, math.sin(turn) / pitch
