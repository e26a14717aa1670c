"""Bootstrap intervals: closed forms, coverage on simulated data, pairing."""

import math

import numpy as np
import pytest

from redeg_cli.evaluate.bootstrap import bootstrap_mean, paired_difference


def test_two_images_have_a_known_distribution() -> None:
    """Of two values the resampled mean is 0, 1/2 or 1 with probability 1/4, 1/2, 1/4."""
    values = np.array([0.0, 1.0])
    wide = bootstrap_mean(values, level=0.95)
    assert (wide.n, wide.mean, wide.low, wide.high) == (2, 0.5, 0.0, 1.0)
    assert wide.std == pytest.approx(math.sqrt(0.5))
    narrow = bootstrap_mean(values, level=0.4)  # between the quantiles 0.3 and 0.7
    assert (narrow.low, narrow.high) == (0.5, 0.5)


def test_many_images_follow_the_normal_law() -> None:
    """The resampled mean has the variance of the sample (divided by n) over n."""
    values = np.random.default_rng(0).normal(30, 2, 400)
    found = bootstrap_mean(values, resamples=20000)
    half = 1.959964 * values.std() / math.sqrt(400)
    assert found.mean == pytest.approx(values.mean())
    assert found.std == pytest.approx(values.std(ddof=1))
    assert found.low == pytest.approx(values.mean() - half, abs=0.05 * half)
    assert found.high == pytest.approx(values.mean() + half, abs=0.05 * half)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    generator = np.random.default_rng(1)
    runs = 300
    held = 0
    for seed in range(runs):
        found = bootstrap_mean(generator.gumbel(0, 1, 60), 0.8, resamples=400, seed=seed)
        held += found.low <= np.euler_gamma <= found.high
    # 0.8 of 300 with three standard errors, and a little less for percentiles of skewed data.
    assert 0.71 <= held / runs <= 0.87


def test_seeds() -> None:
    values = np.random.default_rng(2).normal(size=30)
    assert bootstrap_mean(values, seed=3) == bootstrap_mean(values, seed=3)
    assert bootstrap_mean(values, seed=3) != bootstrap_mean(values, seed=4)
    # The same images are drawn for every metric: its unit does not matter.
    scaled = bootstrap_mean(10 * values + 5, seed=3)
    assert scaled.low == pytest.approx(10 * bootstrap_mean(values, seed=3).low + 5)


def test_values_that_are_missing_or_infinite() -> None:
    found = bootstrap_mean(np.array([1.0, np.nan, 1.0]))
    assert (found.n, found.mean, found.std, found.low, found.high) == (2, 1.0, 0.0, 1.0, 1.0)
    one = bootstrap_mean(np.array([4.0]))
    assert (one.n, one.mean) == (1, 4.0)
    assert math.isnan(one.low)
    equal = bootstrap_mean(np.array([np.inf, 30.0]))
    assert (equal.n, equal.mean) == (2, math.inf)
    assert math.isnan(equal.high)
    # Either method has one image that is perfect.
    both = paired_difference(np.array([np.inf, 30.0]), np.array([30.0, np.inf]))
    assert both.n == 2
    assert math.isnan(both.mean)
    none = bootstrap_mean(np.array([np.nan]))
    assert none.n == 0
    assert math.isnan(none.mean)


def test_differences_are_paired() -> None:
    """Images differ by far more than methods do: only pairing shows the difference."""
    generator = np.random.default_rng(5)
    baseline = generator.normal(25, 5, 50)
    values = baseline + generator.normal(0.3, 0.1, 50)
    found = paired_difference(values, baseline)
    assert found.mean == pytest.approx((values - baseline).mean())
    assert found.low > 0.2
    assert found.high - found.low < 0.1
    alone = bootstrap_mean(values)
    assert alone.low < baseline.mean() < alone.high


def test_only_images_that_both_have_are_paired() -> None:
    nan, inf = np.nan, np.inf
    values, baseline = np.array([1, nan, 3, inf, 5]), np.array([0, 1, nan, inf, 3])
    found = paired_difference(values, baseline)
    assert (found.n, found.mean) == (2, 1.5)


@pytest.mark.parametrize(("shape", "level"), [((2, 2), 0.95), ((3,), 1.0), ((3,), 0.0)])
def test_wrong_arguments(shape: tuple[int, ...], level: float) -> None:
    with pytest.raises(ValueError, match="wanted values"):
        bootstrap_mean(np.zeros(shape), level)
