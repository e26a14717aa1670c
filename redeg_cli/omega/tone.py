"""What a degradation does to tones and colours, apart from texture: curves and a colour mix.

Fitted in closed form on local means of a photo's pairs, so that SynNet need not learn it from the
few thousand pixels that also tell it the texture.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from scipy.optimize import nnls
from torch import Tensor

from redeg_cli.omega.peaks import View

KNOTS = 6
"""Pieces of a curve, quadratic splines with uniform knots: 8 coefficients."""
CELL = 8
"""Distance in pixels of the local means, which are taken over 20 px: dots and grain average out."""
LEAST_SHARE, LEAST = 0.25, 1 / 255
"""By how much a tone must lower the rms error of cells that it was not fitted on."""
# Weights of the pulls to a straight line, and to no change at all, against one for all cells.
_SMOOTH, _RIDGE = 1e-5, 1e-5
_FOLDS = 4

Numbers = tuple[float, ...]


@dataclass(frozen=True)
class Tone:
    """A smooth rising curve per channel, and what each takes from the others' differences to it.

    Channel c becomes curve_c(x_c) + sum over d of mix[c][d] (x_d - x_c), clamped to [0, 1]: gray
    tones follow the curves alone, any 3x3 matrix is one straight curve each and a mix.
    """

    curves: tuple[Numbers, Numbers, Numbers]
    """Spline coefficients of R, G and B, never falling. Those of the identity are -1/12, 1/12,
    3/12 ... 13/12."""
    mix: tuple[Numbers, Numbers, Numbers]
    """3x3, rows for R, G and B, with 0 on the diagonal."""

    def apply(self, images: Tensor) -> Tensor:
        """Return images (B, 3, H, W) in [0, 1] in the tones of the degradation, in [0, 1]."""
        mix = images.new_tensor(self.mix)
        toned = torch.einsum("cd,bdhw->bchw", mix - torch.diag(mix.sum(1)), images)
        place = (images * KNOTS).clamp(0, KNOTS)
        piece = place.floor().clamp_(max=KNOTS - 1)
        weights, piece = _spline_weights(place - piece), piece.long()
        for channel, coefficients in enumerate(self.curves):
            table = images.new_tensor(coefficients)
            for offset, weight in enumerate(weights):
                toned[:, channel] += table[piece[:, channel] + offset] * weight[:, channel]
        return toned.clamp_(0, 1)

    def undo(self, colours: np.ndarray) -> np.ndarray:
        """Return colours (N, 3) in [0, 1] that become these, or what comes nearest to them."""
        wanted = torch.from_numpy(np.asarray(colours, np.float32)).T[None, :, :, None]
        found = wanted.clone()
        for _ in range(300):  # goes on until the toned colours are those wanted
            found = (found + 0.5 * (wanted - self.apply(found))).clamp(0, 1)
        return found[0, :, :, 0].T.numpy()


def fit_tone(views: Sequence[View]) -> Tone | None:
    """Return the tone of the degradation of one photo's pairs, or None where there is none to see.

    Robust least squares (Huber's weights) on local means, by ``nnls`` since curves never fall, with
    a light pull to straight lines and to no change. It must lower the error of cells that it was
    not fitted on (four folds of 32 px squares) by ``LEAST_SHARE`` and ``LEAST``, or it is None.
    """
    cells = [_local_means(view) for view in views]
    hq, lq, weights, squares = (np.concatenate(parts) for parts in zip(*cells, strict=True))
    folds = squares % _FOLDS
    if len(hq) < 4 * KNOTS or len(set(folds.tolist())) < _FOLDS:
        return None
    before, after = 0.0, 0.0
    for fold in range(_FOLDS):
        inside, outside = folds != fold, folds == fold
        tone = _fit(hq[inside], lq[inside], weights[inside])
        left = _colours(tone, hq[outside]) - lq[outside]
        # Absolute: a cell that the HQ gets wrong shall not decide.
        before += float((weights[outside, None] * np.abs(hq[outside] - lq[outside])).sum())
        after += float((weights[outside, None] * np.abs(left)).sum())
    total = 3 * float(weights.sum())
    before, after = before / total, after / total
    if after > (1 - LEAST_SHARE) * before or before - after < LEAST:
        return None
    return _fit(hq, lq, weights)


def _local_means(view: View) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return means of HQ and LQ (N, 3), the weight of each (N,), and the number of its square."""
    both = torch.cat([view.hq, view.lq, view.hq.square()])
    means = F.avg_pool2d(F.avg_pool2d(both, 12, 4), 3, 2)  # a triangle of 20 px, every 8
    hq, lq, squared = means.flatten(2).transpose(1, 2).double().numpy()
    # The mean of a curve is not the curve of the mean: cells with much in them count less.
    spread = (squared - hq**2).mean(1).clip(0)
    height, width = means.shape[2:]
    rows, columns = np.mgrid[:height, :width] // (32 // CELL)
    return hq, lq, 1 / (1 + spread / 0.05**2), (rows + 2 * columns).ravel()


def _fit(hq: np.ndarray, lq: np.ndarray, weights: np.ndarray) -> Tone:
    curves, mix = [], []
    for channel in range(3):
        others = [d for d in range(3) if d != channel]
        found = _fit_channel(hq[:, channel], hq[:, others], lq[:, channel], weights)
        curves.append(tuple(found[: KNOTS + 2].tolist()))
        row = [0.0] * 3
        row[others[0]], row[others[1]] = found[KNOTS + 2 :].tolist()
        mix.append(tuple(row))
    return Tone(tuple(curves), tuple(mix))  # pyright: ignore[reportArgumentType]


def _fit_channel(
    own: np.ndarray, others: np.ndarray, wanted: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Return the coefficients of a curve and the two of its mix."""
    count = KNOTS + 2
    place = (own * KNOTS).clip(0, KNOTS)
    piece = np.floor(place).clip(max=KNOTS - 1).astype(int)
    design = np.zeros((len(own), count + 2))
    for offset, weight in enumerate(_spline_weights(place - piece)):
        design[np.arange(len(own)), piece + offset] = weight
    design[:, count:] = others - own[:, None]
    identity = np.concatenate([(np.arange(count) - 0.5) / KNOTS, [0, 0]])
    bends = np.diff(np.eye(count, count + 2), 2, axis=0) * _SMOOTH**0.5 * KNOTS
    pulls = np.eye(count + 2) * _RIDGE**0.5
    # In terms of the steps between coefficients, which are not negative; what may be negative
    # (the first coefficient and the mix) is a difference of two.
    steps = np.zeros((count + 2, count + 5))
    steps[:count, : count - 1] = np.tril(np.ones((count, count)), -1)[:, : count - 1]
    steps[:count, count - 1], steps[:count, count] = 1, -1
    for i in (0, 1):
        steps[count + i, count + 1 + 2 * i], steps[count + i, count + 2 + 2 * i] = 1, -1
    found = identity
    for _ in range(5):
        error = np.abs(design @ found - wanted)
        limit = max(1.5 * float(np.median(error)), 1 / 255)
        share = weights * np.minimum(1, limit / np.maximum(error, 1e-12))
        root = np.sqrt(share / weights.sum())[:, None]
        matrix = np.concatenate([design * root, bends, pulls])
        right = np.concatenate([wanted * root[:, 0], np.zeros(len(bends)), pulls @ identity])
        found = steps @ nnls(matrix @ steps, right)[0]
    return found


def _colours(tone: Tone, colours: np.ndarray) -> np.ndarray:
    images = torch.from_numpy(colours.T[None, :, :, None])
    return tone.apply(images)[0, :, :, 0].T.numpy()


def _spline_weights(t: Any) -> tuple[Any, Any, Any]:
    """Return the weights of three coefficients at ``t`` in [0, 1] of a piece."""
    return 0.5 * (1 - t) ** 2, 0.5 + t - t * t, 0.5 * t * t
