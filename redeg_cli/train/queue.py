"""The pool of training pairs: a batch is mixed from many earlier ones (Real-ESRGAN's queue)."""

from typing import Any

import torch
from torch import Tensor

from redeg_cli.errors import RecipeError
from redeg_cli.seeds import torch_generator


class PairQueue:
    """Holds the last ``capacity`` pairs and gives back as many as it is given, drawn at random.

    What is the same for all pairs of one batch (the SynNet of that step, a scale, a resize mode)
    then differs within the batches that the restorer sees. Source: Real-ESRGAN (arXiv 2107.10833,
    section 4.1, "training pair pool"), whose pool holds 180 pairs.

    The result depends on the pairs and seeds given so far and on nothing else: a run that loads
    the state goes on bit for bit. All pairs of one queue have one size: a scale has its own queue.
    """

    def __init__(self, capacity: int) -> None:
        """Raises ValueError for a capacity below 1."""
        if capacity < 1:
            raise ValueError(f"a PairQueue holds at least 1 pair, not {capacity}")
        self.capacity = capacity
        self._lq: Tensor | None = None
        self._hq: Tensor | None = None

    def __len__(self) -> int:
        return 0 if self._lq is None else len(self._lq)

    def give(self, lq: Tensor, hq: Tensor, seed: int) -> tuple[Tensor, Tensor]:
        """Take pairs (B, 3, h, w), (B, 3, H, W) and return B pairs of the pool in their place.

        The drawn pairs leave the pool. Until it is full the given ones come back themselves and
        copies stay. ``seed`` is that of the step. Gradients are cut. Raises ValueError for a batch
        larger than the pool and for pairs of another size than before.
        """
        count = len(lq)
        if len(hq) != count:
            raise ValueError(f"got {count} LQ and {len(hq)} HQ images: as many of both are wanted")
        if count > self.capacity:
            raise ValueError(f"a queue of {self.capacity} pairs cannot take a batch of {count}")
        lq, hq = lq.detach(), hq.detach()
        if self._lq is None or self._hq is None:
            self._lq, self._hq = lq.clone(), hq.clone()
            return lq, hq
        for kept, given in ((self._lq, lq), (self._hq, hq)):
            if kept.shape[1:] != given.shape[1:]:
                wanted, got = list(kept.shape[1:]), list(given.shape[1:])
                raise ValueError(f"the queue holds images of {wanted}, got {got}")
        if len(self) + count <= self.capacity:
            self._lq, self._hq = torch.cat([self._lq, lq]), torch.cat([self._hq, hq])
            return lq, hq
        # On the CPU, so that every device draws the same pairs.
        rows = torch.randperm(len(self), generator=torch_generator(seed))[:count].to(lq.device)
        drawn = self._lq[rows], self._hq[rows]
        self._lq[rows], self._hq[rows] = lq, hq
        return drawn

    def state_dict(self) -> dict[str, Any]:
        """Return the pool as numbers and tensors of its own, on the CPU, for a checkpoint."""
        state: dict[str, Any] = {"capacity": self.capacity}
        if self._lq is not None and self._hq is not None:
            state |= {"lq": self._lq.to("cpu", copy=True), "hq": self._hq.to("cpu", copy=True)}
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over the pool of ``state_dict``. Raises RecipeError for another capacity."""
        if state["capacity"] != self.capacity:
            raise RecipeError(
                f"the saved state has a queue of {state['capacity']} pairs, the recipe one of "
                f"{self.capacity}: resume with the old number or start anew"
            )
        self._lq = state["lq"].clone() if "lq" in state else None
        self._hq = state["hq"].clone() if "hq" in state else None
