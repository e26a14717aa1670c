"""Camera noise: there and back, the sensor's noise, demosaicing, and images beside others."""

import math

import cv2
import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy import ndimage

from redeg_cli.degrade.canvas import Canvas
from redeg_cli.degrade.isp import (
    CAMERAS,
    IspNoise,
    apply_isp_noise,
    camera_matrices,
    demosaic,
    expose,
    mosaic,
    process,
    unprocess,
    usual_read,
)


def random_images(count: int, size: int = 64, most: float = 1.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(count)
    return torch.rand(count, 3, size, size, generator=generator) * most


def scalar(value: float) -> torch.Tensor:
    return torch.tensor(value).view(1, 1, 1, 1)


def test_processing_is_the_inverse_of_unprocessing() -> None:
    images = random_images(4, most=0.93)
    images[:, :, :2] = 0
    images[3] = torch.tensor([[0.9], [0.0], [0.3]])[..., None]
    matrices = camera_matrices(torch.eye(4))
    gains = torch.tensor([[2.4, 1.2, 2.0], [1, 1, 1], [4, 2, 3], [1.9, 1.0, 1.5]])[..., None, None]
    camera = unprocess(images, matrices, gains)
    assert camera.max() <= 1
    assert camera[0].mean() < 0.3 * images[0].mean()
    torch.testing.assert_close(process(camera * gains, matrices), images, atol=1e-4, rtol=0)


def test_unprocessing_step_by_step_in_double_precision() -> None:
    images = random_images(1)
    gains = np.array([2.2 * 1.3, 1.3, 1.7 * 1.3])
    x = images[0].double().numpy()
    tone = np.linspace(0, 1, 200_001)
    linear = np.interp(x, 3 * tone**2 - 2 * tone**3, tone) ** 2.2
    matrix = camera_matrices(torch.tensor([[1.0, 0, 0, 0]]))
    camera = np.einsum("ij,jhw->ihw", matrix[0].numpy(), linear)
    mask = np.maximum(camera.mean(0) - 0.9, 0) ** 2 * 100
    safe = np.maximum(mask + (1 - mask) / gains[:, None, None], 1 / gains[:, None, None])
    ours = unprocess(images, matrix, torch.tensor(gains).float().view(1, 3, 1, 1))
    np.testing.assert_allclose(ours[0].numpy(), camera * safe, atol=1e-5)


def test_the_cameras_see_gray_as_gray_and_mixtures_are_weighted() -> None:
    matrices = camera_matrices(torch.tensor([[1.0, 0, 0, 0], [0, 0, 0.5, 0], [0.2, 0, 0.6, 0]]))
    torch.testing.assert_close(matrices.sum(2), torch.ones(3, 3, dtype=torch.float64))
    srgb_to_xyz = np.array(
        [
            [0.4124564, 0.3575761, 0.1804375],
            [0.2126729, 0.7151522, 0.0721750],
            [0.0193339, 0.1191920, 0.9503041],
        ]
    )
    expected = (0.25 * np.array(CAMERAS[0]) + 0.75 * np.array(CAMERAS[2])) @ srgb_to_xyz
    expected /= expected.sum(1, keepdims=True)
    np.testing.assert_allclose(matrices[2].numpy(), expected, atol=1e-12)


def test_white_and_black_stay_without_noise() -> None:
    for tone in (0.0, 1.0):
        out = apply_isp_noise(Canvas.of(torch.full((1, 3, 12, 12), tone), 1), [IspNoise(shot=0)])
        assert (out.pixels - tone).abs().max() < 1e-3


@pytest.mark.parametrize("level", [0.0, 0.05, 0.3])
def test_the_sensor_has_shot_and_read_noise(level: float) -> None:
    raw = torch.full((2, 1, 128, 128), level)
    shot, read = torch.tensor([0.004, 0.0]), torch.tensor([2e-4, 1e-3])
    noise = expose(raw, shot.view(2, 1, 1, 1), read.view(2, 1, 1, 1), [1, 2]) - level
    for image, variance in zip(noise[:, 0].double(), shot * level + read, strict=True):
        # The deviation of an estimate from 16,384 pixels is 1.1 %.
        assert image.var().item() == pytest.approx(variance.item(), rel=0.04)
        assert abs(image.mean().item()) < 4 * math.sqrt(variance / image.numel())
        assert abs((image[:, 1:] * image[:, :-1]).mean() / variance) < 0.04
    assert abs((noise[0] * noise[1]).mean() / noise.std() ** 2) < 0.05


def test_a_saturated_sensor_counts_no_more() -> None:
    assert expose(torch.ones(1, 1, 64, 64), scalar(0.01), scalar(0.01), [3]).max() == 1


def test_the_read_noise_that_goes_with_shot_noise() -> None:
    # Figure 4 of Brooks et al.: 2.18 decades of read for each decade of shot noise.
    assert usual_read(0.01) / usual_read(0.001) == pytest.approx(10**2.18)
    assert usual_read(1.0) == pytest.approx(math.exp(1.2))
    assert usual_read(0) == 0
    flat = torch.full((1, 3, 32, 32), 0.5)
    given = IspNoise(shot=0.01, read=usual_read(0.01))
    assert torch.equal(developed(flat, IspNoise(shot=0.01)), developed(flat, given))
    assert not torch.equal(developed(flat, given), developed(flat, IspNoise(shot=0.01, read=0)))


def developed(images: torch.Tensor, *steps: IspNoise) -> torch.Tensor:
    return apply_isp_noise(Canvas.of(images, 1), steps).pixels


def test_bilinear_demosaicing_is_that_of_opencv() -> None:
    raw = np.random.default_rng(0).integers(0, 65536, (32, 40)).astype(np.uint16)
    expected = cv2.cvtColor(raw, cv2.COLOR_BayerRGGB2RGB).astype(np.float64) / 65535
    bordered = Canvas.of(torch.from_numpy(raw / np.float32(65535))[None, None], 1)
    ours = demosaic(bordered.bordered(2, 2, "mirror"), scalar(0.0))[0].permute(1, 2, 0).numpy()
    # OpenCV rounds, and leaves out its outermost pixels.
    np.testing.assert_allclose(ours[1:-1, 1:-1], expected[1:-1, 1:-1], atol=1.1 / 65535)


GREEN = [[0, 0, -1, 0, 0], [0, 0, 2, 0, 0], [-1, 2, 4, 2, -1], [0, 0, 2, 0, 0], [0, 0, -1, 0, 0]]
IN_ROW = [
    [0, 0, 0.5, 0, 0],
    [0, -1, 0, -1, 0],
    [-1, 4, 5, 4, -1],
    [0, -1, 0, -1, 0],
    [0, 0, 0.5, 0, 0],
]
DIAGONAL = [
    [0, 0, -1.5, 0, 0],
    [0, 2, 0, 2, 0],
    [-1.5, 0, 6, 0, -1.5],
    [0, 2, 0, 2, 0],
    [0, 0, -1.5, 0, 0],
]


@pytest.mark.parametrize("shape", [(24, 32), (21, 27)])
def test_gradient_demosaicing_is_that_of_malvar_he_cutler(shape: tuple[int, int]) -> None:
    """Their figure 2, filter by filter."""
    raw = np.random.default_rng(1).random(shape)
    green, in_row, in_column, diagonal = (
        ndimage.correlate(raw, np.array(kernel) / 8, mode="mirror")
        for kernel in (GREEN, IN_ROW, np.transpose(IN_ROW), DIAGONAL)
    )
    expected = np.stack([raw, raw, raw])
    for (y, x), planes in {
        (0, 0): (raw, green, diagonal),
        (0, 1): (in_row, raw, in_column),
        (1, 0): (in_column, raw, in_row),
        (1, 1): (diagonal, green, raw),
    }.items():
        expected[:, y::2, x::2] = np.stack(planes)[:, y::2, x::2]
    bordered = Canvas.of(torch.from_numpy(raw)[None, None], 1).bordered(2, 2, "mirror")
    np.testing.assert_allclose(demosaic(bordered, scalar(1.0))[0].numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("gradient", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("size", [(20, 22), (21, 23), (4, 3)])
def test_one_colour_stays_up_to_the_edge(size: tuple[int, int], gradient: float) -> None:
    colour = torch.tensor([0.7, 0.4, 0.2]).view(1, 3, 1, 1).expand(1, 3, *size)
    raw = Canvas.of(mosaic(colour), 1).bordered(2, 2, "mirror")
    torch.testing.assert_close(demosaic(raw, scalar(gradient)), colour, atol=1e-6, rtol=0)
    out = developed(colour.contiguous(), IspNoise(shot=0, gradient=gradient))
    torch.testing.assert_close(out, colour, atol=1e-4, rtol=0)


def test_only_fine_colour_is_lost_without_noise() -> None:
    size = 64
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    smooth = 0.5 + 0.3 * torch.stack(
        [torch.sin(x / 9), torch.cos(y / 11), torch.sin((x + y) / 10)]
    ).unsqueeze(0)
    step = IspNoise(shot=0, read=0)
    error = (developed(smooth, step) - smooth).abs()
    assert error[..., 2:-2, 2:-2].max() < 0.015
    # The mirror at the edges bends what was a slope.
    assert error.max() < 0.06
    stripes = smooth.clone()
    stripes[:, 0, :, 1::2] = 0.1
    assert (developed(stripes, step) - stripes).abs().max() > 0.1


def test_developed_noise_is_in_blotches_and_colours_depend_on_each_other() -> None:
    flat = torch.full((1, 3, 128, 128), 0.4)
    noise = {
        gradient: (developed(flat, IspNoise(shot=0.005, gradient=gradient, seed=2)) - flat)[0]
        for gradient in (0.0, 1.0)
    }
    for red, green, blue in noise.values():
        for a in (red, green, blue):
            a -= a.mean()
        # White noise would have 0 ± 0.01.
        assert (blue[:, 1:] * blue[:, :-1]).mean() / blue.var() > 0.1
        assert abs((green * red).mean() / green.std() / red.std()) > 0.1
    coarse = [(n[2, :, 1:] * n[2, :, :-1]).mean() / n[2].var() for n in noise.values()]
    assert coarse[0] > 0.4
    assert coarse[0] > coarse[1]


def test_noise_grows_with_the_shot_and_the_gain() -> None:
    flat = torch.full((1, 3, 64, 64), 0.4)

    def deviation(**fields: float) -> float:
        return developed(flat, IspNoise.model_validate({"seed": 3, **fields})).std().item()

    assert deviation(shot=0.008) > 1.5 * deviation(shot=0.002)
    assert deviation(rgb_gain=2.5) > 1.3 * deviation(rgb_gain=1.25)


STEPS = (
    IspNoise(shot=0.01, seed=1),
    IspNoise(shot=0.002, read=1e-4, red_gain=1.9, ccm=(0.1, 0, 0.5, 0.2), seed=2),
    IspNoise(shot=0.005, blue_gain=1.5, rgb_gain=1.6, gradient=0, seed=3),
    IspNoise(shot=0, ccm=(0, 1, 0, 0), gradient=0.4, seed=4),
)


def test_an_image_in_a_batch_is_taken_as_if_alone() -> None:
    sizes = ((64, 40), (33, 64), (21, 27), (5, 3))
    images = [random_images(4)[i : i + 1, :, :h, :w] for i, (h, w) in enumerate(sizes)]
    canvas = Canvas(random_images(4).flip(2), sizes, (64, 64), 1)
    for i, image in enumerate(images):
        canvas.pixels[i, :, : image.shape[2], : image.shape[3]] = image[0]
    together = apply_isp_noise(canvas, STEPS)
    assert together.sizes == sizes
    for image, step, result in zip(images, STEPS, together.images(), strict=True):
        # Tensors of other sizes round their last bit elsewhere.
        torch.testing.assert_close(result, developed(image.contiguous(), step), atol=2e-6, rtol=0)


def test_the_seed_decides_the_noise() -> None:
    image = random_images(1)
    first = developed(image, IspNoise(seed=5))
    assert torch.equal(first, developed(image, IspNoise(seed=5)))
    assert (first - developed(image, IspNoise(seed=6))).std() > 0.01


def test_results_are_in_range_for_extreme_steps_and_images() -> None:
    images = torch.stack([torch.zeros(3, 16, 16), torch.ones(3, 16, 16), random_images(1, 16)[0]])
    step = IspNoise(shot=0.1, read=0.1, red_gain=4, blue_gain=4, rgb_gain=4, ccm=(1, 0, 0, 0))
    out = developed(images, step, step, step)
    assert out.isfinite().all()
    assert out.min() >= 0
    assert out.max() <= 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"shot": -1e-3},
        {"read": math.nan},
        {"red_gain": 0.5},
        {"gradient": 2},
        {"ccm": (0, 0, 0, 0)},
        {"ccm": (1, 1, 1)},
        {"sigma": 1},
    ],
)
def test_other_values_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        IspNoise.model_validate(wrong)
