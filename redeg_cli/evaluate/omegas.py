"""What Ω knows: nothing of the content, and the degradation as a distance."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import rankdata
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits
from torch import Tensor

FOLDS = 5
_MID_TONE = 0.5
"""Where shot noise, which grows with the tone, is compared with added noise."""


def probe_content(faces: Tensor, naturals: Tensor) -> np.ndarray:
    """Return whether a linear probe tells a face's Ω from a natural image's, bool (2 N,).

    ``faces`` and ``naturals`` (N, 512) were degraded alike, row by row. Logistic regression on
    standardised Ωs, cross-validated over ``FOLDS`` folds that keep the two of a row together: what
    is told apart is content, and chance is 0.5. The answers are those of the faces, then of the
    naturals.
    """
    count = len(faces)
    if count < 2 * FOLDS:
        raise ValueError(f"{count} pairs are too few for a probe: give at least {2 * FOLDS}")
    omegas = np.concatenate([faces.double().cpu().numpy(), naturals.double().cpu().numpy()])
    labels = np.repeat([0, 1], count)
    probe = make_pipeline(StandardScaler(), LogisticRegression(tol=1e-3, max_iter=2000))
    pairs = np.tile(np.arange(count), 2)
    with threadpool_limits(1):  # 512 numbers are nothing to share
        said = cross_val_predict(probe, omegas, labels, groups=pairs, cv=GroupKFold(FOLDS))
    return np.asarray(said, dtype=labels.dtype) == labels


def rank_correlation(
    faces: Tensor, naturals: Tensor, records: Sequence[Mapping[str, Any]]
) -> float:
    """Return Spearman's ρ of distances in Ω and distances of the recorded parameters.

    Row i of ``faces`` and of ``naturals`` (N, 512) was degraded by ``records[i]``. The distances
    are those from each face's Ω to each natural's of another record: content never agrees, so it
    cannot help. NaN when all distances are equal.
    """
    omegas = faces.double().cpu().numpy(), naturals.double().cpu().numpy()
    between = np.linalg.norm(omegas[0][:, None] - omegas[1][None], axis=2)
    parameters = np.array([describe_parameters(record) for record in records])
    spread = parameters.std(0)
    parameters = parameters / np.where(spread > 0, spread, 1)
    apart = np.linalg.norm(parameters[:, None] - parameters[None], axis=2)
    others = ~np.eye(len(records), dtype=bool)
    if np.ptp(between[others]) == 0 or np.ptp(apart[others]) == 0:
        return float("nan")
    return float(np.corrcoef(rankdata(between[others]), rankdata(apart[others]))[0, 1])


def describe_parameters(record: Mapping[str, Any]) -> tuple[float, ...]:
    """Return what a record of blurs, resizes, noise and JPEG does, as numbers.

    Width of the blur in pixels, log2 of how many times it was shrunk (before it came back), log2
    of the noise's standard deviation in levels of 255 (1 added, so that 0 is none), whether that
    noise is gray, 100 - quality of the JPEG (0 for none) and whether its chroma was subsampled.
    """
    variance = shrink = noise = gray = loss = subsampled = 0.0
    for step in record["steps"]:
        op = step["op"]
        if op == "blur":
            across = step.get("sigma_y")
            variance += step["sigma"] * (step["sigma"] if across is None else across)
        elif op == "resize" and step.get("of") == "hq":
            shrink += -float(np.log2(step.get("factor", 1.0)))
        elif op in ("noise", "poisson"):
            sigma = step["sigma"] if op == "noise" else (_MID_TONE / step["photons"]) ** 0.5
            noise += float(np.log2(1 + 255 * sigma))
            gray = float(step.get("gray", False))
        elif op == "jpeg":
            loss, subsampled = 100.0 - step["quality"], float(step.get("subsample", False))
    return variance**0.5, shrink, noise, gray, loss, subsampled
