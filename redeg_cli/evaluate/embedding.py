"""Ωs laid out in the plane, so that Ωs that are alike lie together."""

import warnings
from typing import Literal

import numpy as np

from redeg_cli.errors import InputError, RedegError

Method = Literal["tsne", "umap"]

LEAST = 3
"""Fewest Ωs that have a layout."""


def embed(
    omegas: np.ndarray,
    method: Method = "tsne",
    seed: int = 0,
    *,
    perplexity: float | None = None,
    neighbours: int | None = None,
) -> np.ndarray:
    """Return a place in the plane, float32 (N, 2), for each of N Ωs (N, 512).

    ``tsne`` is t-SNE (van der Maaten and Hinton, 2008), as in ReDegNet's Fig. 5; ``perplexity`` is
    by default 30, or what fits fewer than 91 Ωs. ``umap`` is UMAP (McInnes et al., 2018) with
    ``neighbours``, 15 by default. Both start from the principal components and run on one thread:
    the same Ωs, method and seed give the same places.

    Raises InputError for fewer than 3 Ωs, equal Ωs and settings that do not fit, RedegError when
    UMAP is not installed.
    """
    count = len(omegas)
    if count < LEAST:
        raise InputError(f"a plot needs at least {LEAST} Ωs, got {count}: give larger pools")
    if (omegas == omegas[0]).all():
        raise InputError(f"all {count} Ωs are equal: there is nothing to lay out")
    rows = np.ascontiguousarray(omegas, np.float32)
    if method == "umap":
        places = _umap(rows, _fit_neighbours(neighbours, count), seed)
    else:
        places = _tsne(rows, fit_perplexity(perplexity, count), seed)
    return (places - places.mean(0)).astype(np.float32)


def fit_perplexity(perplexity: float | None, count: int) -> float:
    """Return the perplexity for ``count`` Ωs: as given, or 30 but a third of the others at most.

    Raises InputError for one that is not between 0 and ``count``.
    """
    if perplexity is None:
        return max(1.0, min(30.0, (count - 1) / 3))
    if not 0 < perplexity < count:
        raise InputError(
            f"perplexity {perplexity:g} does not fit {count} Ωs: give one above 0 and below {count}"
        )
    return perplexity


def _fit_neighbours(neighbours: int | None, count: int) -> int:
    if neighbours is None:
        return min(15, count - 1)
    if not 2 <= neighbours < count:
        raise InputError(
            f"{neighbours} neighbours do not fit {count} Ωs: give 2 to {count - 1} of them"
        )
    return neighbours


def _tsne(rows: np.ndarray, perplexity: float, seed: int) -> np.ndarray:
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    # Threads add up in any order, and t-SNE enlarges the last digit to another picture.
    with threadpool_limits(1):
        return TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(rows)


def _umap(rows: np.ndarray, neighbours: int, seed: int) -> np.ndarray:
    try:
        from umap import UMAP  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise RedegError(
            f"UMAP cannot be used ({error}): run `pip install 'redeg[umap]'`, or use t-SNE"
        ) from None
    # The spectral start fails for a handful of points and for clusters without a link.
    layout = UMAP(n_neighbors=neighbours, init="pca", random_state=seed, n_jobs=1)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "n_jobs value 1 overridden", UserWarning)
        return np.asarray(layout.fit_transform(rows))
