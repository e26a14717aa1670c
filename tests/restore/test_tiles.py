"""Tiles against the whole picture, with networks whose answer is known."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from redeg_cli.errors import ModelError, RedegError
from redeg_cli.io.images import read_rgb, to_tensor
from redeg_cli.models import DEFAULT_RESTORER, load_restorer
from redeg_cli.restore.tiles import default_tile, tile_spans, tiled


def picture(height: int, width: int) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(7))


def nearest(scale: int):
    return lambda part: F.interpolate(part, scale_factor=scale, mode="nearest")


class Net(nn.Module):
    """Looks 6 pixels around (three 5x5 convolutions) and pads with zeros as networks do."""

    def __init__(self, scale: int) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.layers = nn.Sequential(
            nn.Conv2d(3, 6, 5, padding=2),
            nn.Tanh(),
            nn.Conv2d(6, 6, 5, padding=2),
            nn.Tanh(),
            nn.Conv2d(6, 3 * scale * scale, 5, padding=2),
            nn.PixelShuffle(scale),
        )

    def forward(self, image: Tensor) -> Tensor:
        return self.layers(image)


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [(100, 75), (64, 64), (33, 130), (1, 1), (1, 90), (65, 3)])
def test_a_pointwise_network_gives_the_whole_picture_exactly(
    scale: int, size: tuple[int, int]
) -> None:
    image = picture(*size)
    out = tiled(nearest(scale), image, scale, tile=32, overlap=8)
    torch.testing.assert_close(out, nearest(scale)(image), rtol=0, atol=1e-6)


@pytest.mark.parametrize("scale", [1, 2])
def test_tiles_equal_the_whole_when_the_network_fits_the_overlap(scale: int) -> None:
    net = Net(scale).eval()
    image = picture(150, 203)
    with torch.no_grad():
        whole = net(image)
    assert whole.std() > 0.05
    wide = tiled(net, image, scale, tile=64, overlap=32)
    assert (wide - whole).abs().max() < 1e-5
    none = tiled(net, image, scale, tile=64, overlap=0)
    assert (none - whole).abs().max() > 1 / 255  # the comparison can fail


def test_a_pixel_unshuffling_network_sees_the_same_phase_in_every_tile() -> None:
    def checker(part: Tensor) -> Tensor:
        folded = F.pixel_unshuffle(part, 4)
        return F.pixel_shuffle(folded * torch.linspace(0, 1, folded.shape[1])[:, None, None], 4)

    image = picture(96, 148)
    torch.testing.assert_close(tiled(checker, image, 1, tile=44, overlap=12), checker(image))


def test_a_small_picture_is_one_call_of_its_own_size() -> None:
    shapes: list[tuple[int, ...]] = []

    def fn(part: Tensor) -> Tensor:
        shapes.append(tuple(part.shape))
        return part

    tiled(fn, picture(40, 64), 1, tile=64)
    assert shapes == [(1, 3, 40, 64)]


def test_positions_tell_where_the_tile_lies() -> None:
    image = torch.zeros(1, 1, 90, 120)
    expected = (torch.arange(90)[:, None] + 1000.0 * torch.arange(120))[None, None]

    def fn(part: Tensor, y: int, x: int) -> Tensor:
        rows = torch.arange(part.shape[-2])[:, None] + y
        return (rows + 1000.0 * (torch.arange(part.shape[-1]) + x))[None, None]

    out = tiled(fn, image, 1, tile=48, overlap=16, positions=True)
    torch.testing.assert_close(out, expected)


def test_channels_may_change() -> None:
    out = tiled(lambda part: part.mean(1, keepdim=True), picture(70, 70), 1, tile=32, overlap=8)
    torch.testing.assert_close(out, picture(70, 70).mean(1, keepdim=True))


def test_seams_are_feathered() -> None:
    """Tiles that disagree in brightness must not meet in a step."""
    count = 0

    def fn(part: Tensor) -> Tensor:
        nonlocal count
        count += 1
        return torch.full_like(part, float(count % 2))

    out = tiled(fn, torch.zeros(1, 1, 64, 112), 1, tile=72, overlap=32)
    assert count == 2
    steps = out[0, 0, 0].diff().abs()
    assert steps.sum() == pytest.approx(1, abs=1e-5)
    assert steps.max() < 0.3


@settings(max_examples=200, deadline=None)
@given(length=st.integers(1, 700), tile=st.integers(1, 300), overlap=st.integers(0, 150))
def test_spans_cover_everything_and_stay_within_the_tile(
    length: int, tile: int, overlap: int
) -> None:
    spans = tile_spans(length, tile, overlap)
    assert spans[0][0] == 0
    assert spans[-1][1] == length
    for start, stop in spans:
        assert 0 < stop - start <= max(tile, 16)
        assert start % 8 == 0
    wanted = min(overlap, max(tile, 16) // 2)
    for (_, stop), (start, _) in pairwise(spans):
        assert stop - start >= wanted
    # No pixel is computed that so many tiles need not compute, but for starts that are round.
    count = len(spans)
    longest = max(stop - start for start, stop in spans)
    assert longest <= -(-(length - wanted) // count) + wanted + 8


def test_a_picture_hardly_larger_than_a_tile_is_cut_in_the_middle() -> None:
    assert tile_spans(520, 512, 112) == [(0, 320), (200, 520)]


def test_the_embedded_restorer_sees_enough_in_tiles() -> None:
    """A print, of which what is far off tells how it was printed."""
    photo = to_tensor(read_rgb(Path(__file__).parents[2] / "examples" / "old_photo.jpg"))
    photo = torch.cat([photo, photo.flip(3)], 3)[:, :, 100:148, :384]
    restorer = load_restorer(DEFAULT_RESTORER, 2)
    with torch.no_grad():
        whole = restorer(photo)
    assert (tiled(restorer, photo, 2, tile=224) - whole).abs().max() < 1 / 255
    narrow = tiled(restorer, photo, 2, tile=224, overlap=64)
    assert (narrow - whole).abs().max() > 1 / 255  # the comparison can fail


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    tile=st.integers(1, 60),
    overlap=st.integers(0, 40),
    scale=st.integers(1, 2),
)
def test_the_weights_sum_to_one_for_any_tile_and_overlap(
    height: int, width: int, tile: int, overlap: int, scale: int
) -> None:
    image = picture(height, width)
    out = tiled(nearest(scale), image, scale, tile, overlap)
    torch.testing.assert_close(out, nearest(scale)(image), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError("CUDA out of memory."), RuntimeError("MPS backend out of memory")],
)
def test_out_of_memory_halves_the_tile_and_gives_the_same(error: Exception) -> None:
    sizes: list[int] = []
    seen: list[tuple[int, int, str]] = []

    def fn(part: Tensor) -> Tensor:
        sizes.append(max(part.shape[-2:]))
        if sizes[-1] > 100:
            raise error
        return part

    def on_progress(done: int, total: int, text: str = "") -> None:
        seen.append((done, total, text))

    image = picture(150, 300)
    out = tiled(fn, image, 1, tile=2000, overlap=16, on_progress=on_progress)
    torch.testing.assert_close(out, image)
    assert sizes[:2] == [300, 150]
    assert 75 / 2 < sizes[2] <= 75
    assert seen[-1][0] == seen[-1][1] > 1
    assert seen[-1][2] == "tile 75"


def test_the_result_is_written_where_it_is_wanted() -> None:
    """What lay there does not count, nor does what was written before the memory ran out."""
    image, calls = picture(70, 90), 0

    def fn(part: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return nearest(2)(part)

    array = torch.full((140, 180, 3), torch.nan)
    out = tiled(fn, image, 2, tile=80, overlap=8, into=array.permute(2, 0, 1)[None])
    assert calls > 4
    assert out.data_ptr() == array.data_ptr()
    torch.testing.assert_close(array.permute(2, 0, 1)[None], nearest(2)(image), rtol=0, atol=1e-6)
    with pytest.raises(ValueError, match="does not fit"):
        tiled(nearest(2), image, 2, tile=80, into=array[None, :, :, 0])


def test_out_of_memory_with_the_smallest_tile_is_an_error_that_says_what_to_do() -> None:
    sizes: list[int] = []

    def fn(part: Tensor) -> Tensor:
        sizes.append(max(part.shape[-2:]))
        raise torch.OutOfMemoryError("CUDA out of memory.")

    with pytest.raises(RedegError, match=r"64 pixels.*--device cpu"):
        tiled(fn, picture(200, 200), 1, tile=256)
    assert len(sizes) == 3
    assert all(size <= most for size, most in zip(sizes, (200, 100, 64), strict=True))


def test_other_errors_pass_through_at_once() -> None:
    calls = 0

    def fn(part: Tensor) -> Tensor:
        nonlocal calls
        calls += len(part)
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1"):
        tiled(fn, picture(200, 200), 1, tile=128)
    assert calls == 1


def test_a_wrong_scale_is_an_error() -> None:
    with pytest.raises(ModelError, match="scale 4"):
        tiled(nearest(2), picture(20, 20), 4, tile=64)


@pytest.mark.parametrize("shape", [(3, 8, 8), (2, 3, 8, 8), (1, 3, 0, 8)])
def test_wrong_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="want"):
        tiled(lambda part: part, torch.zeros(shape), 1, tile=64)


def test_no_gradient_is_kept() -> None:
    net = Net(1)
    assert not tiled(net, picture(40, 40), 1, tile=32, overlap=8).requires_grad


def test_the_first_tile_depends_on_the_device() -> None:
    assert default_tile("cuda") > default_tile("cpu") >= 256


def test_pictures_of_several_threads_take_turns() -> None:
    working = threading.Semaphore(1)

    def alone(part: Tensor) -> Tensor:
        assert working.acquire(blocking=False), "two pictures were on the device at a time"
        time.sleep(0.005)
        working.release()
        return part + 1

    pictures = [picture(40, 24 + index) for index in range(4)]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda image: tiled(alone, image, 1, 16, 8), pictures))
    for image, result in zip(pictures, results, strict=True):
        assert torch.allclose(result, image + 1)
