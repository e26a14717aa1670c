"""The backbone of Degradation Model Learning and its two rivals (Xiao et al. 2020, section 3.2)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDTHS = (32, 64, 128)
"""Channels of the levels, from the full grid down. The paper gives none."""


class EncoderDecoder(nn.Module):
    """3x3 convolutions with ReLU, max pooling down and bilinear upsampling back, a map per output.

    Two convolutions on each level, on the way down and up; what comes up is joined with what the
    level held on the way down, so that maps keep the place of edges. Weights start after Xavier
    (section 4.2), biases at 0.
    """

    def __init__(self, inputs: int, outputs: int, widths: Sequence[int] = WIDTHS) -> None:
        super().__init__()
        if not widths or min(widths) < 1:
            raise ValueError(f"widths are one number of channels per level, not {list(widths)}")
        self.multiple = 2 ** (len(widths) - 1)
        """Pixels of the full grid that share one of the lowest level."""
        self.down = nn.ModuleList()
        before = inputs
        for width in widths:
            self.down.append(_level(before, width))
            before = width
        self.up = nn.ModuleList()
        for width in reversed(widths[:-1]):
            self.up.append(_level(before + width, width))
            before = width
        self.last = nn.Conv2d(before, outputs, 3, padding=1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.xavier_uniform_(module.weight)
                assert module.bias is not None
                nn.init.zeros_(module.bias)

    @property
    def reach(self) -> int:
        """How many pixels from its own an output may see, at most.

        Of the level whose pixels are 2^l wide: two convolutions down and two up, and what pooling
        and upsampling add, one lower pixel each at most; of the lowest two convolutions; the last.
        """
        levels = len(self.down)
        return 1 + sum(7 * 2**level for level in range(levels - 1)) + 2 * 2 ** (levels - 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, outputs, H, W) for (B, inputs, H, W); any H and W."""
        height, width = x.shape[2:]
        right, below = -width % self.multiple, -height % self.multiple
        x = F.pad(x, (0, right, 0, below), mode="replicate")
        held: list[Tensor] = []
        for index, level in enumerate(self.down):
            x = level(F.max_pool2d(x, 2) if index else x)
            held.append(x)
        held.pop()
        for level in self.up:
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = level(torch.cat([x, held.pop()], dim=1))
        return self.last(x)[:, :, :height, :width]


def _level(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(outputs, outputs, 3, padding=1),
        nn.ReLU(inplace=True),
    )
