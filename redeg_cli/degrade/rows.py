"""What an analogue picture is made of: rows, which are filtered and displaced one by one.

A video signal is continuous along a row and discrete across rows. So whatever happens to it (a
narrow band, an echo, an unsteady tape) works along the rows. Here is what such ops share.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from redeg_cli.degrade.canvas import Canvas

Response = Callable[[Tensor], Tensor]
"""Step response: (B, n) distances behind an edge in pixels -> what of the step has come."""


def row_kernels(response: Response, reaches: Sequence[int], device: torch.device) -> Tensor:
    """Return kernels (B, 2 * max(reaches) + 1), each summing to 1 and 0 beyond its own reach, of
    filters given by their response to a step.

    A pixel's weight is the rise of the response over its width, so that an edge between two pixels
    comes out as the response itself, sampled at the pixels' centres.
    """
    reach = max(reaches)
    place = torch.arange(-reach, reach + 2, device=device, dtype=torch.float32)[None]
    own = torch.tensor(reaches, device=device)[:, None]
    kernels = response(place - 0.5).diff(dim=1) * (place[:, :-1].abs() <= own)
    return kernels / kernels.sum(1, keepdim=True)


def filter_rows(planes: Tensor, kernels: Tensor) -> Tensor:
    """Convolve the rows of planes (B, C, H, W + 2 * reach) with kernels (B, 2 * reach + 1) or
    (B, C, 2 * reach + 1); the result is (B, C, H, W).

    A weight behind the centre (of higher index) moves the picture to the right.
    """
    if kernels.ndim == 2:
        kernels = kernels[:, None]
    weights = kernels.flip(-1)[:, :, None, None].unbind(-1)
    width = planes.shape[3] - len(weights) + 1
    # Tap by tap: on a CPU core a half to a tenth of the time of grouped conv2d.
    out = planes[..., :width] * weights[0]
    for tap, weight in enumerate(weights[1:], start=1):
        out.addcmul_(planes[..., tap : tap + width], weight)
    return out


def bordered_rows(canvas: Canvas, planes: Tensor, reach: int) -> Tensor:
    """Return planes (B, C, H, W) on the canvas' grid with ``reach`` pixels more to the left and to
    the right, and beyond each image's own width: its last pixel, repeated."""
    if not canvas.ragged:
        return F.pad(planes, (reach, reach, 0, 0), mode="replicate")
    index = _columns(canvas, -reach, reach).clamp(min=0).minimum(_last_columns(canvas))
    shape = (*planes.shape[:3], index.shape[3])
    return planes.gather(3, index.expand(shape))


def move_rows(canvas: Canvas, right: Tensor) -> Tensor:
    """Return the canvas' pixels with each row moved to the right by ``right`` (B, H) pixels.

    Cubic interpolation (Catmull-Rom; whole pixels are moved exactly), replicated borders, clamped
    to [0, 1].
    """
    whole = right.ceil()
    t = (whole - right)[:, None, :, None]
    shift = whole.long()[:, None, :, None]
    index = (_columns(canvas, -1, 2) - shift).clamp(min=0).minimum(_last_columns(canvas))
    source = canvas.pixels.gather(3, index.expand(-1, 3, -1, -1))
    width = canvas.pixels.shape[3]
    weights = (
        ((2 - t) * t - 1) * t / 2,
        ((3 * t - 5) * t * t + 2) / 2,
        ((4 - 3 * t) * t + 1) * t / 2,
        (t - 1) * t * t / 2,
    )
    out = source[..., :width] * weights[0]
    for tap, weight in enumerate(weights[1:], start=1):
        out.addcmul_(source[..., tap : tap + width], weight)
    return out.clamp_(0, 1)


def correlated(white: Tensor, sigmas: Tensor, reach: int) -> Tensor:
    """Return noise (B, C, H, W) of the same variance from white noise (B, C, H, W + 2 * reach),
    correlated along the rows by Gaussian kernels of ``sigmas`` (B, C), at most reach / 3.

    A kernel begins at its pixel's own place and reaches to the right, so that the result does not
    depend on ``reach``, which the widest kernel of a batch decides. 0 leaves the noise as it is.
    """
    place = torch.arange(2 * reach + 1, device=white.device, dtype=torch.float32)
    sigmas = sigmas[..., None].clamp(min=1e-3)
    kernels = torch.exp(-((place / sigmas - 3) ** 2) / 2) * (place <= 6 * sigmas)
    kernels = kernels / kernels.square().sum(-1, keepdim=True).sqrt()
    return filter_rows(white, kernels.flip(-1))


def _columns(canvas: Canvas, before: int, after: int) -> Tensor:
    width = canvas.pixels.shape[3]
    return torch.arange(before, width + after, device=canvas.device).view(1, 1, 1, -1)


def _last_columns(canvas: Canvas) -> Tensor:
    return torch.tensor([width - 1 for _, width in canvas.sizes], device=canvas.device).view(
        -1, 1, 1, 1
    )
