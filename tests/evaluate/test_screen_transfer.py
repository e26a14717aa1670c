"""Screens put on other pictures: by a network that knows how, and by one that does not."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from redeg_cli.evaluate import screen_transfer
from redeg_cli.evaluate.screen_transfer import is_right, measure_screens
from redeg_cli.evaluate.screens import ScreenErrors, find_screen
from redeg_cli.omega.transfer import degrade_aligned

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screen_transfer, "SIDE", 192)


def crops(seeds: Sequence[int]) -> Tensor:
    return torch.stack([large(seed, 192)[0] for seed in seeds])


def large(index: int, side: int) -> Tensor:
    coarse = torch.rand((1, 3, 4, 4), generator=torch.Generator().manual_seed(index))
    return F.interpolate(coarse, size=(side, side), mode="bilinear") * 0.6 + 0.2


class Printer(nn.Module):
    """Finds the screen of a pair and prints pictures with one like it."""

    multiple = 1

    def __init__(self, finer: float = 1.0) -> None:
        super().__init__()
        self.finer = finer

    def extract(self, hq: Tensor, lq: Tensor, scale: int) -> Tensor:
        del scale
        found = find_screen(lq, hq)
        return F.pad(torch.tensor([[self.finer * found.frequency, found.angle]]), (0, 510))

    def synthesise(self, hq: Tensor, omega: Tensor, **options: Any) -> Tensor:
        del options
        steps = [
            {"op": "halftone", "pitch": 1 / float(omega[0, 0]), "angles": [float(omega[0, 1])]},
            {"op": "blur", "sigma": 0.45},
        ]
        return degrade_aligned(hq, [{"steps": steps}], 1)


class Copier(Printer):
    def synthesise(self, hq: Tensor, omega: Tensor, **options: Any) -> Tensor:
        del omega, options
        return hq


def test_a_printer_is_right() -> None:
    figures = measure_screens(Printer(), crops, large, 1, 3, device=CPU, seed=0)
    assert figures.hits >= 0.6  # it knows nothing of how soft the dots were
    assert figures.frequency < 1
    assert figures.angle < 1
    assert figures.energy_db.mean == pytest.approx(0, abs=2.5)
    assert figures.coherence.mean > 0.95
    assert figures.coherence_true.mean > 0.95


def test_a_finer_screen_and_none_at_all_are_wrong() -> None:
    finer = measure_screens(Printer(finer=1.1), crops, large, 1, 2, device=CPU, seed=0)
    assert finer.frequency == pytest.approx(10, abs=1)
    assert finer.angle < 1
    assert finer.hits == 0
    none = measure_screens(Copier(), crops, large, 1, 2, device=CPU, seed=0)
    assert none.energy_db.mean < -40
    assert none.hits == 0


def test_a_scale_that_does_not_divide_the_side(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screen_transfer, "SIDE", 194)
    assert measure_screens(Printer(), crops, large, 3, 1, device=CPU, seed=0).count == 1


@pytest.mark.parametrize(
    ("errors", "right"),
    [
        (ScreenErrors(2.9, 2.9, -1.9, 0.95), True),
        (ScreenErrors(3.1, 0, 0, 1), False),
        (ScreenErrors(0, 3.1, 0, 1), False),
        (ScreenErrors(0, 0, -2.1, 1), False),
        (ScreenErrors(0, 0, 0, 0.8), False),
    ],
)
def test_what_counts_as_right(errors: ScreenErrors, right: bool) -> None:
    assert is_right(errors) is right
