"""Rows filtered and displaced: against SciPy, OpenCV and closed forms."""

import math

import cv2
import numpy as np
import pytest
import torch
from scipy.ndimage import convolve1d

from redeg_cli.degrade.canvas import Canvas, stack_images
from redeg_cli.degrade.fields import normal_field
from redeg_cli.degrade.rows import bordered_rows, correlated, filter_rows, move_rows, row_kernels

CPU = torch.device("cpu")


def noise(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def test_the_filter_is_scipys_convolution() -> None:
    image, kernels = noise(2, 3, 8, 30), noise(2, 7, seed=2)
    canvas = Canvas.of(image, 1)
    out = filter_rows(bordered_rows(canvas, image, 3), kernels)
    for made, row, kernel in zip(out, image, kernels, strict=True):
        expected = convolve1d(row.numpy(), kernel.numpy(), axis=2, mode="nearest")
        assert np.abs(made.numpy() - expected).max() < 1e-5


def test_a_kernel_for_each_channel() -> None:
    image = noise(1, 2, 4, 10)
    kernels = torch.tensor([[[0.0, 1, 0], [0, 0, 1]]])
    out = filter_rows(image, kernels)
    assert torch.equal(out[:, 0], image[:, 0, :, 1:-1])
    assert torch.equal(out[:, 1], image[:, 1, :, :-2])  # to the right


def test_a_kernel_is_the_rise_of_the_response() -> None:
    ramp = row_kernels(lambda x: (x / 3).clamp(0, 1).expand(2, -1), [4, 1], CPU)
    thirds = [0.5 / 3, 1 / 3, 1 / 3, 0.5 / 3]
    assert ramp[0].tolist() == pytest.approx([0, 0, 0, 0, *thirds, 0], abs=1e-6)
    cut = [0.5 / 1.5, 1 / 1.5]  # of a reach of one pixel
    assert ramp[1].tolist() == pytest.approx([0, 0, 0, 0, *cut, 0, 0, 0], abs=1e-6)


@pytest.mark.parametrize("right", [-40, -3, 0, 5, 40])
def test_whole_pixels_are_moved_exactly(right: int) -> None:
    image = noise(1, 3, 4, 20)
    out = move_rows(Canvas.of(image, 1), torch.full((1, 4), float(right)))
    columns = [min(max(column - right, 0), 19) for column in range(20)]
    assert torch.equal(out, image[..., columns])


def test_parts_of_pixels_are_interpolated_as_opencv_does() -> None:
    """OpenCV's cubic has another slope (-0.75) than Catmull-Rom's (-0.5): tested on a sine that
    both hit, and against the sine itself."""
    x = torch.arange(64.0)
    sine = (0.5 + 0.3 * torch.sin(2 * math.pi * x / 16)).expand(1, 3, 2, 64)
    out = move_rows(Canvas.of(sine, 1), torch.tensor([[2.5, -0.3]]))[0, 0].numpy()
    for row, right in zip(out, (2.5, -0.3), strict=True):
        truth = 0.5 + 0.3 * torch.sin(2 * math.pi * (x - right) / 16).numpy()
        assert np.abs(row - truth)[4:-4].max() < 0.001
        matrix = np.array([[1, 0, right], [0, 1, 0]])
        theirs = cv2.warpAffine(sine[0, 0].numpy(), matrix, (64, 2), flags=cv2.INTER_CUBIC)
        assert np.abs(row - theirs[0])[4:-4].max() < 0.02


def test_a_ramp_stays_a_ramp() -> None:
    ramp = torch.linspace(0.2, 0.8, 61).expand(1, 3, 5, 61)
    right = torch.tensor([[0.0, 0.25, -0.5, 1.75, -3.1]])
    out = move_rows(Canvas.of(ramp, 1), right)
    expected = ramp - 0.01 * right[:, None, :, None]
    torch.testing.assert_close(out[..., 6:-6], expected[..., 6:-6], atol=1e-6, rtol=0)


def test_rows_of_small_images_end_at_their_own_width() -> None:
    whole = noise(1, 3, 6, 30)
    images = [whole, whole[:, :, :4, :9], whole[:, :, :1, :1]]
    right = torch.linspace(-7, 7, 18).view(3, 6)
    canvas = stack_images(images, Canvas.of(whole, 1))
    out = canvas.with_pixels(move_rows(canvas, right)).images()
    bordered = bordered_rows(canvas, canvas.pixels, 5)
    for row, image in enumerate(images):
        height, width = image.shape[2:]
        alone = move_rows(Canvas.of(image, 1), right[row : row + 1, :height])
        assert torch.equal(out[row], alone)
        expected = torch.nn.functional.pad(image, (5, 5, 0, 0), mode="replicate")
        assert torch.equal(bordered[row : row + 1, :, :height, : width + 10], expected)


@pytest.mark.parametrize("sigma", [0.0, 1.0, 4.5])
def test_correlated_noise(sigma: float) -> None:
    reach = 14
    white = normal_field([7], (1, 200, 300 + 2 * reach), CPU)
    out = correlated(white, torch.tensor([[sigma]]), reach)[0, 0]
    assert out.shape == (200, 300)
    # sigma 4.5 leaves some 200 * 300 / 16 independent values.
    assert out.std().item() == pytest.approx(1, abs=0.04)
    for distance in (1, 3, 8):
        expected = math.exp(-((distance / sigma) ** 2) / 4) if sigma else 0.0
        products = out[:, distance:] * out[:, :-distance]
        assert products.mean().item() == pytest.approx(expected, abs=0.05)


def test_noise_does_not_depend_on_how_far_others_reach() -> None:
    white = normal_field([7], (1, 5, 100), CPU)
    near = correlated(white[..., : 40 + 12], torch.tensor([[2.0]]), 6)
    far = correlated(white[..., : 40 + 60], torch.tensor([[2.0]]), 30)
    torch.testing.assert_close(near, far, atol=1e-6, rtol=0)
