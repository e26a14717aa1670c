"""Kernels estimated from images that were made with known ones."""

import numpy as np
import pytest
import skimage.data
import torch
import torch.nn.functional as F
from estimated import gaussians

from redeg_cli.degrade.blur import filter2d
from redeg_cli.degrade.kernel_pool import centre_of_mass, estimated_pool, kernel_similarity
from redeg_cli.io.images import to_array, to_tensor
from redeg_cli.train.kernelgan import (
    CROP,
    Crops,
    Settings,
    bicubic_kernel,
    border_penalty,
    estimate_kernels,
    gradient_magnitude,
    regulariser,
)

CPU = torch.device("cpu")


def shrunk(kernel: np.ndarray, photo: str = "astronaut") -> np.ndarray:
    image = getattr(skimage.data, photo)()[:, :, :3] / np.float32(255)
    lq = filter2d(to_tensor(image), torch.from_numpy(kernel)[None])[:, :, ::2, ::2]
    return np.rint(to_array(lq) * 255).astype(np.float32) / 255


def test_bicubic_is_that_of_torch() -> None:
    image = to_tensor(skimage.data.chelsea()[:64, :64] / np.float32(255))
    wanted = F.interpolate(image, size=(32, 32), mode="bicubic", antialias=True)
    found = filter2d(image, bicubic_kernel()[None])[:, :, ::2, ::2]
    torch.testing.assert_close(found[:, :, 4:-4, 4:-4], wanted[:, :, 4:-4, 4:-4], atol=1e-5, rtol=0)


def test_wide_kernels_are_told_from_the_bicubic_one() -> None:
    truths = gaussians((2.2, 1.6), (1.9, 1.9), side=17)
    settings = Settings(steps=200, learning_rate=1e-3)
    images = [shrunk(truths[0]), shrunk(truths[1], "coffee")]
    found = estimate_kernels(images, ["a", "b"], settings, 0, CPU)
    assert found.shape == (2, 17, 17)
    pool = estimated_pool(found, ["a", "b"], {})
    for kernel, put_on, truth in zip(found, pool.kernels, truths, strict=True):
        assert kernel.sum() == pytest.approx(1, abs=1e-5)
        assert kernel.min() >= 0
        assert centre_of_mass(kernel) == pytest.approx((0.5, 0.5), abs=0.03)
        start = kernel_similarity(bicubic_kernel().numpy(), truth)
        assert kernel_similarity(put_on, truth) > max(0.85, start + 0.05)


def test_the_same_seed_gives_the_same_kernels_whatever_the_neighbours() -> None:
    settings, image = Settings(steps=4, channels=8), shrunk(gaussians((1.5, 1.0))[0])
    one, again, other = (
        estimate_kernels([image], ["a"], settings, seed, CPU) for seed in (0, 0, 1)
    )
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    both = estimate_kernels([image, image[:100]], ["a", "b"], settings, 0, CPU)
    np.testing.assert_allclose(both[0], one[0], atol=1e-3)
    assert np.abs(both[1] - both[0]).max() > 1e-5


def test_the_regulariser_asks_for_a_centred_kernel_that_sums_to_1() -> None:
    settings, penalty = Settings(sparse_weight=0), border_penalty()
    good = bicubic_kernel().clamp(min=0)
    good = good / good.sum()
    moved, large = good.roll(2, 1), 1.5 * good
    of_good, of_moved, of_large = regulariser(
        torch.stack([good, moved, large]), penalty, settings
    ).tolist()
    assert of_moved - of_good > 1.5 * settings.centre_weight
    assert of_large - of_good == pytest.approx(0.5 * settings.sum_weight, abs=0.05)
    assert penalty.max() == 30
    assert penalty[7, 7] < 1


def test_a_kernel_whose_sum_is_near_0_is_not_thrown_far_off() -> None:
    moved = bicubic_kernel().roll(3, 1)
    pulls = []
    for kernel in (bicubic_kernel() - 0.9999 * moved, moved):
        kernels = kernel[None].clone().requires_grad_()
        regulariser(kernels, border_penalty(), Settings()).sum().backward()
        assert kernels.grad is not None
        pulls.append(float(kernels.grad.norm()))
    assert pulls[0] < 3 * pulls[1]


def test_crops_are_where_there_is_detail() -> None:
    image = np.full((200, 200, 3), 0.5, np.float32)
    image[120:, 120:] += 0.2 * np.random.default_rng(0).random((80, 80, 3), np.float32)
    crops = Crops(image, 0)
    assert gradient_magnitude(image)[:100, :100].max() == 0
    drawn = [crops.draw() for _ in range(20)]
    assert all(large.shape == (3, CROP, CROP) and bool(large.std() > 0) for large, _, _ in drawn)
    assert all(real.shape == noise.shape == (3, 26, 26) for _, real, noise in drawn)
    flat = Crops(np.full((64, 64, 3), 0.5, np.float32), 0)
    assert flat.draw()[0].shape == (3, CROP, CROP)
