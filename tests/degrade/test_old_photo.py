"""The preset for old photos: what it draws can be applied, and looks as scans measure."""

import json

import pytest
import torch

from redeg_cli.degrade.chain import load_degrader
from redeg_cli.degrade.steps import OPS

SEEDS = range(40)


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_its_records_can_be_applied(scale: int) -> None:
    degrader = load_degrader("old-photo", scale)
    records = [degrader.draw(seed) for seed in SEEDS[:12]]
    assert json.loads(json.dumps(records)) == records
    hq = torch.rand((12, 3, 48, 60), generator=torch.Generator().manual_seed(0))
    made = degrader.apply(hq, records)
    assert made.shape == (12, 3, 48 // scale, 60 // scale)
    assert made.isfinite().all()
    assert made.min() >= 0
    assert made.max() <= 1


def test_every_kind_of_damage_happens() -> None:
    degrader = load_degrader("old-photo", 2)
    drawn = [{step["op"] for step in degrader.draw(seed)["steps"]} for seed in range(300)]
    assert set().union(*drawn) <= set(OPS)
    shares = {op: sum(op in ops for ops in drawn) / len(drawn) for op in set().union(*drawn)}
    assert shares["fade"] == shares["resize"] == 1
    for op in ("grain", "jpeg"):
        assert shares[op] > 0.8
    for op in ("scratches", "dust", "paper", "vignette"):
        assert 0.2 < shares[op] < 0.6
    for op in ("creases", "moire", "halftone"):
        assert 0 < shares[op] < 0.15


def test_most_prints_are_gray_and_keep_between_black_and_white() -> None:
    degrader = load_degrader("old-photo", 2)
    fades = [
        step for seed in SEEDS for step in degrader.draw(seed)["steps"] if step["op"] == "fade"
    ]
    assert len(fades) == len(SEEDS)
    assert sum(step["saturation"] == 0 for step in fades) > len(SEEDS) / 2
    for step in fades:
        assert all(w - b > 0.4 for b, w in zip(step["black"], step["white"], strict=True))
