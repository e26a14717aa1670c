"""The discriminator, on LQs that are alike and on LQs that are not."""

import pytest
import torch
import torch.nn.functional as F

from redeg_cli.evaluate.realism import judge_realism

COUNT, SIDE, STEPS = 36, 32, 60


def pictures(seed: int = 0) -> torch.Tensor:
    coarse = torch.rand((COUNT, 3, 6, 6), generator=torch.Generator().manual_seed(seed))
    return F.interpolate(coarse, size=(SIDE, SIDE), mode="bicubic").clamp(0, 1)


def grainy(hq: torch.Tensor, deviation: float, seed: int) -> torch.Tensor:
    grain = torch.randn(hq.shape, generator=torch.Generator().manual_seed(seed))
    return (hq + deviation * grain).clamp(0, 1)


def test_other_grain_of_the_same_kind_is_not_told_apart() -> None:
    hq = pictures()
    said = judge_realism(hq, grainy(hq, 0.05, 1), grainy(hq, 0.05, 2), steps=STEPS)
    assert said.right.shape == (24,)
    assert len(said.pairs.unique()) == 12  # a third of the pairs was held out
    assert 0.25 < said.accuracy < 0.75
    same = judge_realism(hq, hq, hq, steps=10)
    assert same.accuracy == 0.5  # equal images get equal answers, one of them is right


def test_a_picture_without_the_grain_is_told_apart() -> None:
    hq = pictures()
    assert judge_realism(hq, grainy(hq, 0.05, 1), hq, steps=STEPS).accuracy > 0.95


def test_bytes_and_floats_are_the_same_images() -> None:
    hq = (pictures() * 255).round()
    made = (grainy(hq / 255, 0.1, 3) * 255).round()
    floats = judge_realism(hq / 255, made / 255, hq / 255, steps=8)
    levels = (x.to(torch.uint8) for x in (hq, made, hq))
    assert torch.equal(judge_realism(*levels, steps=8).right, floats.right)


def test_it_repeats_and_leaves_the_generator_alone() -> None:
    hq = pictures()
    true, made = grainy(hq, 0.02, 1), grainy(hq, 0.025, 2)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = judge_realism(hq, true, made, steps=20, seed=3)
    assert torch.equal(torch.rand(3), expected)
    torch.manual_seed(99)
    again = judge_realism(hq, true, made, steps=20, seed=3)
    assert torch.equal(first.right, again.right)
    other = judge_realism(hq, true, made, steps=20, seed=4)
    assert not torch.equal(first.pairs, other.pairs)


def test_too_few_pairs_are_refused() -> None:
    few = pictures()[:5]
    with pytest.raises(ValueError, match="5 pairs are too few"):
        judge_realism(few, few, few)
