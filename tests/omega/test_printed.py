"""Prints: their code at the end of Ω, where dots lie on crops, and what any code is read as."""

import math

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

from redeg_cli.degrade.steps import run_steps
from redeg_cli.omega.printed import (
    COARSEST,
    CODE,
    Print,
    print_images,
    printed_note,
    read_code,
    with_print,
)

FOUR = Print(5.3, (15.0, 75.0, 0.0, 45.0), softness=0.4, gain=0.1, black=0.7)
BLACK = Print(7.5, (38.0,), softness=0.2, gain=0.2)


def apart(a: float, b: float) -> float:
    return abs((a - b + 45) % 90 - 45)


@pytest.mark.parametrize("how", [FOUR, BLACK])
def test_a_code_is_read_as_the_print_it_is_of(how: Print) -> None:
    code = how.code()
    assert code.shape == (CODE,)
    read = read_code(code)
    assert read is not None
    assert len(read.angles) == len(how.angles)
    assert all(apart(*pair) < 1e-4 for pair in zip(read.angles, how.angles, strict=True))
    for name in ("pitch", "softness", "gain", "black"):
        assert getattr(read, name) == pytest.approx(getattr(how, name), rel=1e-5)


def test_nothing_is_no_print() -> None:
    assert read_code(torch.zeros(CODE)) is None
    assert read_code(0.49 * FOUR.code()) is None
    assert read_code(torch.full((CODE,), math.nan)) is None


@given(st.lists(st.floats(-3, 3), min_size=CODE, max_size=CODE))
@settings(max_examples=50, deadline=None)
def test_any_code_can_be_printed(numbers: list[float]) -> None:
    """What Ωs are when they are interpolated or scaled."""
    how = read_code(torch.tensor([max(numbers[0], 0.6), *numbers[1:]]))
    assert how is not None
    assert 1 < how.pitch <= COARSEST
    made = print_images(torch.rand(1, 3, 16, 16), [how], [how.draw_phases(0)])
    assert made.isfinite().all()
    assert float(made.min()) >= 0
    assert float(made.max()) <= 1


def test_between_two_prints_lies_one_between() -> None:
    """Also across the angle at which a screen is itself again."""
    first, second = Print(4.0, (88.0,)), Print(9.0, (2.0,))
    middle = read_code((first.code() + second.code()) / 2)
    assert middle is not None
    assert middle.pitch == pytest.approx(6.0, rel=1e-5)
    assert apart(middle.angles[0], 0) < 1e-4


@pytest.mark.parametrize("how", [FOUR, BLACK])
def test_a_crop_of_a_print_is_the_print_of_a_crop(how: Print) -> None:
    torch.manual_seed(0)
    image = torch.nn.functional.interpolate(torch.rand(1, 3, 4, 5), size=(48, 60), mode="bicubic")
    image = image.clamp(0, 1)
    phases = how.draw_phases(3)
    whole = print_images(image, [how], [phases])
    part = print_images(image[..., 9:, 20:], [how], [how.moved(phases, 20, 9)])
    torch.testing.assert_close(part, whole[..., 9:, 20:], atol=2e-2, rtol=0)
    assert (part - whole[..., 9:, 20:]).abs().mean() < 1e-3


def test_phases_are_decided_by_the_seed() -> None:
    assert FOUR.draw_phases(1) == FOUR.draw_phases(1) != FOUR.draw_phases(2)
    assert len(FOUR.draw_phases(1)) == 4


def test_each_image_is_printed_in_its_own_way_or_not_at_all() -> None:
    images = torch.rand(3, 3, 24, 24, generator=torch.Generator().manual_seed(0))
    phases = [BLACK.draw_phases(0), None, FOUR.draw_phases(2)]
    made = print_images(images, [BLACK, None, FOUR], phases)
    assert torch.equal(made[1], images[1])
    for row, how in ((0, BLACK), (2, FOUR)):
        where = phases[row]
        assert where is not None
        wanted = run_steps(images[row : row + 1], [how.step(where)], 1)
        torch.testing.assert_close(made[row : row + 1], wanted, atol=1e-5, rtol=0)
    assert print_images(images, [None] * 3, [None] * 3) is images


def test_an_enlarged_print_has_its_dots_further_apart() -> None:
    assert BLACK.enlarged(1.3).pitch == pytest.approx(1.3 * 7.5)
    assert BLACK.enlarged(1.3).angles == BLACK.angles


def test_only_the_end_of_omega_changes() -> None:
    omega = torch.rand(2, 512)
    coded = with_print(omega, [FOUR, None])
    assert torch.equal(coded[:, :-CODE], omega[:, :-CODE])
    assert torch.equal(coded[0, -CODE:], FOUR.code())
    assert not coded[1, -CODE:].any()


def test_the_note_counts_in_pixels_of_the_photo() -> None:
    assert printed_note(FOUR, 2) == (
        "printed in dots, 2.6 px of the photo apart, four inks (15°, 75°, 0°, 45°)"
    )
    assert "black ink (38°)" in printed_note(BLACK, 1)
