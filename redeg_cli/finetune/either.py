"""A degrader of two: each image is degraded by one of them.

A photo's degradation is known in two ways, as the Ω of its faces and as SynNet adapted to them, and
nothing tells beforehand which is nearer to the truth: a restorer is tuned on LQs of both. PSNR in
dB outside the face after 250 steps, by Ω alone, by the adapted SynNet and by either: the colour
print in examples/ 25.2, 24.6, 25.0; another colour print 22.0, 26.8, 26.9.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from redeg_cli.degrade.base import Degrader, Record
from redeg_cli.seeds import sample_seed


class Either:
    """Degrades each image by one of two degraders of one scale, by its seed."""

    def __init__(self, first: Degrader, second: Degrader) -> None:
        if first.scale != second.scale:
            raise ValueError(f"degraders of the scales {first.scale} and {second.scale}")
        self.degraders = (first, second)
        self.scale = first.scale

    def draw(self, seed: int) -> Record:
        """Return which of the two it is, and its record."""
        which = sample_seed(seed, "either") % 2
        return {"which": which, "record": self.degraders[which].draw(seed)}

    def apply(self, hq: Tensor, records: Sequence[Record]) -> Tensor:
        """Degrade ``hq`` (B, 3, H, W) in [0, 1], see ``Degrader``."""
        rows: list[Tensor | None] = [None] * len(records)
        for which, degrader in enumerate(self.degraders):
            own = [row for row, record in enumerate(records) if record["which"] == which]
            if own:
                made = degrader.apply(hq[own], [records[row]["record"] for row in own])
                for row, lq in zip(own, made, strict=True):
                    rows[row] = lq
        return torch.stack([lq for lq in rows if lq is not None])
