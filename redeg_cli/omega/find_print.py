"""Finding how a photo was printed: the screens of its inks, from pairs of it and its sharp version.

The waves of a screen give its direction, its ruling and where its dots lie; printing the HQ that
way must then explain the LQ better than the HQ itself does.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from redeg_cli.degrade.blur import filter2d, gaussian_kernels
from redeg_cli.degrade.halftone import INK_ANGLES
from redeg_cli.omega.lattice import Lattice
from redeg_cli.omega.peaks import Frequency, View, high_pass
from redeg_cli.omega.printed import COARSEST, Phases, Print, print_images

EXPLAINED = 0.3
"""Least share of what the blurred HQ misses in the LQ that printing it must explain: simulated
prints have 0.48 to 1.0, with a restored face as HQ 0.42 and more."""
LEFT = 0.25
"""Least share of the strength of a print's waves that the LQ has. Blurred further dots are mere
waves, as those of a weave are, which covers nothing: on paper with a strong one they have 0.2."""
_SAME_RULING = 0.04
"""By how much the rulings of a print's screens may differ, relative."""
_STRAIGHT = 3.0
"""Degrees by which a screen's two waves may miss the right angle, and standard angles theirs."""
_TRIED = 3
"""Of the strongest screens, each is tried as that of every ink."""
_TABLES = (INK_ANGLES, (75.0, 15.0, 0.0, 45.0), (15.0, 45.0, 0.0, 75.0))
"""Angles of cyan, magenta, yellow and black that are common."""
_SIDE = 256
"""Pixels of a view's side that hypotheses are tried on."""
_BLURS = (0.4, 0.7, 1.1, 1.7, 2.4)
"""Standard deviations in pixels of what a print was blurred by."""


@dataclass(frozen=True)
class FoundPrint:
    """A print and where its dots lie on the photo."""

    how: Print
    phases: Phases
    """At the photo's top-left pixel, on the HQ grid."""
    explained: float
    """Share of what the blurred HQ misses in the LQ that printing it explains."""

    def apply(self, hq: Tensor, origin: tuple[int, int]) -> Tensor:
        """Print an HQ (1, 3, H, W) that lies at ``origin`` (x, y) of the photo's HQ grid."""
        return print_images(hq, [self.how], [self.how.moved(self.phases, *origin)])


@dataclass(frozen=True)
class _Screen:
    angle: float
    """Degrees in [0, 90)."""
    frequency: float
    """Cycles per pixel."""
    waves: np.ndarray
    """Complex amplitudes of LQ - HQ of the two waves in R, G, B: (2, 3)."""

    @property
    def strength(self) -> np.ndarray:
        """Amplitude in each channel, (3,)."""
        return np.sqrt(np.square(np.abs(self.waves)).mean(0))


def find_print(views: Sequence[View], lattice: Lattice | None) -> FoundPrint | None:
    """Return the print that explains the waves of a photo, or None.

    ``lattice`` is that of the same views (``find_common_lattice``).
    """
    if lattice is None:
        return None
    planes = [_high_pass(view) for view in views]
    screens = _screens(views, planes, lattice)
    if not screens:
        return None
    parts = [_middle(view) for view in views]
    base = sum(_missed(part.hq, part.lq, _BLURS) for part in parts)
    if base == 0:
        return None

    def missed(how: Print, phases: Phases, blurs: Sequence[float]) -> float:
        found = FoundPrint(how, phases, 0)
        return sum(_missed(found.apply(part.hq, part.origin), part.lq, blurs) for part in parts)

    tries = _hypotheses(views, planes, screens)
    how, phases = min(tries, key=lambda each: missed(*each, _BLURS[1:4:2]))
    blacks = (0.4, 0.7, 1.0) if len(how.angles) > 1 else (1.0,)
    for key, values in (("black", blacks), ("softness", (0.2, 0.5, 0.8)), ("gain", (0, 0.1, 0.2))):
        options = [replace(how, **{key: value}) for value in values]
        how = min(options, key=lambda each: missed(each, phases, _BLURS))
    found = FoundPrint(how, phases, 1 - missed(how, phases, _BLURS) / base)
    if found.explained < EXPLAINED or _left(views, found, screens[0]) < LEFT:
        return None
    return found


def _left(views: Sequence[View], found: FoundPrint, screen: _Screen) -> float:
    """Return which share of the waves that the print has is in the LQ, in its phase."""
    printed = [View(view.hq, found.apply(view.hq, view.origin), view.origin) for view in views]
    made = _screen_at(
        printed, [_high_pass(view) for view in printed], screen.angle, screen.frequency
    )
    shared = float((made.waves.conj() * screen.waves).real.sum())
    return shared / max(float(np.square(np.abs(made.waves)).sum()), 1e-12)


def _screens(views: Sequence[View], planes: Sequence[Tensor], lattice: Lattice) -> list[_Screen]:
    """Return crossed pairs of waves of one ruling, the strongest first."""
    found: list[_Screen] = []
    for wave in lattice.frequencies:
        length = math.hypot(*wave)
        if length < 1 / COARSEST:
            continue
        if found and abs(length / found[0].frequency - 1) > _SAME_RULING:
            continue
        angle, frequency = _mean_direction(wave, _across(wave, lattice.frequencies))
        if all(_apart(angle, screen.angle) >= _STRAIGHT for screen in found):
            found.append(_screen_at(views, planes, angle % 90, frequency))
    return sorted(found, key=lambda screen: -float(screen.strength.sum()))


def _screen_at(
    views: Sequence[View], planes: Sequence[Tensor], angle: float, frequency: float
) -> _Screen:
    turn = math.radians(angle)
    x, y = frequency * math.cos(turn), frequency * math.sin(turn)
    waves = [_amplitudes(views, planes, wave) for wave in ((x, y), (-y, x))]
    return _Screen(angle, frequency, np.stack(waves))


def _across(wave: Frequency, waves: Sequence[Frequency]) -> Frequency | None:
    """Return the wave of the same length at a right angle, if it was found."""
    length = math.hypot(*wave)
    for other in waves:
        size = math.hypot(*other)
        cosine = (wave[0] * other[0] + wave[1] * other[1]) / (length * size)
        if abs(size / length - 1) < _SAME_RULING and abs(cosine) < math.sin(
            math.radians(_STRAIGHT)
        ):
            return other
    return None


def _mean_direction(wave: Frequency, crossed: Frequency | None) -> tuple[float, float]:
    """Return the direction in degrees and the frequency of a screen's first wave."""
    x, y = wave
    if crossed is not None:
        u, v = crossed[1], -crossed[0]
        sign = 1 if u * x + v * y > 0 else -1
        x, y = (x + sign * u) / 2, (y + sign * v) / 2
    return math.degrees(math.atan2(y, x)), math.hypot(x, y)


def _high_pass(view: View) -> Tensor:
    """Return LQ - HQ without its local mean, (3, H, W) float64."""
    return high_pass((view.lq - view.hq).double(), 12)[0]


def _amplitudes(views: Sequence[View], planes: Sequence[Tensor], wave: Frequency) -> np.ndarray:
    """Return the complex amplitudes (3,) of a wave in the channels, in the photo's phase."""
    total, weight = np.zeros(3, complex), 0.0
    for view, plane in zip(views, planes, strict=True):
        height, width = plane.shape[1:]
        down, along = (
            torch.hann_window(n + 2, False, dtype=torch.float64)[1:-1] for n in (height, width)
        )
        y = torch.arange(height, dtype=torch.float64) + view.origin[1]
        x = torch.arange(width, dtype=torch.float64) + view.origin[0]
        first = down * torch.exp(-2j * math.pi * wave[1] * y)
        second = along * torch.exp(-2j * math.pi * wave[0] * x)
        total += (plane.to(torch.complex128) @ second @ first).numpy()
        weight += float(down.sum() * along.sum())
    return 2 * total / weight


def _hypotheses(
    views: Sequence[View], planes: Sequence[Tensor], screens: Sequence[_Screen]
) -> list[tuple[Print, Phases]]:
    """Return the prints that these screens may be of: in black ink, several also in four inks."""
    first = screens[0]
    tries: list[tuple[Print, Phases]] = [
        (Print(1 / first.frequency, (first.angle,)), (_phases(first, 3),))
    ]
    weights = [float(screen.strength.sum()) for screen in screens]
    pitch = 1 / float(np.average([screen.frequency for screen in screens], weights=weights))
    seen: list[tuple[float, ...]] = []
    for table in _TABLES if len(screens) > 1 else ():
        for screen in screens[:_TRIED]:
            for ink in range(4):
                angles = tuple((angle + screen.angle - table[ink]) % 90 for angle in table)
                angles = tuple(_snap(angle, screens) for angle in angles)
                if any(max(map(_apart, angles, others)) < _STRAIGHT for others in seen):
                    continue
                seen.append(angles)
                found = [_screen_at(views, planes, angle, 1 / pitch) for angle in angles]
                phases = tuple(_phases(each, ink) for ink, each in enumerate(found))
                tries.append((Print(pitch, angles, black=0.85), phases))
    return tries


def _apart(angle: float, other: float) -> float:
    """Return the degrees between the directions of two screens, at most 45."""
    return abs((angle - other + 45) % 90 - 45)


def _snap(angle: float, screens: Sequence[_Screen]) -> float:
    """Return the direction of the screen that was seen near this angle, or the angle."""
    near = min(screens, key=lambda screen: _apart(screen.angle, angle))
    return near.angle if _apart(near.angle, angle) < _STRAIGHT else angle


def _phases(screen: _Screen, ink: int) -> tuple[float, float]:
    """Return where the dots lie: ink is darkest where both waves of LQ - HQ are lowest.

    Cyan, magenta and yellow show in red, green and blue, black in all.
    """
    waves = screen.waves.mean(1) if ink == 3 else screen.waves[:, ink]
    first, second = (float(np.angle(-wave)) / (2 * math.pi) % 1 for wave in waves)
    return first, second


def _missed(made: Tensor, lq: Tensor, blurs: Sequence[float]) -> float:
    """Return the squared error of the best of some blurs and tones of what was made."""
    least = math.inf
    for sigma in blurs:
        width = torch.tensor([sigma])
        blurred = filter2d(made, gaussian_kernels(width, width, torch.zeros(1)))
        least = min(least, _affine_error(blurred, lq))
    return least


def _affine_error(made: Tensor, lq: Tensor) -> float:
    """Return the squared error after each channel's best gain and offset."""
    x, y = (image[0].flatten(1).double() for image in (made, lq))
    x, y = x - x.mean(1, keepdim=True), y - y.mean(1, keepdim=True)
    explained = (x * y).sum(1).square() / x.square().sum(1).clamp(min=1e-9)
    return float((y.square().sum(1) - explained).sum())


def _middle(view: View) -> View:
    height, width = view.hq.shape[2:]
    top, left = max(0, (height - _SIDE) // 2), max(0, (width - _SIDE) // 2)
    part = (..., slice(top, top + _SIDE), slice(left, left + _SIDE))
    return View(view.hq[part], view.lq[part], (view.origin[0] + left, view.origin[1] + top))
