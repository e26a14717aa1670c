"""Layouts of Ωs: clusters stay apart, the same seed gives the same places."""

import builtins
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import silhouette_score

from redeg_cli.errors import InputError, RedegError
from redeg_cli.evaluate.embedding import Method, embed, fit_perplexity


def clusters(sizes: tuple[int, ...], apart: float = 8.0) -> tuple[np.ndarray, np.ndarray]:
    """Ωs (N, 512) about as many centres, and the centre of each."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(len(sizes)), sizes)
    centres = apart * rng.standard_normal((len(sizes), 512))
    rows = centres[labels] + rng.standard_normal((len(labels), 512))
    return rows.astype(np.float32), labels


def check_layout(method: Method) -> None:
    rows, labels = clusters((25, 20, 30, 15))
    places = embed(rows, method, seed=3)
    assert places.shape == (90, 2)
    assert places.dtype == np.float32
    assert silhouette_score(places, labels) > 0.7
    assert np.abs(places.mean(0)).max() < 1e-2 * np.abs(places).max()
    assert np.array_equal(places, embed(rows, method, seed=3))


def test_tsne_keeps_clusters_apart() -> None:
    check_layout("tsne")


def test_umap_keeps_clusters_apart() -> None:
    pytest.importorskip("umap", reason="umap-learn is not installed")
    check_layout("umap")


@pytest.mark.parametrize("count", [3, 4, 7])
def test_small_pools(count: int) -> None:
    places = embed(clusters((count,))[0])
    assert np.isfinite(places).all()
    assert len(np.unique(places, axis=0)) == count


def test_doubles_lie_together() -> None:
    rows, _ = clusters((20, 20))
    rows[5] = rows[4]
    places = embed(rows)
    gaps = np.linalg.norm(places - places[4], axis=1)
    assert gaps[5] < 0.05 * np.median(gaps)


@pytest.mark.parametrize(("count", "fitting"), [(3, 1.0), (31, 10.0), (91, 30.0), (5000, 30.0)])
def test_perplexity_fits_the_count(count: int, fitting: float) -> None:
    assert fit_perplexity(None, count) == fitting
    assert fit_perplexity(2.5, count) == 2.5
    for wrong in (0, -1, count, float("nan")):
        with pytest.raises(InputError, match="does not fit"):
            fit_perplexity(wrong, count)


@pytest.mark.parametrize(
    ("rows", "settings", "message"),
    [
        (np.zeros((2, 512)), {}, "at least 3 Ωs, got 2"),
        (np.ones((9, 512)), {}, "all 9 Ωs are equal"),
        (np.eye(512)[:9], {"perplexity": 9.0}, "perplexity 9 does not fit 9"),
        (np.eye(512)[:9], {"method": "umap", "neighbours": 9}, "give 2 to 8"),
    ],
)
def test_what_has_no_layout(rows: np.ndarray, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        embed(rows, **settings)


def test_umap_that_is_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *arguments: Any) -> Any:
        if name == "umap":
            raise ImportError("No module named 'umap'")
        return real(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(RedegError, match=r"pip install 'redeg\[umap\]'"):
        embed(np.eye(512)[:9], "umap")
