"""Patches of noise, cut from the smooth parts of real images.

Aakerberg et al. 2021, "Real-World Super-Resolution of Face-Images from Surveillance Cameras",
section 3.3, after Chen et al., CVPR 2018 (GCBD). A patch p of an image is smooth when each of its
parts q has nearly the mean (eq. 4) and the variance (eq. 5) of the whole, and it is not flat
(eq. 6); less its mean it is noise. Three things are ours, since the equations let too much through:
patches with clipped pixels, whose noise is cut off, and textures as even as noise are left out; and
shading is taken off with the mean, as a quadratic surface.
"""

from collections import Counter
from dataclasses import dataclass

import cv2
import numpy as np

from redeg_cli.errors import InputError

REASONS = {
    "flat": "with a variance below φ (eq. 6)",
    "mean": "with parts of different means (eq. 4)",
    "variance": "with parts of different variances (eq. 5)",
    "clipped": "with pixels at 0 or 255",
    "texture": "far above the image's noise floor",
    "overlap": "over an evener one",
    "surplus": "beyond the most of one image",
    "duplicate": "there already",
}
"""Why a patch is left out, in the order in which the rules are looked at."""

_CLIPPED = 0.01
"""Share of a patch's pixels that may be at the end of the range."""
_TEXTURE = 2.0
"""How many times the noise floor the variance of a patch may be. The floor is a low quantile, so
that noise lies above it: 1.3 times for white noise, 1.5 to 1.9 times for noise blurred by 0.7 px;
textures that pass eqs. 4 and 5 mostly lie above 4."""
_FLOOR = 0.02
"""The noise floor is this quantile of the variances of all parts q of the image that are about as
bright."""
_AS_BRIGHT = 24.0
"""In levels from 0 to 255."""
_BRIGHTER = 8.0
"""How many times that of the whole image, flat parts aside, the floor at a brightness may be: where
only a texture is so bright, it would be its own floor."""


@dataclass(frozen=True)
class Rules:
    """What is a smooth patch; lengths in pixels. Defaults are the paper's, section 4."""

    p: int = 32
    """Side of a patch."""
    q: int = 8
    """Side of its parts, which do not overlap; divides ``p``."""
    mu: float = 0.1
    """Eq. 4: |Mean(q) − Mean(p)| ≤ μ · Mean(p)."""
    gamma: float = 0.25
    """Eq. 5: |Var(q) − Var(p)| ≤ γ · Var(p)."""
    phi: float = 0.5
    """Eq. 6: Var(p) ≥ φ, of levels from 0 to 255."""
    stride: int = 2
    """From one patch to the next (the paper gives none)."""
    limit: int = 64
    """Most patches of one image."""

    def __post_init__(self) -> None:
        if self.q < 2 or self.p % self.q or self.p <= self.q:
            raise InputError(
                f"a patch of {self.p} px cannot be cut into parts of {self.q} px: "
                "give a multiple of the parts' side"
            )


@dataclass(frozen=True)
class Found:
    """The noise of one image. Guaranteed: all arrays agree in length."""

    patches: np.ndarray
    """float32 (N, p, p, 3): deviations from the shading, in units of the range [0, 1]."""
    levels: np.ndarray
    """float32 (N, 3): their means in [0, 1]."""
    places: np.ndarray
    """int (N, 2): y and x of their upper left corners."""
    looked_at: int
    """Patches that were looked at."""
    rejected: dict[str, int]
    """Patches left out, by the first of ``REASONS`` that holds."""


def find_noise(rgb: np.ndarray, rules: Rules) -> Found:
    """Return the patches of noise in an image (H, W, 3), float32 in [0, 1].

    The equations are of its luma in levels from 0 to 255. Patches of one image do not overlap.
    Raises InputError when the image is smaller than a patch.
    """
    height, width = rgb.shape[:2]
    if min(height, width) < rules.p:
        raise InputError(
            f"an image of {width}x{height} px is smaller than a patch of {rules.p}x{rules.p}"
        )
    found = _look(rgb, rules)
    smooth, rejected = found.smooth, found.rejected
    level, variance = found.mean[smooth], found.variance[smooth]
    kept = variance <= _TEXTURE * _floors(_luma(rgb), rules)[level.astype(int).clip(0, 255)]
    rejected["texture"] = int((~kept).sum())
    uneven = found.uneven[smooth][kept] / variance[kept]
    places = np.argwhere(smooth)[kept]
    chosen, rejected["overlap"] = _apart(
        places, np.argsort(uneven, kind="stable"), -(-rules.p // rules.stride), rules.limit
    )
    rejected["surplus"] = len(places) - len(chosen) - rejected["overlap"]
    corners = places[chosen] * rules.stride
    return Found(*_cut(rgb, corners, rules.p), corners, smooth.size, rejected)


@dataclass(frozen=True)
class _Windows:
    """What the equations say of every patch of an image; arrays (rows, columns) of patches."""

    smooth: np.ndarray
    mean: np.ndarray
    """Of the luma, in levels."""
    variance: np.ndarray
    uneven: np.ndarray
    """Largest |Var(q) − Var(p)|."""
    rejected: dict[str, int]


def _look(rgb: np.ndarray, rules: Rules) -> _Windows:
    """Apply the equations. Sums over patches and parts are differences of integral images."""
    luma = _luma(rgb)
    ends = ((rgb <= 0) | (rgb >= 1)).any(2)
    # Squares of deviations from the middle: integrals of large images lose no digits.
    sums, squares = cv2.integral2(luma - np.float32(128), sdepth=cv2.CV_64F, sqdepth=cv2.CV_64F)
    clipped = cv2.integral(np.asarray(ends, np.uint8))
    height, width = luma.shape
    ys = np.arange(0, height - rules.p + 1, rules.stride)
    xs = np.arange(0, width - rules.p + 1, rules.stride)

    def total(integral: np.ndarray, y: np.ndarray, x: np.ndarray, side: int) -> np.ndarray:
        rows = integral[y + side] - integral[y]
        return rows[:, x + side] - rows[:, x]

    def moments(y: np.ndarray, x: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
        mean = total(sums, y, x, side) / side**2
        return mean + 128, (total(squares, y, x, side) / side**2 - mean**2).clip(min=0)

    mean, variance = moments(ys, xs, rules.p)
    mean_off, variance_off = np.zeros_like(mean), np.zeros_like(mean)
    for top in range(0, rules.p, rules.q):
        for left in range(0, rules.p, rules.q):
            of_mean, of_variance = moments(ys + top, xs + left, rules.q)
            np.maximum(mean_off, np.abs(of_mean - mean), out=mean_off)
            np.maximum(variance_off, np.abs(of_variance - variance), out=variance_off)
    tests = {
        "flat": variance >= rules.phi,
        "mean": mean_off <= rules.mu * mean,
        "variance": variance_off <= rules.gamma * variance,
        "clipped": total(clipped, ys, xs, rules.p) <= _CLIPPED * rules.p**2,
    }
    smooth, rejected = np.ones(mean.shape, bool), Counter[str]()
    for reason, passed in tests.items():
        rejected[reason] = int((smooth & ~passed).sum())
        smooth &= passed
    return _Windows(smooth, mean, variance, variance_off, dict(rejected))


def _luma(rgb: np.ndarray) -> np.ndarray:
    """Return the luma (...) of colours (..., 3) in [0, 1], in levels from 0 to 255."""
    return rgb @ np.array([76.245, 149.685, 29.07], np.float32)


def _floors(luma: np.ndarray, rules: Rules) -> np.ndarray:
    """Return the noise floor (256,), a variance, of an image (H, W) by the brightness in levels:
    noise depends on it."""
    q = rules.q
    rows, columns = (side // q for side in luma.shape)
    parts = luma[: rows * q, : columns * q].reshape(rows, q, columns, q)
    mean, variance = parts.mean((1, 3)).ravel(), parts.var((1, 3)).ravel()
    order = np.argsort(mean)
    mean, variance = mean[order], variance[order]
    uneven = variance[variance >= rules.phi]
    floors = np.full(256, np.inf)
    for level in range(256):
        first = np.searchsorted(mean, level - _AS_BRIGHT)
        last = np.searchsorted(mean, level + 1 + _AS_BRIGHT)
        if last > first:
            floors[level] = np.quantile(variance[first:last], _FLOOR)
    return np.minimum(floors, _BRIGHTER * np.quantile(uneven, _FLOOR)) if len(uneven) else floors


def _cut(rgb: np.ndarray, places: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the patches (N, side, side, 3) less their shading, and their means (N, 3)."""
    cut = [rgb[y : y + side, x : x + side] for y, x in places]
    patches = np.stack(cut) if cut else np.zeros((0, side, side, 3), np.float32)
    levels = patches.mean((1, 2))
    smooth = _surfaces(side)
    weights = np.einsum("nyxc,yxk->nkc", patches, smooth)
    return patches - np.einsum("nkc,yxk->nyxc", weights, smooth), levels


def _surfaces(side: int) -> np.ndarray:
    """Return the quadratic surfaces (side, side, 6), orthonormal: what shading looks like."""
    y, x = np.meshgrid(*[np.linspace(-1, 1, side)] * 2, indexing="ij")
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], -1)
    basis = np.linalg.qr(terms.reshape(-1, 6))[0]
    return basis.reshape(side, side, 6).astype(np.float32)


def _apart(places: np.ndarray, order: np.ndarray, apart: int, limit: int) -> tuple[list[int], int]:
    """Return the first rows of ``order`` whose places (N, 2) are ``apart`` in one direction, and
    how many were passed over until there were ``limit``."""
    chosen: list[int] = []
    taken = np.zeros(places.max(0, initial=0) + 1, bool)
    overlapping = 0
    for row in order:
        if len(chosen) == limit:
            break
        y, x = places[row]
        if taken[y, x]:
            overlapping += 1
            continue
        chosen.append(int(row))
        taken[max(0, y - apart + 1) : y + apart, max(0, x - apart + 1) : x + apart] = True
    return chosen, overlapping
