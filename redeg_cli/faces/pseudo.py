"""Pseudo-HQs: what a face restorer makes of an LQ, all the HQ that a real photo's face has."""

from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from redeg_cli.degrade.tone import match_colour
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
    return match_colour(restorer(lq).float(), lq, (COLOUR_CELLS, COLOUR_CELLS))


def enlarged(pseudo: PseudoHQ, zoom: float) -> PseudoHQ:
    """Return what makes pseudo-HQs of LQs that it enlarges ``zoom`` times and shrinks again.

    So are a photo's faces restored, which are brought to the size of the aligned face first: what
    is made of a small one is sharper than what is made of it as it stands on the HQ grid.
    """

    def make(lq: Tensor) -> Tensor:
        height, width = lq.shape[2:]
        made = pseudo(resized(lq, (round(zoom * height), round(zoom * width))).clamp(0, 1))
        return resized(made, (height, width)).clamp(0, 1)

    def resized(x: Tensor, size: tuple[int, int]) -> Tensor:
        return F.interpolate(x, size, mode="bicubic", antialias=True, align_corners=False)

    return pseudo if zoom == 1 else make


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
