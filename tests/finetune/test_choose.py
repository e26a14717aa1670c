"""Scores of restorers in closed form."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter
from torch import Tensor

from redeg_cli.finetune.choose import (
    HeldOut,
    Score,
    added_detail,
    restore_parts,
    score,
    smoothed,
    turns_help,
)
from redeg_cli.nets.wrap import Restorer

CPU = torch.device("cpu")


def restorer_of(scale: int, change: Tensor | float = 0.0) -> Restorer:
    """It repeats pixels and adds ``change``."""
    return Restorer(
        lambda x: F.interpolate(x, scale_factor=scale, mode="nearest") + change,
        name="nearest",
        scale=scale,
        fingerprint="0" * 12,
        architecture="none",
        network=torch.nn.Identity(),
    )


def part_of(scale: int = 2, offset: tuple[int, int] = (8, 4)) -> HeldOut:
    """The truth is what the plain restorer makes of the context, cut at the offset."""
    lq = 0.3 + 0.4 * torch.rand((1, 3, 24, 20), generator=torch.Generator().manual_seed(0))
    whole = F.interpolate(lq, scale_factor=scale, mode="nearest")
    hq = whole[:, :, offset[0] : offset[0] + 24, offset[1] : offset[1] + 28]
    return HeldOut(lq, hq, torch.ones(1, 1, 24, 28), offset)


def test_the_part_is_cut_at_its_offset() -> None:
    right = part_of()
    assert score(restorer_of(2), [right], CPU).psnr == pytest.approx(80, abs=1)
    shifted = HeldOut(right.lq, right.hq, right.mask, (9, 4))
    assert score(restorer_of(2), [shifted], CPU).psnr < 25


def checkers(amplitude: float, height: int = 48, width: int = 40) -> Tensor:
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return amplitude * (1 - 2.0 * ((x + y) % 2))


def test_fine_errors_count_in_full_but_not_when_smoothed() -> None:
    made = score(restorer_of(2, checkers(0.1)), [part_of()], CPU)
    assert made.psnr == pytest.approx(20, abs=0.05)
    assert made.smooth_psnr > 40


def test_broad_errors_count_in_both() -> None:
    wave = 0.1 * torch.sin(2 * math.pi * torch.arange(40) / 28).expand(48, 40)
    made = score(restorer_of(2, wave), [part_of()], CPU)
    # A whole sine of amplitude 0.1 has the mean square 0.005.
    assert made.psnr == pytest.approx(-10 * math.log10(0.005), abs=0.1)
    assert made.smooth_psnr == pytest.approx(made.psnr, abs=0.6)


def test_a_shift_of_the_mean_colour_is_forgiven() -> None:
    cast = torch.tensor([0.1, -0.05, 0.2]).view(1, 3, 1, 1)
    part = part_of()
    assert score(restorer_of(2, cast), [part], CPU).psnr > 60


def test_what_is_not_known_is_not_judged() -> None:
    part = part_of()
    hq, mask = part.hq.clone(), part.mask.clone()
    hq[..., :10], mask[..., :10] = 0.9, 0
    masked = HeldOut(part.lq, hq, mask, part.offset)
    assert score(restorer_of(2), [masked], CPU).psnr > 60
    assert score(restorer_of(2), [HeldOut(part.lq, hq, part.mask, part.offset)], CPU).psnr < 20


@pytest.mark.parametrize("sigma", [0.8, 1.6, 3.0])
def test_what_smooths_is_a_gaussian(sigma: float) -> None:
    image = torch.rand(1, 3, 40, 50, generator=torch.Generator().manual_seed(0))
    wanted = gaussian_filter(image.numpy(), (0, 0, sigma, sigma), mode="nearest", truncate=3)
    np.testing.assert_allclose(smoothed(image, sigma).numpy(), wanted, atol=1e-6)


def test_scores_of_parts_are_averaged_in_decibels() -> None:
    other = HeldOut(part_of().lq, part_of().hq, part_of().mask, (9, 4))
    both = [score(restorer_of(2), [p], CPU) for p in (part_of(), other)]
    mean = score(restorer_of(2), [part_of(), other], CPU)
    assert mean.psnr == pytest.approx(np.mean([s.psnr for s in both]))
    assert mean.smooth_psnr == pytest.approx(np.mean([s.smooth_psnr for s in both]))


@pytest.mark.parametrize(
    ("psnr", "smooth", "better"),
    [(25.5, 32.0, True), (25.4, 35.0, False), (29.0, 31.9, False), (24.0, 29.0, False)],
)
def test_both_must_be_better_by_their_margins(psnr: float, smooth: float, better: bool) -> None:
    assert Score(psnr, smooth).beats(Score(25.0, 30.0), 0.5, 2.0) is better


def test_turns_help_where_the_errors_of_a_pass_depend_on_the_direction() -> None:
    """Errors that are turned along with the picture average out; a picture that is not, is lost."""
    hq = torch.rand((4, 3, 16, 16), generator=torch.Generator().manual_seed(1))
    ramp = torch.linspace(-0.1, 0.1, 16)
    assert turns_help(restorer_of(1, ramp), [(hq, hq)])
    striped = hq + 0.2 * (torch.arange(16) % 2 * 2 - 1)[:, None]
    plain = restorer_of(1, -0.2 * (torch.arange(16) % 2 * 2.0 - 1)[:, None])
    assert not turns_help(plain, [(striped, hq)])


def test_parts_are_the_judged_ones() -> None:
    part = part_of()
    (made,) = restore_parts(restorer_of(2), [part], CPU)
    assert torch.equal(made, part.hq)


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_detail_that_flat_blocks_gain_is_told_in_decibels(scale: int) -> None:
    """Half of the picture is texture, half is faint ripples: ten times their energy is 10 dB."""
    side = 64 * scale
    ripples = checkers(0.01, side, side).expand(1, 3, side, side)
    texture = checkers(0.2, side, side // 2)
    before = 0.5 + ripples
    before[..., side // 2 :] = 0.5 + texture
    after = before.clone()
    after[..., : side // 2] = 0.5 + math.sqrt(10) * ripples[..., : side // 2]
    assert added_detail([before], [after], scale) == pytest.approx(10, abs=0.6)
    assert added_detail([after], [before], scale) == pytest.approx(-10, abs=0.6)
    sharper = before.clone()
    sharper[..., side // 2 :] = 0.5 + 2 * texture
    assert added_detail([before], [sharper], scale) == pytest.approx(0, abs=0.3)


def test_what_nobody_sees_is_no_detail() -> None:
    black = torch.zeros(1, 3, 40, 50)
    assert added_detail([black], [black + checkers(1e-4, 40, 50)], 2) < 0.2
    assert added_detail([black[..., :5, :5]] * 2, [black[..., :5, :5]] * 2, 2) == 0
