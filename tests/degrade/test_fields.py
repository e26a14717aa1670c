"""Random fields: laws by statistics, independence, and values that never change."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from redeg_cli.degrade.fields import _hash, normal_field, uniform_field

CPU = torch.device("cpu")
SEEDS = st.integers(0, 2**63 - 1)


def python_hash(seed: int, channel: int, row: int, column: int) -> int:
    """The 32-bit hash of one place, in Python's whole numbers."""
    mask = 0xFFFFFFFF

    def mix(x: int) -> int:
        x ^= x >> 16
        x = x * 0x21F0AAAD & mask
        x ^= x >> 15
        x = x * 0x735A2D97 & mask
        return x ^ x >> 15

    low = mix((seed & mask) ^ 0x6A09E667)
    high = mix((seed >> 32 & mask) ^ mix(low ^ 0x3C6EF372))
    place = mix((row << 16 | column) ^ low)
    return mix(place ^ ((high + channel * 0x5E3779B1) & mask))


def correlation(fields: torch.Tensor) -> np.ndarray:
    """Correlation between images, the diagonal set to 0."""
    values = np.corrcoef(fields.flatten(1).double().numpy())
    return values - np.eye(len(values))


def uniform_chance(values: torch.Tensor, *others: torch.Tensor, bins: int) -> float:
    """p-value of the chi-squared test that these values are uniform on the unit cube."""
    cells = [(each.flatten().double().numpy() * bins).astype(int) for each in (values, *others)]
    index = np.ravel_multi_index(cells, (bins,) * len(cells))
    return float(stats.chisquare(np.bincount(index, minlength=bins ** len(cells))).pvalue)


def test_a_seed_always_gives_these_values() -> None:
    uniform = uniform_field([0, 1 << 40], (2, 1, 3), CPU)
    wanted = [
        [[[0.32469940, 0.67101443, 0.64447659]], [[0.59058440, 0.76819044, 0.44031626]]],
        [[[0.52233177, 0.19952075, 0.49715891]], [[0.61259568, 0.71679032, 0.57612008]]],
    ]
    np.testing.assert_allclose(uniform.numpy(), wanted, atol=1e-7)
    normal = normal_field([12345678901234], (1, 2, 3), CPU)
    wanted = [[[[0.08454520, 0.66988438, 0.67395192], [-0.81611133, -0.20703711, 0.84128112]]]]
    np.testing.assert_allclose(normal.numpy(), wanted, atol=1e-6)


@settings(deadline=None, derandomize=True, max_examples=50)
@given(SEEDS, st.integers(0, 2), st.integers(0, 19), st.integers(0, 19))
def test_every_value_is_the_hash_of_its_place(seed: int, c: int, row: int, column: int) -> None:
    made = uniform_field([seed], (3, 20, 20), CPU)[0, c, row, column]
    assert made.item() == pytest.approx(python_hash(seed, c, row, column) / 2**32, abs=2e-7)


def test_other_devices_hash_alike() -> None:
    """In int64, which every device has; no product leaves it."""
    seeds, shape = [0, 5, (1 << 63) - 1, 0xFFFFFFFF], (4, 37, 50)
    made = _hash(seeds, shape, lambda values: values)
    assert made.dtype == torch.int64
    field = made.float().mul_(2**-32).clamp_(2**-33, 1 - 2**-24)
    assert torch.equal(field, uniform_field(seeds, shape, CPU))


def test_the_largest_image_has_no_place_twice() -> None:
    """Row and column take 16 bits each."""
    wide = uniform_field([5], (1, 2, 65536), CPU)[0, 0]
    assert wide[1, 0].item() == pytest.approx(python_hash(5, 0, 1, 0) / 2**32, abs=2e-7)
    assert wide[0, 65535].item() == pytest.approx(python_hash(5, 0, 0, 65535) / 2**32, abs=2e-7)


@settings(deadline=None, derandomize=True, max_examples=30)
@given(st.lists(SEEDS, min_size=1, max_size=4), st.integers(1, 9), st.integers(1, 9))
def test_neither_batch_nor_size_matters(seeds: list[int], height: int, width: int) -> None:
    for field in (uniform_field, normal_field):
        whole = field(seeds, (3, 12, 10), CPU)
        for seed, image in zip(seeds, whole, strict=True):
            alone = field([seed], (2, height, width), CPU)
            assert torch.equal(alone[0], image[:2, :height, :width])


@pytest.mark.parametrize("seed", [9371, 18025])
def test_a_uniform_value_is_never_1(seed: int) -> None:
    """These fields hold a hash that float32 rounds up to 2^32."""
    field = uniform_field([seed], (1, 48, 48), CPU)
    assert field.max().item() == 1 - 2**-24
    assert normal_field([seed], (1, 48, 48), CPU).isfinite().all()


@pytest.mark.parametrize("seed", [0, 1, 77, 1 << 33, 2**63 - 1])
def test_uniform_fields_are_uniform(seed: int) -> None:
    field = uniform_field([seed], (3, 256, 256), CPU)[0]
    assert 0 < field.min() < 1e-4
    assert uniform_chance(field, bins=256) > 1e-3
    pairs = {
        "rows": (field[:, :-1], field[:, 1:]),
        "columns": (field[..., :-1], field[..., 1:]),
        "channels": (field[:-1], field[1:]),
        "far rows": (field[:, :-128], field[:, 128:]),
    }
    for name, (one, other) in pairs.items():
        assert uniform_chance(one, other, bins=24) > 1e-3, name


@pytest.mark.parametrize("seed", [0, 5, 1 << 50])
def test_normal_fields_have_the_moments_of_a_normal_law(seed: int) -> None:
    values = normal_field([seed], (3, 256, 256), CPU)[0]
    flat = values.flatten().double().numpy()
    many = len(flat) ** -0.5  # standard errors: 1, sqrt(2), sqrt(6) and sqrt(24) of these
    assert abs(flat.mean()) < 4 * many
    assert abs(flat.var() - 1) < 4 * 2**0.5 * many
    assert abs(stats.skew(flat)) < 4 * 6**0.5 * many
    assert abs(stats.kurtosis(flat)) < 4 * 24**0.5 * many
    assert 4.2 < abs(flat).max() < 6.8
    assert stats.kstest(flat, "norm").pvalue > 1e-3
    lags = {
        "the two of a pair": (values[..., 0::2], values[..., 1::2]),
        "pairs": (values[..., 1:-1:2], values[..., 2::2]),
        "rows": (values[:, :-1], values[:, 1:]),
        "channels": (values[:-1], values[1:]),
    }
    for name, (one, other) in lags.items():
        n = one.numel() ** -0.5
        assert abs((one * other).mean().item()) < 4 * n, name
        squares = ((one.square() - 1) * (other.square() - 1)).mean().item()
        assert abs(squares) < 4 * 2 * n, name


SETS = {
    "neighbours": list(range(64)),
    "high bits": [0, *(1 << bit for bit in range(32, 63))],
    "low bits": [0, *(1 << bit for bit in range(32))],
    "equal halves": [n << 32 | n for n in range(32)],
    "channel steps": [0x5E3779B1 * n % 2**32 << 32 for n in range(16)],
    "place steps": [n << 16 for n in range(32)],
}


@pytest.mark.parametrize("name", SETS)
def test_seeds_that_are_alike_give_independent_fields(name: str) -> None:
    fields = uniform_field(SETS[name], (1, 64, 64), CPU)
    error = 64**-1.0
    assert np.abs(correlation(fields)).max() < 5 * error
    assert np.abs(correlation((fields - 0.5).square())).max() < 5 * error
    for one, other in itertools.pairwise(fields):
        assert uniform_chance(one, other, bins=12) > 1e-5


def test_channels_of_one_seed_are_not_those_of_another() -> None:
    fields = uniform_field(list(range(24)), (3, 32, 32), CPU).flatten(0, 1)
    assert np.abs(correlation(fields)).max() < 5 / 32
