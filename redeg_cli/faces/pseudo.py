"""Pseudo-HQs: what a face restorer makes of an LQ, all the HQ that a real photo's face has."""

from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from redeg_cli.device import autocast
from redeg_cli.errors import ModelError
from redeg_cli.models import load_face_restorer

PseudoHQ = Callable[[Tensor], Tensor]
"""Makes the pseudo-HQs of aligned LQs (B, 3, H, W) in [0, 1]."""
COLOUR_CELLS = 4
"""Places a side at which the colours of an LQ are kept."""


@torch.no_grad()
def pseudo_hq(lq: Tensor, restorer: Callable[[Tensor], Tensor]) -> Tensor:
    """Return what ``restorer`` makes of aligned LQs (B, 3, H, W) in [0, 1], with their colours.

    Like a pair of a photo's face (``faces.restore``), it has the large-scale colours of the LQ. The
    LQs need not be whole faces: crops are restored as parts of one.
    """
    restored = restorer(lq).float()
    difference = F.adaptive_avg_pool2d(lq - restored, COLOUR_CELLS)
    size = (lq.shape[2], lq.shape[3])
    shift = F.interpolate(difference, size, mode="bilinear", align_corners=False)
    return (restored + shift).clamp(0, 1)


def load_pseudo_hq(name_or_path: str | Path, device: torch.device) -> PseudoHQ:
    """Return what makes pseudo-HQs by a face restorer, on ``device``, in the precision it has.

    Raises ModelError for a restorer that takes whole faces only.
    """
    restorer = load_face_restorer(name_or_path, device)
    if restorer.size is not None:
        raise ModelError(
            f"{restorer.name} takes whole faces of {restorer.size} px: here it must restore crops, "
            "as face-restorer can"
        )

    def make(lq: Tensor) -> Tensor:
        with autocast(device):
            return pseudo_hq(lq, restorer)

    return make
