"""Blur kernels against OpenCV, SciPy and closed forms."""

import math
from collections.abc import Callable

import cv2
import numpy as np
import pytest
import torch
from scipy import special

from redeg_cli.degrade.kernels import (
    gaussian_kernels,
    generalised_kernels,
    plateau_kernels,
    sinc_kernels,
)


def column(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def grid(size: int) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[:size, :size] - size // 2
    return x.astype(float), y.astype(float)


def form(sigma_x: float, sigma_y: float, theta: float, size: int) -> np.ndarray:
    """xᵀ Σ⁻¹ x by the inverse of the covariance matrix."""
    turn = np.array([[math.cos(theta), -math.sin(theta)], [math.sin(theta), math.cos(theta)]])
    inverse = np.linalg.inv(turn @ np.diag([sigma_x**2, sigma_y**2]) @ turn.T)
    places = np.stack(grid(size), -1)
    return np.einsum("...i,ij,...j->...", places, inverse, places)


@pytest.mark.parametrize("size", [7, 21, 51])
@pytest.mark.parametrize("sigma", [0.3, 0.4, 1.0, 2.7, 6.0])
def test_round_kernels_are_those_of_opencv(sigma: float, size: int) -> None:
    ours = gaussian_kernels(column(sigma), column(sigma), column(0.3), size)[0].numpy()
    axis = cv2.getGaussianKernel(size, sigma, cv2.CV_64F)
    np.testing.assert_allclose(ours, axis @ axis.T, atol=1e-7)


@pytest.mark.parametrize("theta", [0.0, 0.6, math.pi / 2, -2.5])
def test_a_turned_kernel_has_the_covariance_it_was_asked_for(theta: float) -> None:
    sigma_x, sigma_y = 3.0, 1.5
    kernel = gaussian_kernels(column(sigma_x), column(sigma_y), column(theta), 41)[0].numpy()
    x, y = grid(41)
    moments = [[(kernel * a * b).sum() for b in (x, y)] for a in (x, y)]
    turn = np.array([[math.cos(theta), -math.sin(theta)], [math.sin(theta), math.cos(theta)]])
    np.testing.assert_allclose(
        moments, turn @ np.diag([sigma_x**2, sigma_y**2]) @ turn.T, atol=1e-3
    )


@pytest.mark.parametrize("shift", [0.5, 1.5, -2.0])
def test_a_shifted_kernel_has_its_centre_there(shift: float) -> None:
    kernel = gaussian_kernels(column(2), column(1), column(0.4), 33, column(shift))[0].numpy()
    for axis in grid(33):
        assert (kernel * axis).sum() == pytest.approx(shift, abs=1e-5)


@pytest.mark.parametrize("beta", [0.5, 1.0, 2.5])
def test_generalised_kernels_are_their_formula(beta: float) -> None:
    wanted = np.exp(-0.5 * form(2.2, 0.9, 0.7, 21) ** beta)
    made = generalised_kernels(column(2.2), column(0.9), column(0.7), column(beta), 21)[0]
    np.testing.assert_allclose(made.numpy(), wanted / wanted.sum(), atol=1e-7)


def test_with_beta_1_a_generalised_kernel_is_the_gaussian() -> None:
    values = column(2.2), column(0.9), column(0.7)
    made = generalised_kernels(*values, column(1), 21)
    assert torch.equal(made, gaussian_kernels(*values, 21))


@pytest.mark.parametrize("beta", [1.0, 1.7, 4.0])
def test_plateau_kernels_are_their_formula(beta: float) -> None:
    wanted = 1 / (1 + form(2.2, 0.9, 0.7, 21) ** beta)
    made = plateau_kernels(column(2.2), column(0.9), column(0.7), column(beta), 21)[0]
    np.testing.assert_allclose(made.numpy(), wanted / wanted.sum(), atol=1e-7)


def test_a_larger_beta_is_a_flatter_top() -> None:
    """At one deviation from the centre the plateau is always 1/2, within it grows with beta."""
    beta = column(1, 2, 4)
    wide = column(4, 4, 4)
    kernels = plateau_kernels(wide, wide, column(0, 0, 0), beta, 21)
    ratios = (kernels[:, 10] / kernels[:, 10, 10:11]).numpy()
    np.testing.assert_allclose(ratios[:, 14], 0.5, atol=1e-6)
    np.testing.assert_allclose(ratios[:, 12], 1 / (1 + 0.25 ** beta.numpy()), atol=1e-6)


@pytest.mark.parametrize("size", [7, 13, 21])
@pytest.mark.parametrize("cutoff", [math.pi / 5, math.pi / 3, 2.0, math.pi])
def test_sinc_kernels_are_their_formula(cutoff: float, size: int) -> None:
    radius = np.hypot(*grid(size))
    with np.errstate(invalid="ignore", divide="ignore"):
        wanted = cutoff * special.j1(cutoff * radius) / (2 * math.pi * radius)
    wanted[size // 2, size // 2] = cutoff**2 / (4 * math.pi)
    made = sinc_kernels(column(cutoff), size)[0].numpy()
    np.testing.assert_allclose(made, wanted / wanted.sum(), atol=1e-7)


@pytest.mark.parametrize("cutoff", [math.pi / 3, 1.6, 2.4])
def test_a_sinc_filter_lets_frequencies_through_up_to_its_cutoff(cutoff: float) -> None:
    kernel = sinc_kernels(column(cutoff), 101)[0].double().numpy()
    response = np.abs(np.fft.rfft(kernel.sum(0), 1024))
    frequency = np.linspace(0, math.pi, len(response))
    half = frequency[np.argmax(response < 0.5)]
    assert half == pytest.approx(cutoff, abs=0.03)
    assert np.abs(response[frequency < cutoff - 0.2] - 1).max() < 0.12
    assert response[frequency > cutoff + 0.2].max() < 0.12


KINDS: dict[str, Callable[[torch.Tensor, torch.Tensor, torch.Tensor, int], torch.Tensor]] = {
    "gaussian": gaussian_kernels,
    "generalised": lambda x, y, theta, size: generalised_kernels(x, y, theta, x + 0.5, size),
    "plateau": lambda x, y, theta, size: plateau_kernels(x, y, theta, x + 0.5, size),
    "sinc": lambda x, _, __, size: sinc_kernels(x.clamp(0.5), size),
}


@pytest.mark.parametrize("kind", KINDS)
def test_kernels_sum_to_one_each_and_are_the_same_in_any_batch(kind: str) -> None:
    values = column(0.05, 0.8, 3.0), column(2.0, 0.8, 0.05), column(0.0, 1.0, 2.0)
    kernels = KINDS[kind](*values, 9)
    assert kernels.shape == (3, 9, 9)
    assert kernels.dtype == torch.float32
    torch.testing.assert_close(kernels.sum((1, 2)), torch.ones(3))
    for row in range(3):
        alone = KINDS[kind](*(value[row : row + 1] for value in values), 9)
        torch.testing.assert_close(alone[0], kernels[row], atol=1e-7, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_even_sizes_are_refused(kind: str) -> None:
    with pytest.raises(ValueError, match="must be odd, got 20"):
        KINDS[kind](column(1), column(1), column(1), 20)
