"""Which restorer a photo gets, judged on the parts of its faces that nothing was fitted on."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from redeg_cli.degrade.tone import to_luma
from redeg_cli.device import autocast
from redeg_cli.nets.wrap import Restorer
from redeg_cli.restore.photo import mean_of_turns

CONTEXT = 16
"""Photo pixels around a region that the restorer sees but that are not judged."""

SMOOTH = 0.8
"""Standard deviation in photo pixels of the blur of ``Score.smooth_psnr``."""

_BLOCK = 8
"""Side in photo pixels of the blocks of which the flat ones are looked at for dirt."""
_FINE = 1.0
"""Standard deviation in photo pixels of the blur that takes fine detail away."""
_UNSEEN = (0.16 / 255) ** 2
"""Mean square of detail that nobody sees."""


@dataclass(frozen=True)
class HeldOut:
    """A part of a photo and what the face restorer says it should look like."""

    lq: Tensor
    """Native crop with context, (1, 3, h, w) in [0, 1]."""
    hq: Tensor
    """(1, 3, H, W): the restored face over the judged rows."""
    mask: Tensor
    """(1, 1, H, W): 1 where the restored face is known."""
    offset: tuple[int, int]
    """(y, x) of the judged part in the restored crop."""


@dataclass(frozen=True)
class Score:
    """How near a restorer comes to the restored faces on held-out parts."""

    psnr: float
    """dB, after a match of the mean colour."""
    smooth_psnr: float
    """The same after both were smoothed: here, to be soft is no advantage."""

    def beats(self, other: "Score", margin: float, smooth_margin: float) -> bool:
        """Whether it is better by these margins in dB, both of them."""
        return (
            self.psnr >= other.psnr + margin
            and self.smooth_psnr >= other.smooth_psnr + smooth_margin
        )


@torch.no_grad()
def restore_parts(
    restorer: Restorer, parts: Sequence[HeldOut], device: torch.device
) -> list[Tensor]:
    """Return what a restorer makes of the judged part of each, (1, 3, H, W)."""
    made = []
    for part in parts:
        with autocast(device):
            restored = restorer(part.lq.to(device)).float().cpu()
        y, x = part.offset
        height, width = part.hq.shape[2:]
        made.append(restored[:, :, y : y + height, x : x + width])
    return made


def score(restorer: Restorer, parts: Sequence[HeldOut], device: torch.device) -> Score:
    """Return the mean scores of a restorer over the held-out parts."""
    return score_of(restore_parts(restorer, parts, device), parts, restorer.scale)


def score_of(made: Sequence[Tensor], parts: Sequence[HeldOut], scale: int) -> Score:
    """Return the mean scores of what ``restore_parts`` made of the held-out parts."""
    plain, smooth = [], []
    for part, restored in zip(parts, made, strict=True):
        weight = part.mask / part.mask.sum().clamp(min=1)
        shift = ((part.hq - restored) * weight).sum((2, 3), keepdim=True)
        error = restored + shift - part.hq
        plain.append(_decibels((error.square() * weight).sum((2, 3)).mean()))
        blurred = smoothed(error * part.mask, SMOOTH * scale)
        smooth.append(_decibels((blurred.square() * weight).sum((2, 3)).mean()))
    return Score(sum(plain) / len(plain), sum(smooth) / len(smooth))


def added_detail(before: Sequence[Tensor], after: Sequence[Tensor], scale: int) -> float:
    """Return by how many dB flat blocks have more fine detail ``after`` than ``before``.

    Both are (1, 3, H, W) each, restored from the same by two restorers at ``scale``. Flat is the
    half of all blocks with the least detail ``before``: skin, walls, sky. More detail in these is
    dirt that was kept, or made sharper: grain, the ripples of JPEG. Sharper edges do not count.
    """
    first, second = (torch.cat([_energies(x, scale) for x in each]) for each in (before, after))
    flat = first.argsort()[: -(-len(first) // 2)]
    return float((second[flat].log10() - first[flat].log10()).mean() * 10)


def _energies(image: Tensor, scale: int) -> Tensor:
    """Return the mean square of the fine detail of the luma of each block."""
    fine = to_luma(image - smoothed(image, _FINE * scale))
    side = min(_BLOCK * scale, *image.shape[2:])
    return F.avg_pool2d(fine.square(), side).flatten() + _UNSEEN


@torch.no_grad()
def turns_help(restorer: Restorer, pairs: Sequence[tuple[Tensor, Tensor]]) -> bool:
    """Return whether the mean of four turns comes nearer to the HQs than a single pass.

    ``pairs`` are native LQs (B, 3, h, h) and HQs that the restorer was not tuned on. Where the
    degradation has a direction (scan lines, stripes, motion), the tuned restorer has never seen
    it lie across: the mean of the turns then loses up to 1.6 dB.
    """
    once, turned = [], []
    for lq, hq in pairs:
        with autocast(lq.device):
            for errors, made in (
                (once, restorer(lq)),
                (turned, mean_of_turns(restorer, lq)),
            ):
                errors.append((made.float() - hq).square().mean((1, 2, 3)).log().mean())
    return bool(torch.stack(turned).mean() < torch.stack(once).mean())


def smoothed(images: Tensor, sigma: float) -> Tensor:
    """Return images (B, 3, H, W) blurred by a Gaussian of ``sigma`` pixels, edges repeated."""
    reach = int(3 * sigma + 0.5)
    axis = torch.arange(-reach, reach + 1, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (axis / sigma) ** 2)
    kernel = (kernel / kernel.sum()).view(1, 1, 1, -1).repeat(3, 1, 1, 1)
    x = F.conv2d(F.pad(images, (reach, reach, 0, 0), mode="replicate"), kernel, groups=3)
    return F.conv2d(
        F.pad(x, (0, 0, reach, reach), mode="replicate"), kernel.transpose(2, 3), groups=3
    )


def _decibels(mean_square: Tensor) -> float:
    return float(-10 * torch.log10(mean_square.clamp(min=1e-8)))
