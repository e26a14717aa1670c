"""Resizing against Pillow (antialiased), OpenCV (not) and PyTorch; the two ways between grids."""

import math
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from redeg_cli.degrade import resize as resize_module
from redeg_cli.degrade.canvas import Canvas, Size, stack_images
from redeg_cli.degrade.resize import (
    Filter,
    Resize,
    apply_resize,
    resize,
    resize_canvas,
    to_aligned,
    to_native,
)
from redeg_cli.errors import RecipeError

DOWN_AND_UP = ((24, 30), (17, 41), (12, 15), (5, 7), (47, 59), (1, 1), (61, 73), (96, 120))
FILTERS: tuple[tuple[Filter, bool], ...] = (
    ("area", False),
    ("pool", False),
    ("nearest", False),
    *((name, wide) for name in ("bilinear", "bicubic", "lanczos") for wide in (False, True)),
)


def picture(height: int = 48, width: int = 60) -> torch.Tensor:
    """Values well inside [0, 1], so that overshoot is not clamped."""
    noise = torch.rand((1, 3, height, width), generator=torch.Generator().manual_seed(0))
    return 0.3 + 0.4 * noise


def within(image: torch.Tensor, down: int = 3, right: int = 8, filling: float = 50.0) -> Canvas:
    """A canvas larger than its image, filled with what would show in any pixel it touched."""
    pixels = F.pad(image, (0, right, 0, down), value=filling)
    size = (image.shape[2], image.shape[3])
    return Canvas(pixels, (size,), size, 1)


def pillow(image: torch.Tensor, size: Size, filter: Image.Resampling) -> np.ndarray:
    planes = [
        np.asarray(Image.fromarray(plane.numpy()).resize(size[::-1], filter)) for plane in image[0]
    ]
    return np.stack(planes)


@pytest.mark.parametrize("size", DOWN_AND_UP)
@pytest.mark.parametrize("filter", ["bilinear", "bicubic", "lanczos"])
def test_antialiased_is_pillow(size: Size, filter: Filter) -> None:
    wanted = pillow(picture(), size, Image.Resampling[filter.upper()])
    np.testing.assert_allclose(resize(picture(), size, filter)[0].numpy(), wanted, atol=2e-5)
    ragged = resize_canvas(within(picture()), [size], filter, True).images()[0]
    np.testing.assert_allclose(ragged[0].numpy(), wanted, atol=2e-5)


@pytest.mark.parametrize("size", DOWN_AND_UP)
@pytest.mark.parametrize(
    ("filter", "code"),
    [
        ("bilinear", cv2.INTER_LINEAR),
        ("bicubic", cv2.INTER_CUBIC),
        ("area", cv2.INTER_AREA),
        ("lanczos", cv2.INTER_LANCZOS4),
        ("nearest", cv2.INTER_NEAREST),
    ],
)
def test_without_antialias_it_is_opencv(filter: Filter, code: int, size: Size) -> None:
    wanted = cv2.resize(picture()[0].permute(1, 2, 0).numpy(), size[::-1], interpolation=code)
    made = resize(picture(), size, filter, antialias=False)[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(made, wanted, atol=5e-6)
    ragged = resize_canvas(within(picture()), [size], filter, False).images()[0]
    np.testing.assert_allclose(ragged[0].permute(1, 2, 0).numpy(), wanted, atol=5e-6)


@pytest.mark.parametrize("size", DOWN_AND_UP)
def test_pool_is_the_area_of_pytorch(size: Size) -> None:
    wanted = F.adaptive_avg_pool2d(picture(), size)
    torch.testing.assert_close(resize(picture(), size, "pool"), wanted)
    ragged = resize_canvas(within(picture()), [size], "pool", False).images()[0]
    torch.testing.assert_close(ragged, wanted, atol=1e-6, rtol=0)


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_nearest_by_a_whole_number_is_every_nth_pixel(factor: int) -> None:
    image = picture(48, 60)
    made = resize(image, (48 // factor, 60 // factor), "nearest")
    assert torch.equal(made, image[..., ::factor, ::factor])


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.integers(1, 300), st.integers(1, 300))
def test_nearest_takes_the_same_pixels_alone_and_in_a_ragged_canvas(old: int, new: int) -> None:
    """PyTorch's own takes others for one pair of lengths in sixty: 2 to 82, say."""
    line = (torch.arange(old) / 512).expand(1, 3, 1, old)
    wanted = (torch.arange(new) * old // new) / 512
    made = resize(line, (1, new), "nearest")
    ragged = resize_canvas(within(line), [(1, new)], "nearest", False).images()[0]
    for each in (made, ragged):
        assert torch.equal(each, wanted.expand(1, 3, 1, new))


def test_nearest_where_a_rounded_ratio_goes_wrong() -> None:
    line = torch.tensor([0.25, 0.75]).expand(1, 3, 1, 2)
    made = resize(line, (1, 82), "nearest")[0, 0, 0]
    assert made.tolist() == [0.25] * 41 + [0.75] * 41


SIZES = ((48, 60), (20, 33), (7, 60), (48, 9), (1, 1), (31, 2))
NEW_SIZES = ((24, 30), (27, 90), (7, 13), (5, 9), (6, 4), (31, 70))


@pytest.mark.parametrize(("filter", "antialias"), FILTERS)
def test_images_of_a_ragged_canvas_are_resized_as_if_alone(filter: Filter, antialias: bool) -> None:
    pictures = [picture(*size) for size in SIZES]
    canvas = stack_images(pictures, Canvas.of(pictures[0], 1))
    made = resize_canvas(canvas, NEW_SIZES, filter, antialias)
    assert made.sizes == NEW_SIZES
    assert made.pixels.shape[2:] == (31, 90)
    for image, ours, size in zip(pictures, made.images(), NEW_SIZES, strict=True):
        alone = resize(image, size, filter, antialias)
        torch.testing.assert_close(ours, alone, atol=3e-6, rtol=0)


@pytest.mark.parametrize(("filter", "antialias"), FILTERS)
def test_what_lies_beyond_an_image_has_no_part_in_it(filter: Filter, antialias: bool) -> None:
    """48 to 23: rounding once gave the first pixel beyond a weight of 4e-6."""
    for size in ((48, 23), (29, 60), (100, 7)):
        dark = resize_canvas(within(picture(), filling=0), [size], filter, antialias)
        bright = resize_canvas(within(picture(), filling=1e6), [size], filter, antialias)
        assert torch.equal(dark.images()[0], bright.images()[0])


def test_area_takes_the_same_from_each_pixel_of_a_long_line() -> None:
    line = torch.zeros(1, 3, 1, 9000)
    line[..., 1::2] = 1
    made = resize_canvas(within(line), [(1, 4500)], "area", False).images()[0]
    assert torch.equal(made, torch.full_like(made, 0.5))


@pytest.mark.parametrize(("filter", "antialias"), FILTERS)
def test_large_images_made_block_by_block_are_the_same(
    filter: Filter, antialias: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = [picture(700, 5), picture(93, 6)]
    two = stack_images(pictures, Canvas.of(pictures[0], 1))
    one = within(pictures[0])
    cases: list[tuple[Canvas, tuple[Size, ...]]] = [
        *(
            (two, sizes)
            for sizes in (((610, 3), (300, 6)), ((29, 5), (400, 4)), ((900, 5), (1, 1)))
        ),
        *((one, sizes) for sizes in (((610, 3),), ((300, 4),), ((1000, 5),))),
    ]
    for canvas, sizes in cases:
        blocks = resize_canvas(canvas, sizes, filter, antialias)
        # Below an image that has ended too: other steps run over it.
        assert blocks.pixels.isfinite().all()
        with monkeypatch.context() as patch:
            patch.setattr(resize_module, "_BLOCK", 100_000)
            whole = resize_canvas(canvas, sizes, filter, antialias)
        for ours, wanted in zip(blocks.images(), whole.images(), strict=True):
            torch.testing.assert_close(ours, wanted, atol=2e-6, rtol=0)


def test_overshoot_is_clamped_and_the_same_size_is_the_same_image() -> None:
    step = torch.zeros(1, 3, 8, 8)
    step[..., 4:] = 1
    for made in (resize(step, (32, 32)), resize_canvas(within(step), [(32, 32)], "bicubic", True)):
        pixels = made if isinstance(made, torch.Tensor) else made.images()[0]
        assert pixels.min() == 0
        assert pixels.max() == 1
    assert resize(step, (8, 8)) is step


@pytest.mark.parametrize(
    ("table", "wanted"),
    [
        ({}, (30, 47)),
        ({"factor": 0.5}, (15, 23)),
        ({"factor": 1.5}, (45, 70)),
        ({"factor": 1e-6}, (1, 1)),
        ({"factor": 0.333333}, (9, 15)),  # 1/3 as a record keeps it: 9.99999 and 15.67
        ({"factor": 1 / 3}, (10, 15)),  # 10 to the last digit but one
        ({"of": "hq"}, (96, 120)),
        ({"of": "hq", "factor": 0.25}, (24, 30)),
        ({"of": "native"}, (32, 40)),
        ({"of": "native", "factor": 1.2}, (38, 48)),
        ({"of": "native", "factor": 0.3}, (9, 12)),
    ],
)
def test_the_target_is_rounded_down(table: dict[str, Any], wanted: Size) -> None:
    canvas = Canvas.of(torch.zeros(1, 3, 96, 120), 3)
    assert Resize.model_validate(table).target((30, 47), canvas) == wanted


def test_a_size_that_memory_does_not_hold_is_refused() -> None:
    canvas = Canvas.of(torch.zeros(1, 3, 1, 1).expand(1, 3, 4000, 4000), 4)
    assert Resize(of="hq", factor=4).target((1, 1), canvas) == (16000, 16000)
    with pytest.raises(RecipeError, match="16400x16400 px has more than 16 times the pixels"):
        Resize(of="hq", factor=4.1).target((1, 1), canvas)
    with pytest.raises(RecipeError, match="take a smaller factor"):
        Resize(factor=16).target((16000, 16000), canvas)
    small = Canvas.of(torch.zeros(1, 3, 64, 64), 4)
    assert Resize(of="hq", factor=16).target((1, 1), small) == (1024, 1024)


@settings(deadline=None, derandomize=True, max_examples=50)
@given(st.integers(1, 4000), st.integers(1, 8))
def test_a_whole_part_of_a_multiple_is_exact(length: int, scale: int) -> None:
    """n * scale * (1 / scale) is n, though 1 / scale is rounded."""
    size = (length * scale, length)
    canvas = Canvas.of(torch.zeros(1, 3, 1, 1).expand(1, 3, *size), 1)
    assert Resize(factor=1 / scale).target(size, canvas)[0] == length
    assert Resize(factor=math.nextafter(1 / scale, 0)).target(size, canvas)[0] == length


def test_every_step_has_its_filter_and_its_size() -> None:
    pictures = [picture(*size) for size in SIZES]
    canvas = stack_images(pictures, Canvas.of(picture(48, 60), 2))
    steps = [
        Resize(factor=0.5),
        Resize(factor=1.3, filter="bicubic"),
        Resize(of="hq", filter="lanczos", antialias=True),
        Resize(of="native", filter="pool"),
        Resize(factor=3, filter="nearest"),
        Resize(factor=0.4, filter="bicubic", antialias=True),
    ]
    made = apply_resize(canvas, steps)
    assert made.sizes == ((24, 30), (26, 42), (48, 60), (24, 30), (3, 3), (12, 1))
    for row, (step, size) in enumerate(zip(steps, made.sizes, strict=True)):
        alone = resize(pictures[row], size, step.filter, step.antialias)
        torch.testing.assert_close(made.images()[row], alone, atol=3e-6, rtol=0)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"factor": 0}, "greater than 0"),
        ({"factor": 16.1}, "less than or equal to 16"),
        ({"factor": math.nan}, "finite"),
        ({"of": "lq"}, "'current', 'hq' or 'native'"),
        ({"filter": "cubic"}, "'bilinear', 'bicubic'"),
        ({"size": 3}, "Extra inputs"),
    ],
)
def test_values_out_of_range_are_refused(table: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Resize.model_validate(table)


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_to_aligned_is_pillow_bicubic(scale: int) -> None:
    made = to_aligned(picture(), scale)
    wanted = pillow(picture(), (48 * scale, 60 * scale), Image.Resampling.BICUBIC)
    np.testing.assert_allclose(made[0].numpy(), wanted, atol=2e-5)


@pytest.mark.parametrize("scale", [2, 4])
def test_there_and_back_leaves_a_ramp_where_it_was(scale: int) -> None:
    """A shift of half a pixel would show as half a step of the ramp."""
    ramp = (torch.arange(32.0) / 40 + 0.1).expand(1, 3, 32, 32)
    back = to_native(to_aligned(ramp, scale), scale)
    torch.testing.assert_close(back[..., 3:-3], ramp[..., 3:-3], atol=1e-5, rtol=0)


@pytest.mark.parametrize("scale", [2, 4])
def test_sampling_to_native_keeps_the_grain_it_should(scale: int) -> None:
    """A cubic (a = -0.75) half way between pixels keeps the square of 0.7227 of white noise."""
    noise = 0.05 * torch.randn((1, 3, 256, 256), generator=torch.Generator().manual_seed(0))
    kept = to_native(0.5 + noise, scale).var() / noise.var()
    energy = 2 * (0.59375**2 + 0.09375**2)
    assert kept.item() == pytest.approx(energy**2, rel=0.05)
