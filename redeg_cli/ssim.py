"""SSIM (Wang et al. 2004) and MS-SSIM (Wang et al. 2003) as their authors compute them, but fast.

As in the authors' code and in scikit-image only windows wholly inside an image count. torchmetrics
1.9 averages windows over a mirrored border too, which is another number.
"""

from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from redeg_cli.device import map_single_threaded
from redeg_cli.errors import MetricError

WINDOW = 11
"""Taps of the Gaussian window, and the least side of an image."""
_SIGMA = 1.5
_C1 = 0.01**2
_C2 = 0.03**2

_EXPONENTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Of the five scales of MS-SSIM, the finest first (Wang et al. 2003, section 3.2)."""
MS_SSIM_LEAST = (WINDOW - 1) * 2 ** (len(_EXPONENTS) - 1) + 1
"""Least side in pixels: the coarsest scale still holds a window."""


def ssim(results: Tensor, references: Tensor) -> Tensor:
    """Return the SSIM (B,) of images (B, C, H, W) in [0, 1], the mean over their channels.

    A Gaussian window of 11 taps, σ = 1.5. Raises MetricError for sides under 11.
    """
    _check_size(results, WINDOW, "SSIM")
    return _similarity(results, references)[0]


def ms_ssim(results: Tensor, references: Tensor) -> Tensor:
    """Return the MS-SSIM (B,) of images (B, C, H, W) in [0, 1].

    The terms of each scale are means over all channels, and 0 where they are negative (their powers
    would not be real), as in torchmetrics. Raises MetricError for sides under 161.
    """
    _check_size(results, MS_SSIM_LEAST, "MS-SSIM")
    product = torch.ones(len(results), device=results.device)
    for exponent in _EXPONENTS[:-1]:
        _, contrast = _similarity(results, references)
        product *= contrast.clamp(min=0) ** exponent
        results, references = _halve(results), _halve(references)
    similarity, _ = _similarity(results, references)
    return product * similarity.clamp(min=0) ** _EXPONENTS[-1]


def _similarity(results: Tensor, references: Tensor) -> tuple[Tensor, Tensor]:
    """Return the means (B,) of SSIM and of its contrast-structure term alone."""
    taps = _gaussian()
    if results.device.type == "cpu":  # plane by plane: what is at work stays in the cache
        planes = list(zip(results.flatten(0, 1), references.flatten(0, 1), strict=True))
        terms = torch.stack(map_single_threaded(lambda pair: _plane_terms(*pair, taps), planes))
    else:
        terms = _plane_terms(results, references, taps)
    full, contrast = terms.view(*results.shape[:2], 2).mean(1).unbind(-1)
    return full, contrast


def _plane_terms(x: Tensor, y: Tensor, taps: list[float]) -> Tensor:
    """Return both terms of planes (..., H, W), each the mean over all windows: (..., 2)."""
    # Only the sum of the variances is needed: four moments to blur in place of five.
    moments = torch.stack((x, y, x * x + y * y, x * y))
    for dim in (-2, -1):
        moments = _blur(moments, taps, dim)
    mean_x, mean_y, power, product = moments
    mean_product = mean_x * mean_y
    mean_power = mean_x.square_().add_(mean_y.square_())
    variances = power.sub_(mean_power)
    covariance = product.sub_(mean_product)
    contrast = covariance.mul_(2).add_(_C2).div_(variances.add_(_C2))
    luminance = mean_product.mul_(2).add_(_C1).div_(mean_power.add_(_C1))
    return torch.stack([term.mean((-2, -1)) for term in (luminance.mul_(contrast), contrast)], -1)


def _blur(x: Tensor, taps: list[float], dim: int) -> Tensor:
    """Return the weighted sums of the windows along ``dim``, which gets shorter by ten.

    Shifted sums instead of a convolution, which is slow for single channels on the CPU: 512x512
    pixels take 2 ms on one core in place of 11.
    """
    inside, middle = x.shape[dim] - WINDOW + 1, WINDOW // 2
    shifted = partial(x.narrow, dim, length=inside)
    out = shifted(start=middle) * taps[middle]
    for at in range(middle):
        out.add_(shifted(start=at) + shifted(start=WINDOW - 1 - at), alpha=taps[at])
    return out


def _gaussian() -> list[float]:
    at = torch.arange(WINDOW, dtype=torch.float64) - WINDOW // 2
    taps = torch.exp(-at.square() / (2 * _SIGMA**2))
    return (taps / taps.sum()).tolist()


def _halve(images: Tensor) -> Tensor:
    """Return the means of 2x2 pixels; odd sides are continued by their last row or column."""
    odd_height, odd_width = (side % 2 for side in images.shape[-2:])
    return F.avg_pool2d(F.pad(images, (0, odd_width, 0, odd_height), mode="replicate"), 2)


def _check_size(images: Tensor, least: int, name: str) -> None:
    height, width = images.shape[-2:]
    if min(height, width) < least:
        raise MetricError(
            f"{width}x{height} is too small for {name}: wanted {least} pixels on a side or more"
        )
