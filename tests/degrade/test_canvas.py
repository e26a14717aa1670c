"""A canvas of images of different sizes against NumPy on each image alone."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from redeg_cli.degrade.canvas import Border, Canvas, Size, stack_images

RAGGED: tuple[Size, ...] = ((9, 11), (1, 1), (4, 11), (9, 2), (7, 3))
NUMPY_MODE = {"mirror": "reflect", "replicate": "edge"}
FILLING = 7.0
"""What lies beyond the images: no picture has it, so it shows where it is used."""


def canvas_of(sizes: tuple[Size, ...], scale: int = 2) -> Canvas:
    """Noise in [0, 1) in the upper left corners, ``FILLING`` beyond."""
    height, width = (max(lengths) for lengths in zip(*sizes, strict=True))
    pixels = torch.full((len(sizes), 3, height, width), FILLING)
    generator = torch.Generator().manual_seed(0)
    for row, (h, w) in enumerate(sizes):
        pixels[row, :, :h, :w] = torch.rand((3, h, w), generator=generator)
    return Canvas(pixels, sizes, (16, 24), scale)


def padded(image: torch.Tensor, before: int, after: int, mode: Border) -> np.ndarray:
    pads = ((0, 0), (before, after), (before, after))
    return np.pad(image.numpy(), pads, mode=NUMPY_MODE[mode])


def check_borders(canvas: Canvas, before: int, after: int, mode: Border) -> None:
    out = canvas.bordered(before, after, mode)
    height, width = canvas.pixels.shape[2:]
    assert out.shape[2:] == (before + height + after, before + width + after)
    for image, made in zip(canvas.images(), out, strict=True):
        wanted = padded(image[0], before, after, mode)
        own = made[:, : wanted.shape[1], : wanted.shape[2]]
        np.testing.assert_array_equal(own.numpy(), wanted)


@pytest.mark.parametrize("mode", ["mirror", "replicate"])
@pytest.mark.parametrize(("before", "after"), [(0, 0), (2, 2), (0, 5), (3, 1), (30, 45)])
def test_borders_of_a_ragged_canvas_are_those_of_numpy(
    before: int, after: int, mode: Border
) -> None:
    check_borders(canvas_of(RAGGED), before, after, mode)


@pytest.mark.parametrize("mode", ["mirror", "replicate"])
@pytest.mark.parametrize(("before", "after"), [(0, 0), (4, 2), (6, 6), (7, 7), (0, 33)])
def test_borders_of_a_whole_canvas_are_those_of_numpy(
    before: int, after: int, mode: Border
) -> None:
    """7 is as long as the image is high, and more than one reflection can give."""
    check_borders(canvas_of(((7, 9), (7, 9))), before, after, mode)


@settings(deadline=None, derandomize=True, max_examples=40)
@given(
    st.lists(st.tuples(st.integers(1, 8), st.integers(1, 8)), min_size=1, max_size=4),
    st.integers(0, 20),
    st.integers(0, 20),
    st.sampled_from(["mirror", "replicate"]),
)
def test_any_border_fits_any_images(
    sizes: list[Size], before: int, after: int, mode: Border
) -> None:
    check_borders(canvas_of(tuple(sizes)), before, after, mode)


def test_beyond_its_border_an_image_of_a_ragged_canvas_has_no_filling() -> None:
    """Transforms over the whole canvas must not meet what is no picture."""
    for mode in ("mirror", "replicate"):
        assert canvas_of(RAGGED).bordered(3, 3, mode).max() < 1


def test_select_cuts_to_the_largest_of_those_chosen() -> None:
    canvas = canvas_of(RAGGED)
    some = canvas.select([3, 1, 4])
    assert some.sizes == ((9, 2), (1, 1), (7, 3))
    assert some.pixels.shape == (3, 3, 9, 3)
    for row, image in zip([3, 1, 4], some.images(), strict=True):
        assert torch.equal(image, canvas.images()[row])
    assert (some.hq_size, some.scale) == (canvas.hq_size, canvas.scale)


def test_select_of_all_is_the_canvas_itself_unless_the_order_is_another() -> None:
    canvas = canvas_of(((2, 3), (4, 1)))
    assert canvas.select([0, 1]) is canvas
    assert canvas.select([1, 0]).sizes == ((4, 1), (2, 3))


@pytest.mark.parametrize("rows", [[2], [1, 3], [4, 0], [0, 1, 2, 3, 4], [4, 3, 2, 1, 0]])
def test_merging_what_was_selected_gives_the_canvas_back(rows: list[int]) -> None:
    canvas = canvas_of(RAGGED)
    again = canvas.merge(rows, canvas.select(rows))
    assert again.sizes == canvas.sizes
    for image, wanted in zip(again.images(), canvas.images(), strict=True):
        assert torch.equal(image, wanted)


@pytest.mark.parametrize("size", [(13, 2), (2, 14), (1, 1), (20, 20)])
def test_merge_grows_and_shrinks_the_canvas(size: Size) -> None:
    canvas = canvas_of(((9, 11), (3, 4)))
    new = torch.full((1, 3, *size), 0.25)
    merged = canvas.merge([0], Canvas(new, (size,), canvas.hq_size, canvas.scale))
    assert merged.sizes == (size, (3, 4))
    assert merged.pixels.shape[2:] == (max(size[0], 3), max(size[1], 4))
    assert torch.equal(merged.images()[0], new)
    assert torch.equal(merged.images()[1], canvas.images()[1])


def test_stacked_images_come_out_again() -> None:
    canvas = canvas_of(RAGGED)
    again = stack_images(canvas.images(), canvas)
    assert again.sizes == RAGGED
    assert again.pixels.shape == canvas.pixels.shape
    for image, wanted in zip(again.images(), canvas.images(), strict=True):
        assert torch.equal(image, wanted)


def test_what_a_canvas_tells_of_itself() -> None:
    canvas = canvas_of(((3, 4), (2, 6)), scale=4)
    assert canvas.native_size == (4, 6)
    assert canvas.ragged
    assert not canvas_of(((3, 4), (3, 4))).ragged
    heights, widths = canvas.lengths()
    assert heights.shape == widths.shape == (2, 1, 1, 1)
    assert heights.flatten().tolist() == [3, 2]
    assert widths.flatten().tolist() == [4, 6]
    rows, columns = canvas.coordinates()
    assert rows.tolist() == [[0], [1], [2]]
    assert columns.tolist() == [[0, 1, 2, 3, 4, 5]]
    flags = canvas.column([True, False])
    assert flags.dtype == torch.bool
    assert flags.shape == (2, 1, 1, 1)


def test_a_canvas_of_hq_images_holds_them_whole() -> None:
    hq = torch.rand((2, 3, 8, 12), generator=torch.Generator().manual_seed(1))
    canvas = Canvas.of(hq, 4)
    assert canvas.pixels is hq
    assert (canvas.sizes, canvas.hq_size, canvas.scale) == (((8, 12),) * 2, (8, 12), 4)
    assert canvas.native_size == (2, 3)
    assert not canvas.ragged
    assert canvas.with_pixels(hq + 1).sizes == canvas.sizes
    assert canvas.with_pixels(hq[:, :, :4], [(4, 12), (3, 12)]).sizes == ((4, 12), (3, 12))
