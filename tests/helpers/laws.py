"""What presets draw, and whether it follows the laws that were published."""

from collections import Counter
from typing import Any

from scipy import stats

from redeg_cli.degrade.chain import load_degrader

COUNT = 4000
LEAST_CHANCE = 1e-4
"""p-value below which a law is not believed: there are some 300 tests of laws."""

Steps = list[dict[str, Any]]


def drawn(name: str, scale: int, count: int = COUNT) -> list[Steps]:
    degrader = load_degrader(name, scale)
    return [degrader.draw(seed)["steps"] for seed in range(count)]


def ops(steps: Steps) -> str:
    """The ops in order by their first letters; j is JPEG, z a resize, p Poisson, n and s noise."""
    letters = {"blur": "b", "resize": "z", "noise": "n", "jpeg": "j", "poisson": "p"}
    letters |= {"speckle": "s", "sharpen": "u"}
    return "".join(letters[step["op"]] for step in steps)


def happens(flags: list[bool], share: float) -> bool:
    """Whether so many of these may be a share of that."""
    return stats.binomtest(sum(flags), len(flags), share).pvalue > LEAST_CHANCE


def alike(values: list[Any], options: list[Any], shares: list[float] | None = None) -> bool:
    """Whether these options come about, and as often as they should."""
    shares = shares or [1 / len(options)] * len(options)
    seen = Counter(values)
    assert set(seen) == set(options)
    expected = [len(values) * share for share in shares]
    return stats.chisquare([seen[option] for option in options], expected).pvalue > LEAST_CHANCE


def uniform(values: list[float], low: float, high: float) -> bool:
    """Whether these are uniform; ranges are kept to six digits."""
    rounding = 1e-5 * max(abs(low), abs(high))
    assert low - rounding <= min(values)
    assert max(values) <= high + rounding
    return stats.kstest(values, "uniform", (low, high - low)).pvalue > LEAST_CHANCE


def not_antialiased(steps: Steps) -> bool:
    return not any(step.get("antialias") for step in steps)
