"""Means over images, how sure they are, and differences between methods."""

from dataclasses import dataclass

import numpy as np

LEVEL = 0.95
RESAMPLES = 5000
"""Intervals want 1000 at least (Efron and Tibshirani 1993, section 14.3)."""
_AT_ONCE = 1 << 20
"""Values drawn at a time."""


@dataclass(frozen=True)
class Interval:
    """A mean over images with its confidence interval."""

    n: int
    """Images."""
    mean: float
    std: float
    """Standard deviation over the images (n - 1)."""
    low: float
    high: float


def bootstrap_mean(
    values: np.ndarray, level: float = LEVEL, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """Return the mean of ``values`` (images,) and its percentile-bootstrap interval.

    The images are drawn with replacement (Efron and Tibshirani 1993, section 13.3), with one seed
    the same ones for any values of as many images. NaN values are left out. Of a single image
    there is no interval, nor where a value is infinite (the PSNR of equal images): it is NaN then.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or not 0 < level < 1:
        raise ValueError(f"wanted values (images,) and 0 < level < 1, got {values.shape}, {level}")
    values = values[~np.isnan(values)]
    n = len(values)
    if n < 2 or not np.isfinite(values).all():
        with np.errstate(invalid="ignore"):  # inf - inf
            mean = float(values.mean()) if n else float("nan")
        return Interval(n, mean, *[float("nan")] * 3)
    from scipy import stats  # 0.6 s, which a help text need not wait for

    found = stats.bootstrap(
        (values,),
        np.mean,
        vectorized=True,
        confidence_level=level,
        n_resamples=resamples,
        batch=max(1, _AT_ONCE // n),
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Interval(
        n, float(values.mean()), float(values.std(ddof=1)), float(found.low), float(found.high)
    )


def paired_difference(
    values: np.ndarray,
    baseline: np.ndarray,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Return the interval of ``values`` - ``baseline``, both (images,), image by image.

    Images on which either is NaN, or both are infinite, are left out: what remains is paired.
    """
    with np.errstate(invalid="ignore"):  # inf - inf
        differences = np.asarray(values, np.float64) - np.asarray(baseline, np.float64)
    return bootstrap_mean(differences, level, resamples, seed)
