"""How many steps a fine-tuning takes; said before torch is imported, so nothing slow is here."""

from typing import Literal, NamedTuple

Quality = Literal["fast", "standard", "best"]

FIRST = 100
"""Steps of the restorer after which the candidates are compared, at most."""


class Effort(NamedTuple):
    """Steps of the two fits."""

    steps: int
    """Of the restorer that is carried on."""
    adapt_steps: int
    """Of SynNet, to the photo."""


EFFORT: dict[Quality, Effort] = {
    "fast": Effort(250, 250),
    "standard": Effort(1500, 500),
    "best": Effort(5000, 1000),
}


def first_steps(steps: int) -> int:
    """Return after how many of ``steps`` the candidates are compared: the other one ends there."""
    return min(FIRST, max(1, steps // 4))
