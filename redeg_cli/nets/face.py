"""The embedded face restorer: a U-Net on aligned faces, ×1."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from redeg_cli.nets.compact import ResidualBlock


class FaceUNet(nn.Module):
    """Restore aligned faces (FFHQ's five-point template) at the size they come in.

    The input is folded by ``fold`` (pixel unshuffle), so that the widest level works on a quarter
    of the pixels or less; the lowest level sees the whole face. H and W: multiples of
    ``fold * 2 ** (len(widths) - 1)``.
    """

    def __init__(
        self,
        fold: int = 2,
        widths: Sequence[int] = (48, 96, 160, 224),
        blocks: Sequence[int] = (2, 2, 2, 3),
    ) -> None:
        super().__init__()
        self.fold = fold
        self.multiple = fold * 2 ** (len(widths) - 1)
        self.head = nn.Conv2d(3 * fold * fold, widths[0], 3, padding=1)
        self.down_blocks = nn.ModuleList()
        self.up_blocks = nn.ModuleList()
        self.shrink = nn.ModuleList()
        self.grow = nn.ModuleList()
        for level, (width, count) in enumerate(zip(widths, blocks, strict=True)):
            self.down_blocks.append(nn.Sequential(*(ResidualBlock(width) for _ in range(count))))
            if level + 1 < len(widths):
                below = widths[level + 1]
                self.shrink.append(nn.Conv2d(width, below, 2, stride=2))
                self.grow.append(nn.Conv2d(below, width * 4, 1))
                self.up_blocks.append(nn.Sequential(*(ResidualBlock(width) for _ in range(count))))
        self.tail = nn.Conv2d(widths[0], 3 * fold * fold, 3, padding=1)
        nn.init.zeros_(self.tail.weight)
        nn.init.zeros_(self.tail.bias)  # pyright: ignore[reportArgumentType]

    def forward(self, face: torch.Tensor) -> torch.Tensor:
        """Restore (B, 3, H, W) in [0, 1] to the same shape; not clamped."""
        x = self.head(F.pixel_unshuffle(face - 0.5, self.fold))
        skips: list[torch.Tensor] = []
        for level, blocks in enumerate(self.down_blocks):
            x = blocks(x)
            if level < len(self.shrink):
                skips.append(x)
                x = self.shrink[level](x)
        for level in reversed(range(len(self.up_blocks))):
            x = F.pixel_shuffle(self.grow[level](x), 2) + skips[level]
            x = self.up_blocks[level](x)
        return face + F.pixel_shuffle(self.tail(x), self.fold)
