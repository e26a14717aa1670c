"""Error diffusion: the slanting order against the plain one, tones, and images beside others."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from redeg_cli.degrade import error_diffusion
from redeg_cli.degrade.canvas import Canvas
from redeg_cli.degrade.error_diffusion import (
    FILTERS,
    ErrorDiffusion,
    Kernel,
    apply_error_diffusion,
    diffuse_errors,
)
from redeg_cli.degrade.tone import to_luma

KERNELS: tuple[Kernel, ...] = ("floyd-steinberg", "jarvis", "stucki")
PUBLISHED: dict[Kernel, tuple[list[list[int]], int]] = {
    "floyd-steinberg": ([[0, 0, 7], [3, 5, 1]], 16),
    "jarvis": ([[0, 0, 0, 7, 5], [3, 5, 7, 5, 3], [1, 3, 5, 3, 1]], 48),
    "stucki": ([[0, 0, 0, 8, 4], [2, 4, 8, 4, 2], [1, 2, 4, 2, 1]], 42),
}


def pixel_by_pixel(
    tones: np.ndarray, kernel: Kernel, levels: int, thresholds: np.ndarray | None = None
) -> np.ndarray:
    """Diffuse the errors of (H, W) in reading order, in units of 1/4096 of a level."""
    table, whole = PUBLISHED[kernel]
    share = np.array(table)
    reach = share.shape[1] // 2
    height, width = tones.shape
    given = np.zeros((height + 2, width + 2 * reach), np.int64)
    printed = np.zeros((height, width))
    for y in range(height):
        for x in range(width):
            wanted = round(float(tones[y, x]) * (levels - 1) * 4096)
            value = (2 * (wanted * whole + given[y, x + reach]) + whole) // (2 * whole)
            threshold = 0.5 if thresholds is None else thresholds[y, x]
            level = min(max(int(np.floor(value / 4096 + 1 - threshold)), 0), levels - 1)
            printed[y, x] = level / (levels - 1)
            given[y : y + len(share), x : x + 2 * reach + 1] += share * (value - 4096 * level)
    return printed


def random_tones(*shape: int) -> torch.Tensor:
    """Return tones of an 8-bit file, whose products with whole numbers are exact in float32."""
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randint(0, 257, shape, generator=generator) / 256


@pytest.mark.parametrize("levels", [2, 5])
@pytest.mark.parametrize("kernel", KERNELS)
def test_equals_the_plain_order(kernel: Kernel, levels: int) -> None:
    tones = random_tones(2, 19, 26)
    sizes = torch.tensor([[19, 26], [13, 17]])
    printed = diffuse_errors(tones, sizes, kernel, torch.tensor([levels, 2])).numpy()
    first = pixel_by_pixel(tones[0].numpy(), kernel, levels)
    np.testing.assert_allclose(printed[0], first, atol=1e-6)
    # Smaller than the plane: what lies beyond must not flow back.
    second = pixel_by_pixel(tones[1, :13, :17].numpy(), kernel, 2)
    np.testing.assert_array_equal(printed[1, :13, :17], second)


def test_large_planes_are_printed_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    tones, thresholds = random_tones(3, 19, 26), random_tones(3, 19, 26).clamp(0.01, 0.99)
    sizes = torch.tensor([[19, 26], [13, 17], [19, 26]])
    levels = torch.tensor([2, 3, 4])
    for given in (None, thresholds):
        monkeypatch.undo()
        together = diffuse_errors(tones, sizes, "stucki", levels, given)
        monkeypatch.setattr(error_diffusion, "_MOST", 1000)
        assert torch.equal(diffuse_errors(tones, sizes, "stucki", levels, given), together)


def test_equals_the_plain_order_with_varied_thresholds() -> None:
    tones, thresholds = random_tones(1, 18, 23), random_tones(1, 18, 24)[..., 1:].clamp(0.01, 0.99)
    # Both with sums that leave the range of the levels.
    tones[:, :6], tones[:, 12:] = 1, 0
    for levels in (2, 3):
        printed = diffuse_errors(
            tones, torch.tensor([[18, 23]]), "jarvis", torch.tensor([levels]), thresholds
        )
        expected = pixel_by_pixel(tones[0].numpy(), "jarvis", levels, thresholds[0].numpy())
        np.testing.assert_array_equal(printed[0].numpy(), expected)


def test_the_tables_are_the_published_ones() -> None:
    for kernel, (table, whole) in PUBLISHED.items():
        filter_ = FILTERS[kernel]
        reach = len(table[0]) // 2
        rows = [[0] * (2 * reach + 1) for _ in table]
        for row, (first, parts) in zip(rows, filter_.rows, strict=True):
            row[first + reach : first + reach + len(parts)] = parts
        assert (rows, filter_.whole) == (table, whole)
        assert sum(map(sum, rows)) == whole


def test_one_narrow_column_and_one_row() -> None:
    for shape in ((1, 30, 1), (1, 1, 30), (1, 2, 2)):
        tones = random_tones(*shape)
        for kernel in KERNELS:
            printed = diffuse_errors(tones, torch.tensor([shape[1:]]), kernel, torch.tensor([2]))
            expected = pixel_by_pixel(tones[0].numpy(), kernel, 2)
            np.testing.assert_array_equal(printed[0].numpy(), expected)


def photo(size: int = 64, count: int = 1) -> torch.Tensor:
    """Return smooth random colours (count, 3, size, size)."""
    small = torch.rand(count, 3, 6, 6, generator=torch.Generator().manual_seed(2))
    return torch.nn.functional.interpolate(small, size=(size, size), mode="bicubic").clamp(0, 1)


def printed(hq: torch.Tensor, *steps: ErrorDiffusion) -> torch.Tensor:
    return apply_error_diffusion(Canvas.of(hq, 1), steps).pixels


@pytest.mark.parametrize("jitter", [0.0, 0.6])
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("tone", [0.0, 0.1, 0.35, 0.5, 0.8, 1.0])
def test_tones_are_kept(tone: float, kernel: Kernel, jitter: float) -> None:
    hq = torch.full((1, 3, 64, 64), tone)
    for levels in (2, 4):
        step = ErrorDiffusion(kernel=kernel, levels=levels, jitter=jitter, seed=5)
        out = printed(hq, step)
        # The last errors fall off the sheet: half a level along two sides of 64 pixels at most.
        assert out.mean().item() == pytest.approx(tone, abs=1 / 64 if 0 < tone < 1 else 0)
        printable = torch.arange(levels) / (levels - 1)
        assert (out.unsqueeze(-1) - printable).abs().amin(-1).max() < 1e-6


def test_black_ink_prints_the_luma_and_four_inks_the_colours() -> None:
    hq = photo()
    black = printed(hq, ErrorDiffusion())
    assert torch.equal(black[:, 0], black[:, 1])
    assert torch.equal(black[:, 0], black[:, 2])
    blurred = torch.nn.functional.avg_pool2d(black[:, :1] - to_luma(hq), 16)
    assert blurred.abs().max() < 0.02
    for step, tolerance in (
        (ErrorDiffusion(inks="cmy"), 0.02),
        (ErrorDiffusion(inks="cmyk"), 0.08),
    ):
        colours = printed(hq, step)
        assert torch.equal(colours, colours.round())
        # Black dots fall on coloured ones more or less often than by chance: hence the tolerance.
        assert torch.nn.functional.avg_pool2d(colours - hq, 16).abs().max() < tolerance


def test_errors_move_noise_to_high_frequencies() -> None:
    noise = printed(torch.full((1, 3, 64, 64), 0.4), ErrorDiffusion())[0, 0] - 0.4
    power = torch.fft.fft2(noise).abs().square()
    frequency = torch.fft.fftfreq(64)
    radius = (frequency[:, None].square() + frequency.square()).sqrt()
    low, high = power[(radius < 0.1) & (radius > 0)].mean(), power[radius > 0.35].mean()
    # White noise, as of random dots, has as much in both.
    assert high > 30 * low


def test_dots_are_squares_of_the_asked_side() -> None:
    hq = photo(50)
    out = printed(hq, ErrorDiffusion(dot=4))
    grown = out[..., ::4, ::4].repeat_interleave(4, 2).repeat_interleave(4, 3)[..., :50, :50]
    assert torch.equal(out, grown)
    assert 0 < out.mean() < 1
    # As the means of the cells are printed in dots of one pixel; the last cells are not whole.
    padded = torch.nn.functional.pad(hq, (0, 2, 0, 2), mode="replicate")
    cells = torch.nn.functional.avg_pool2d(padded, 4)
    assert torch.equal(out[..., ::4, ::4], printed(cells, ErrorDiffusion()))


def test_jitter_depends_on_the_seed_alone() -> None:
    hq = photo(48)
    first = printed(hq, ErrorDiffusion(jitter=0.5, seed=1))
    assert torch.equal(first, printed(hq, ErrorDiffusion(jitter=0.5, seed=1)))
    assert not torch.equal(first, printed(hq, ErrorDiffusion(jitter=0.5, seed=2)))
    plain = printed(hq, ErrorDiffusion(jitter=0, seed=1))
    assert torch.equal(plain, printed(hq, ErrorDiffusion(jitter=0, seed=2)))
    assert not torch.equal(plain, first)


STEPS = (
    ErrorDiffusion(),
    ErrorDiffusion(inks="cmyk", dot=3),
    ErrorDiffusion(kernel="jarvis", levels=3, dot=2),
    ErrorDiffusion(inks="cmy", kernel="jarvis", jitter=0.4, seed=7),
    ErrorDiffusion(inks="cmyk", kernel="stucki", jitter=1, seed=9),
    ErrorDiffusion(jitter=0.3, seed=4, dot=5),
    ErrorDiffusion(jitter=0.9, seed=5, dot=2),
)
SIZES = ((40, 52), (37, 29), (64, 20), (21, 64), (40, 41), (1, 3), (33, 50))


def test_an_image_in_a_batch_is_printed_as_if_alone() -> None:
    images = [photo(64)[:, :, :h, :w] for h, w in SIZES]
    canvas = Canvas(photo(64, len(SIZES)).flip(2), SIZES, (64, 64), 1)
    for i, image in enumerate(images):
        canvas.pixels[i, :, : image.shape[2], : image.shape[3]] = image[0]
    together = apply_error_diffusion(canvas, STEPS)
    assert together.sizes == SIZES
    for image, step, result in zip(images, STEPS, together.images(), strict=True):
        assert torch.equal(result, printed(image.contiguous(), step))


def test_the_batch_on_one_grid_is_printed_as_one_by_one() -> None:
    images = photo(32, 3)
    steps = [ErrorDiffusion(dot=2), ErrorDiffusion(inks="cmyk"), ErrorDiffusion(kernel="stucki")]
    together = printed(images, *steps)
    for i, step in enumerate(steps):
        assert torch.equal(together[i : i + 1], printed(images[i : i + 1], step))
    assert together.isfinite().all()
    assert together.min() >= 0
    assert together.max() <= 1


@pytest.mark.parametrize(
    "wrong",
    [{"levels": 1}, {"dot": 0}, {"jitter": 1.1}, {"kernel": "atkinson"}, {"inks": "red"}, {"x": 1}],
)
def test_other_values_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ErrorDiffusion.model_validate(wrong)
