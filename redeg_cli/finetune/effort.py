"""What a fine-tuning is told on the command line, and how many steps it takes: said before torch is
imported, so nothing slow is here."""

from typing import Literal, NamedTuple

LEAST_SIDE = 32
"""Pixels of a photo's side, at least."""

Quality = Literal["fast", "standard", "best"]
"""How long to fit."""
FaceRule = Literal["keep", "blend", "restore"]
"""What becomes of the faces: kept as the restored photo has them, replaced by the restored face
where that is an improvement, or replaced all."""


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
