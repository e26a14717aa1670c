"""Gaussian kernels and filtering against OpenCV and closed forms."""

import math

import cv2
import numpy as np
import pytest
import torch

from redeg_cli.degrade.blur import filter2d, gaussian_kernels, pad_reflect


def images(batch: int = 2, height: int = 24, width: int = 31) -> torch.Tensor:
    return torch.rand((batch, 3, height, width), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("sigma", [0.4, 1.0, 2.7])
def test_round_kernels_are_those_of_opencv(sigma: float) -> None:
    value = torch.tensor([sigma])
    ours = gaussian_kernels(value, value, torch.tensor([0.3]))[0].numpy()
    axis = cv2.getGaussianKernel(21, sigma, cv2.CV_64F)
    np.testing.assert_allclose(ours, axis @ axis.T, atol=1e-6)


def test_a_turned_kernel_has_the_covariance_it_was_asked_for() -> None:
    sigma_x, sigma_y, theta = 3.0, 1.5, 0.6
    values = (torch.tensor([v], dtype=torch.float64) for v in (sigma_x, sigma_y, theta))
    kernel = gaussian_kernels(*values, size=41)[0].numpy()
    y, x = np.mgrid[-20:21, -20:21]
    moments = [[(kernel * a * b).sum() for b in (x, y)] for a in (x, y)]
    turn = np.array([[math.cos(theta), -math.sin(theta)], [math.sin(theta), math.cos(theta)]])
    np.testing.assert_allclose(
        moments, turn @ np.diag([sigma_x**2, sigma_y**2]) @ turn.T, atol=1e-3
    )


def test_kernels_sum_to_one_each() -> None:
    sigmas = torch.tensor([0.05, 0.8, 5.0])
    kernels = gaussian_kernels(sigmas, sigmas.flip(0), torch.zeros(3), 9)
    assert kernels.shape == (3, 9, 9)
    torch.testing.assert_close(kernels.sum((1, 2)), torch.ones(3))


def test_even_sizes_are_refused() -> None:
    one = torch.ones(1)
    with pytest.raises(ValueError, match="must be odd, got 20"):
        gaussian_kernels(one, one, one, 20)


def test_each_image_has_its_own_kernel_as_in_opencv() -> None:
    batch = images()
    kernels = torch.rand((2, 7, 7), generator=torch.Generator().manual_seed(1))  # no symmetry
    ours = filter2d(batch, kernels)
    for image, kernel, made in zip(batch, kernels, ours, strict=True):
        theirs = cv2.filter2D(
            image.permute(1, 2, 0).numpy(), -1, kernel.numpy(), borderType=cv2.BORDER_REFLECT_101
        )
        np.testing.assert_allclose(made.permute(1, 2, 0).numpy(), theirs, atol=1e-5)


def test_images_smaller_than_the_kernel_repeat_their_border() -> None:
    image = images(1, 5, 40)
    theirs = cv2.copyMakeBorder(
        image[0].permute(1, 2, 0).numpy(), 10, 10, 10, 10, cv2.BORDER_REPLICATE
    )
    np.testing.assert_array_equal(pad_reflect(image, 10)[0].permute(1, 2, 0).numpy(), theirs)
    assert filter2d(image, torch.ones(1, 21, 21) / 441).shape == image.shape
