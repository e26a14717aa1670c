"""The families of degradations that transfer is measured on: the paper's four groups and mixtures.

The four are blur, resampling, noise and JPEG compression (ReDegNet, section 4.5); ``mixed`` chains
them, and ``halftone`` is print, the paper's own headline.
"""

import math
from typing import Any

Entry = dict[str, Any]
"""An entry of a chain, see ``degrade.draws``."""

GROUPS: tuple[str, ...] = ("blur", "resampling", "noise", "jpeg")
"""The paper's four groups, which Ω must tell apart."""
FAMILIES: tuple[str, ...] = (*GROUPS, "mixed", "halftone")

_FILTER = {"choice": ["area", "bilinear", "bicubic"]}


def _blur(p: float, low: float, high: float) -> Entry:
    sigma = [low, f"{high} * (2 + scale) / 3"]
    turned = {"op": "blur", "sigma": sigma, "sigma_y": sigma, "theta": [0, math.pi]}
    return {"p": p, "one_of": [{"op": "blur", "sigma": sigma}, turned]}


def _shrink(p: float, low: float, high: float) -> Entry:
    factor = {"log_uniform": [f"3 / ({high} * (2 + scale))", 1 / low]}
    step = {"op": "resize", "of": "hq", "factor": factor, "filter": _FILTER}
    return {"p": p, **step, "antialias": {"chance": 0.7}}


def _noise(p: float, low: float, high: float) -> Entry:
    gray = {"chance": 0.4}
    added = {"op": "noise", "sigma": {"log_uniform": [low, high]}, "gray": gray}
    shot = {"op": "poisson", "photons": {"log_uniform": [100, 5000]}, "gray": gray}
    return {"p": p, "one_of": [{"weight": 3, **added}, {"weight": 1, **shot}]}


def _compress(p: float, low: int, high: int) -> Entry:
    quality = {"integers": [low, high]}
    return {"p": p, "op": "jpeg", "quality": quality, "subsample": {"chance": 0.7}}


def _grid(full: bool) -> Entry:
    return {
        "op": "resize",
        "of": "hq" if full else "native",
        "filter": _FILTER,
        "antialias": True,
    }


def families(full_grid: bool = False, halftone: bool = False) -> dict[str, list[Entry]]:
    """Return the chains of each family by name: the four groups and ``mixed``.

    With ``full_grid`` the LQ was never on the native grid; with ``halftone`` the preset of that
    name (always on the native grid) is one more.
    """
    grid = _grid(full_grid)
    chains: dict[str, list[Entry]] = {
        "blur": [_blur(1, 0.8, 3.0), grid],
        "resampling": [_shrink(1, 2.0, 4.0), grid],
        "noise": [_noise(1, 0.02, 0.1), grid],
        "jpeg": [grid, _compress(1, 15, 80)],
        "mixed": [
            *(_blur(0.8, 0.5, 2.5), _shrink(0.7, 1.3, 3.0), _noise(0.7, 0.01, 0.06)),
            *(grid, _compress(0.8, 25, 90)),
        ],
    }
    if halftone:
        chains["halftone"] = [{"preset": "halftone"}]
    return chains


def screen_chain() -> list[Entry]:
    """Return a print in one black clustered-dot screen, scanned: what a screen is measured on.

    Dots lie 3 to 8 pixels of the native grid apart, at any angle.
    """
    dots = {
        "op": "halftone",
        "pitch": {"log_uniform": ["3 * scale", "8 * scale"]},
        "angles": [[0, 90]],
        "softness": [0.2, 0.8],
    }
    return [dots, {"op": "blur", "sigma": ["0.3 * scale", "0.6 * scale"]}, _grid(False)]
