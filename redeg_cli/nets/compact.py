"""F2N-compact: a small restorer of the SRVGG kind that serves several scales with one body."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn


class CompactF2N(nn.Module):
    """Restore a native LQ at ×1, ×2 or ×4: convolutions on its grid, a pixel-shuffle tail each.

    All scales share the body (about 1.2 M parameters by default), so that one file of weights
    serves all three. Blocks have an identity path, unlike SRVGG's plain stack, since they
    train several times faster that way. Source of the plain form: Real-ESRGAN's SRVGGNetCompact.

    ``context`` gives the channels of coarser grids, each half as fine as the one before, that are
    looked at in the middle of the body: what blur, noise or screen a picture has is seen over many
    pixels, and there they are cheap. Without it the body has one grid only.
    """

    def __init__(
        self,
        features: int = 64,
        blocks: int = 16,
        scales: Sequence[int] = (1, 2, 4),
        context: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.scales = tuple(scales)
        self.head = nn.Conv2d(3, features, 3, padding=1)
        self.body = nn.ModuleList(ResidualBlock(features) for _ in range(blocks))
        self.context = Context(features, context) if context else None
        self.tails = nn.ModuleDict(
            {str(s): nn.Conv2d(features, 3 * s * s, 3, padding=1) for s in self.scales}
        )
        for tail in self.tails.values():
            nn.init.zeros_(tail.weight)  # pyright: ignore[reportArgumentType]
            nn.init.zeros_(tail.bias)  # pyright: ignore[reportArgumentType]

    def forward(self, lq: torch.Tensor, scale: int) -> torch.Tensor:
        """Restore (B, 3, h, w) in [0, 1] to (B, 3, h*scale, w*scale); not clamped."""
        x = self.head(lq - 0.5)
        skip = x
        for index, block in enumerate(self.body):
            if self.context is not None and index == len(self.body) // 2:
                x = x + self.context(x)
            x = block(x)
        residual = F.pixel_shuffle(self.tails[str(scale)](x + skip), scale)
        if scale == 1:
            return lq + residual
        base = F.interpolate(lq, scale_factor=scale, mode="bicubic", align_corners=False)
        return base + residual


class ResidualBlock(nn.Module):
    """x + conv(PReLU(conv(x))), starting as the identity."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(features, features, 3, padding=1)
        self.activation = nn.PReLU(features, init=0.1)
        self.second = nn.Conv2d(features, features, 3, padding=1)
        nn.init.kaiming_normal_(self.first.weight, a=0.1)
        nn.init.normal_(self.second.weight, std=0.1 * (2 / (9 * features)) ** 0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return features of the same shape (B, C, H, W)."""
        return x + self.second(self.activation(self.first(x)))


class Context(nn.Module):
    """What coarser grids see of the features: down by strided convolutions, back by pixel shuffle.

    Two blocks on every grid on the way down and, but for the coarsest, one on the way back. It
    starts as zero, so that a trained body can be given one.
    """

    def __init__(self, features: int, widths: Sequence[int]) -> None:
        super().__init__()
        finer = (features, *widths[:-1])
        pairs = list(zip(finer, widths, strict=True))
        self.down = nn.ModuleList(nn.Conv2d(fine, width, 2, stride=2) for fine, width in pairs)
        self.blocks = nn.ModuleList(
            nn.Sequential(ResidualBlock(width), ResidualBlock(width)) for width in widths
        )
        self.up = nn.ModuleList(nn.Conv2d(width, 4 * fine, 1) for fine, width in pairs)
        self.after = nn.ModuleList(ResidualBlock(width) for width in widths[:-1])
        for tensor in self.up[0].parameters():
            nn.init.zeros_(tensor)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return features of the same shape (B, C, H, W), of any height and width."""
        height, width = x.shape[2:]
        multiple = 2 ** len(self.down)
        x = F.pad(x, (0, -width % multiple, 0, -height % multiple), mode="replicate")
        held: list[torch.Tensor] = []
        for down, blocks in zip(self.down, self.blocks, strict=True):
            x = blocks(down(x))
            held.append(x)
        x = held.pop()
        for index in reversed(range(len(held))):
            x = self.after[index](held[index] + F.pixel_shuffle(self.up[index + 1](x), 2))
        return F.pixel_shuffle(self.up[0](x), 2)[:, :, :height, :width]
