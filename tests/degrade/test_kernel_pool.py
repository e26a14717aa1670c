"""Pools of kernels: centring, scales, files."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from estimated import gaussians, kernel_pool, noise_pool
from scipy.signal import correlate2d

from redeg_cli.degrade.kernel_pool import (
    KernelPool,
    analytic_kernel,
    centre_of_mass,
    centred_kernel,
    estimated_pool,
    kernel_similarity,
    load_kernel_pool,
    merge_kernel_pools,
)
from redeg_cli.errors import InputError


@pytest.mark.parametrize("way", [(0.0, 0.0), (1.4, -0.7), (-2.0, 0.3)])
@pytest.mark.parametrize("scale", [1, 2])
def test_a_kernel_is_moved_to_where_it_belongs(way: tuple[float, float], scale: int) -> None:
    axis = np.arange(13) - 6.0
    kernel = np.exp(-0.5 * ((axis[:, None] - way[0]) ** 2 / 1.2 + (axis - way[1]) ** 2 / 0.6))
    moved = centred_kernel(kernel, scale)
    middle = (scale - 1) / 2
    assert centre_of_mass(moved) == pytest.approx((middle, middle), abs=0.02)
    assert moved.sum() == pytest.approx(1, abs=1e-5)
    assert moved.min() >= 0
    assert kernel_similarity(moved, kernel) > 0.99


def test_similarity_is_of_the_shape() -> None:
    round_, long, turned = gaussians((1.2, 1.2), (2.5, 0.8), (0.8, 2.5))
    assert kernel_similarity(long, long) == pytest.approx(1, abs=1e-6)
    assert kernel_similarity(long, np.roll(long, 2, 0)) > 0.99
    assert kernel_similarity(long, round_) < 0.95
    assert kernel_similarity(long, turned) < 0.8


def test_the_kernel_of_scale_4_is_that_of_scale_2_twice() -> None:
    rng = np.random.default_rng(0)
    kernel, image = gaussians((1.3, 0.9))[0], rng.random((120, 120))
    once = correlate2d(image, kernel, "valid")[::2, ::2]
    twice = correlate2d(once, kernel, "valid")[::2, ::2]
    large = analytic_kernel(kernel, 2)
    assert centre_of_mass(large) == pytest.approx((1.5, 1.5), abs=0.01)
    whole = np.pad(large, (3 * 17 - 2 - large.shape[0]) // 2)  # its border was cut off
    np.testing.assert_allclose(correlate2d(image, whole, "valid")[::4, ::4], twice, atol=1e-4)


def test_a_pool_serves_its_scale_and_its_square() -> None:
    pool = kernel_pool()
    assert pool.at_scale(2) is pool.kernels
    of_four = pool.at_scale(4)
    assert len(of_four) == 3
    np.testing.assert_allclose(of_four.sum((1, 2)), 1, atol=1e-5)
    with pytest.raises(InputError, match="of scale 2, which serve scale 2 and 4, not 3"):
        pool.at_scale(3)


def test_a_file_holds_what_the_pool_held(tmp_path: Path) -> None:
    pool = KernelPool(gaussians((1.0, 0.7)), ("a.png",), 2, {"steps": 7})
    pool.save(tmp_path / "a.npz")
    again = load_kernel_pool(tmp_path / "a.npz")
    assert np.array_equal(again.kernels, pool.kernels)
    assert (again.names, again.scale, again.settings) == (("a.png",), 2, {"steps": 7})
    assert again.digest == pool.digest != kernel_pool().digest
    pool.save(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_what_is_no_pool_of_kernels_is_told(tmp_path: Path) -> None:
    noise_pool().save(tmp_path / "noise.npz")
    (tmp_path / "text.npz").write_text("no pool")
    (tmp_path / "cut.npz").write_bytes((tmp_path / "noise.npz").read_bytes()[:300])
    for name, words in (("noise", "it holds noise"), ("text", "not an .npz"), ("cut", "cut.npz")):
        with pytest.raises(InputError, match=words):
            load_kernel_pool(tmp_path / f"{name}.npz")
    with pytest.raises(InputError, match="does not exist"):
        load_kernel_pool(tmp_path / "none.npz")


@pytest.mark.parametrize(
    ("kernels", "words"),
    [
        (np.zeros((0, 3, 3), np.float32), "at least one"),
        (np.full((1, 3, 3), np.nan, np.float32), "not finite"),
        (np.ones((1, 3, 3), np.float32), "sum to 1"),
        (np.full((1, 4, 4), 1 / 16, np.float32), "odd side"),
        (np.full((2, 3, 3), 1 / 9, np.float32), "with names"),
    ],
)
def test_a_pool_is_checked(kernels: np.ndarray, words: str) -> None:
    with pytest.raises(InputError, match=words):
        KernelPool(kernels, ("a",) * min(1, len(kernels)), 2)


def test_merging_keeps_each_kernel_once() -> None:
    one = kernel_pool(2)
    two = KernelPool(gaussians((1.0, 0.8), (2.0, 2.0), side=21), ("x", "y"), 2)
    merged = merge_kernel_pools([(Path("a"), one), (Path("b"), one), (Path("c"), two)])
    assert merged.kernels.shape[1:] == (21, 21)
    assert merged.names[:2] == one.names
    assert merged.names[-1] == "y"
    with pytest.raises(InputError, match="of scale 4 and a of scale 2"):
        merge_kernel_pools([(Path("a"), one), (Path("b"), kernel_pool(1, 4))])


def test_shrinking_keeps_the_picture_in_its_place() -> None:
    """A ramp comes out as its half-pixel average: no kernel of a pool moves the picture."""
    ramp = torch.arange(64.0).expand(1, 1, 64, 64)
    kernel = torch.from_numpy(kernel_pool().kernels[0])[None, None]
    found = F.conv2d(ramp, kernel, stride=2)[0, 0, 0]
    wanted = torch.arange(0, 48, 2) + 8 + 0.5
    torch.testing.assert_close(found, wanted[: len(found)].float(), atol=2e-2, rtol=0)


def covariance(kernel: np.ndarray) -> np.ndarray:
    axis = (
        np.arange(kernel.shape[0])
        - kernel.shape[0] // 2
        - np.array(centre_of_mass(kernel))[:, None]
    )
    places = np.meshgrid(axis[0], axis[1], indexing="ij")
    return np.cov(np.stack([each.ravel() for each in places]), aweights=kernel.ravel(), ddof=0)


def test_sharp_images_get_the_whole_blur() -> None:
    """k, k half as wide, k a quarter as wide ...: 4/3 of its covariance, and 4 times that at 4."""
    relation = gaussians((1.4, 1.0))[0]
    pool = estimated_pool([relation, relation], ["a", "b"], {"steps": 5})
    own = covariance(relation)
    np.testing.assert_allclose(covariance(pool.at_scale(2)[0]), 4 / 3 * own, rtol=0.02)
    np.testing.assert_allclose(covariance(pool.at_scale(4)[1]), 16 / 3 * own, rtol=0.02)
    assert centre_of_mass(pool.kernels[0]) == pytest.approx((0.5, 0.5), abs=0.01)
    assert centre_of_mass(pool.at_scale(4)[0]) == pytest.approx((1.5, 1.5), abs=0.01)


def test_kernels_of_scale_4_are_kept_with_the_pool(tmp_path: Path) -> None:
    pool = estimated_pool([gaussians((1.4, 1.0))[0]], ["a"], {})
    pool.save(tmp_path / "a.npz")
    again = load_kernel_pool(tmp_path / "a.npz")
    assert np.array_equal(again.at_scale(4), pool.at_scale(4))
    assert again.digest == pool.digest
    merged = merge_kernel_pools([(Path("a"), pool), (Path("b"), kernel_pool())])
    assert len(merged.at_scale(4)) == 4
    np.testing.assert_allclose(merged.at_scale(4).sum((1, 2)), 1, atol=1e-4)
