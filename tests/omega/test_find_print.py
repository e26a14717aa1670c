"""How a photo was printed, told from it and its sharp version."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from redeg_cli.degrade.steps import StepTable, run_steps
from redeg_cli.omega.find_print import FoundPrint, find_print
from redeg_cli.omega.lattice import find_common_lattice
from redeg_cli.omega.peaks import View

SIZE = (160, 192)


def scene(colour: bool = True) -> Tensor:
    """A smooth picture (1, 3, H, W) with an edge, of all tones; in colour, of several hues."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    tone = 0.5 + 0.25 * np.sin(x / 23) * np.cos(y / 31) + 0.15 * (x + y > 150)
    shift = [0.12 * np.sin(x / 37 + 2 * c) if colour else 0 * x for c in range(3)]
    return torch.from_numpy(np.stack([tone + s for s in shift])[None]).float().clamp(0, 1)


def dots(pitch: float, angles: list[float], **more: object) -> StepTable:
    return {"op": "halftone", "pitch": pitch, "angles": angles, "seed": 4, **more}


SCAN: list[StepTable] = [{"op": "blur", "sigma": 0.8}, {"op": "noise", "sigma": 0.01, "seed": 1}]


def look(hq: Tensor, lq: Tensor, origin: tuple[int, int] = (0, 0)) -> FoundPrint | None:
    views = [View(hq, lq, origin)]
    return find_print(views, find_common_lattice(views, 1))


def apart(a: float, b: float) -> float:
    return abs((a - b + 45) % 90 - 45)


@pytest.mark.parametrize(
    ("pitch", "angle"), [(4.0, 45.0), (5.3, 12.0), (7.7, 71.0), (3.3, 30.0), (6.0, 0.0)]
)
def test_a_black_screen(pitch: float, angle: float) -> None:
    hq = scene()
    found = look(hq, run_steps(hq, [dots(pitch, [angle], softness=0.4), *SCAN], 1))
    assert found is not None
    assert found.how.pitch == pytest.approx(pitch, rel=2e-3)
    (seen,) = found.how.angles
    assert apart(seen, angle) < 0.2
    # Its dots lie where they do on the photo: printed again the HQ is the LQ but for the scan.
    assert found.explained > 0.8


def test_dots_lie_where_they_are_on_the_photo_whatever_part_is_seen() -> None:
    hq = scene()
    lq = run_steps(hq, [dots(6.1, [20.0]), *SCAN], 1)
    part = (..., slice(24, None), slice(40, None))
    found = look(hq[part], lq[part], (40, 24))
    assert found is not None
    again = run_steps(found.apply(hq, (0, 0)), SCAN, 1)
    whole = run_steps(hq, SCAN, 1)
    assert (again - lq).square().mean() < 0.2 * (whole - lq).square().mean()


@pytest.mark.parametrize("gain", [0.0, 0.1, 0.2])
def test_how_far_the_ink_has_spread(gain: float) -> None:
    hq = scene()
    found = look(hq, run_steps(hq, [dots(6.1, [20.0], gain=gain, softness=0.5), *SCAN], 1))
    assert found is not None
    assert found.how.gain == gain


@pytest.mark.parametrize("black", [0.4, 0.7, 1.0])
def test_how_much_black_stands_for_the_colours(black: float) -> None:
    hq = scene()
    angles = [15.0, 75.0, 0.0, 45.0]
    found = look(hq, run_steps(hq, [dots(6.2, angles, softness=0.4, black=black), *SCAN], 1))
    assert found is not None
    assert found.how.black == black


@pytest.mark.parametrize("angles", [[15.0, 75.0, 0.0, 45.0], [71.0, 11.0, 86.0, 41.0]])
def test_four_inks(angles: list[float]) -> None:
    hq = scene()
    found = look(hq, run_steps(hq, [dots(6.2, angles, softness=0.4, black=0.7), *SCAN], 1))
    assert found is not None
    assert found.how.pitch == pytest.approx(6.2, rel=5e-3)
    assert len(found.how.angles) == 4
    for ink, (seen, true) in enumerate(zip(found.how.angles, angles, strict=True)):
        assert apart(seen, true) < 0.6, ink


def stripes(hq: Tensor) -> Tensor:
    x = torch.arange(SIZE[1])
    return hq + 0.06 * torch.sin(2 * math.pi * 0.19 * x)


def weave(hq: Tensor) -> Tensor:
    """Light threads across each other, which cover nothing."""
    x, y = torch.arange(SIZE[1])[None], torch.arange(SIZE[0])[:, None]
    return hq + 0.05 * (torch.sin(math.pi * x / 2) + torch.sin(math.pi * y / 2))


@pytest.mark.parametrize(
    "damage",
    [
        lambda hq: run_steps(hq, [{"op": "blur", "sigma": 2.0}], 1),
        lambda hq: run_steps(hq, [{"op": "noise", "sigma": 0.08, "seed": 2}], 1),
        lambda hq: run_steps(hq, [{"op": "jpeg", "quality": 20}], 1),
        stripes,
        weave,
        # Printing explains it well, but of the dots hardly a wave is left.
        lambda hq: run_steps(hq, [dots(4.0, [20.0]), {"op": "blur", "sigma": 1.5}], 1),
        lambda hq: hq,
    ],
    ids=["blur", "noise", "jpeg", "stripes", "weave", "blurred print", "nothing"],
)
def test_what_is_no_print(damage: object) -> None:
    hq = scene()
    assert callable(damage)
    assert look(hq, damage(hq).clamp(0, 1)) is None


def test_without_waves_there_is_nothing_to_find() -> None:
    hq = scene()
    assert find_print([View(hq, hq)], None) is None
