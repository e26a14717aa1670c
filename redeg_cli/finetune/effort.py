"""How many steps a fine-tuning takes; said before torch is imported, so nothing slow is here."""

from typing import Literal, NamedTuple

LEAST_SIDE = 32
"""Pixels of a photo's side, at least."""

Quality = Literal["fast", "standard", "best"]


class Effort(NamedTuple):
    """Steps of the two fits."""

    steps: int
    """Of the restorer."""
    adapt_steps: int
    """Of SynNet, to the photo."""


EFFORT: dict[Quality, Effort] = {
    "fast": Effort(250, 250),
    "standard": Effort(1500, 500),
    "best": Effort(5000, 1000),
}
