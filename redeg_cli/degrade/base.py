"""The one abstraction: a degrader draws a record from a seed and applies records to images."""

import math
from collections.abc import Sequence
from typing import Annotated, Any, Protocol

import torch
from pydantic import BaseModel, ConfigDict, Field

Record = dict[str, Any]
"""JSON-able parameters that one degrader drew for one image; enough to replay it exactly."""

Seed = Annotated[int, Field(ge=0, lt=1 << 63)]
"""Decides a random field; see ``fields``."""
Share = Annotated[float, Field(ge=0, le=1)]
"""A share, probability or tone in [0, 1]."""
Rgb = tuple[Share, Share, Share]


class Step(BaseModel):
    """The parameters of one op, as a record holds them. Each op has its own kind of step.

    Unknown keys, values out of the range that a field states, infinity and NaN are refused.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Degrader(Protocol):
    """Anything that turns HQ images into native LQ images."""

    scale: int
    """How much larger the HQ is than the native LQ it makes."""

    def draw(self, seed: int) -> Record:
        """Return the parameters for one image. Pure: the seed decides everything."""
        ...

    def apply(self, hq: torch.Tensor, records: Sequence[Record]) -> torch.Tensor:
        """Degrade float32 ``hq`` (B, 3, H, W) in [0, 1] to native LQ (B, 3, H/scale, W/scale)
        in [0, 1].

        Runs on the device of ``hq``. H and W are multiples of ``scale``; one record per image.
        """
        ...


def check_batch(hq: torch.Tensor, records: Sequence[Record], scale: int) -> None:
    """Raise ValueError unless ``hq`` is float32 (B, 3, H, W), finite, divisible by ``scale``, a
    record each."""
    if hq.dtype != torch.float32:
        raise ValueError(f"expected float32 images in [0, 1], got {hq.dtype}")
    if hq.ndim != 4 or hq.shape[1] != 3 or hq.shape[0] == 0:
        raise ValueError(f"expected (B, 3, H, W) images, got {tuple(hq.shape)}")
    if hq.shape[0] != len(records):
        raise ValueError(f"{hq.shape[0]} images but {len(records)} records")
    if hq.shape[2] % scale or hq.shape[3] % scale:
        raise ValueError(f"{tuple(hq.shape[2:])} is not divisible by the scale {scale}")
    # One pass: a sum is finite when all of it is.
    if not math.isfinite(float(hq.sum())):
        bad = (~hq.isfinite()).flatten(1).any(1).nonzero().flatten().tolist()
        raise ValueError(f"NaN or infinity in image {', '.join(map(str, bad))} of the batch")
