"""RCAN, the deep restorer of Degradation Model Learning (Zhang et al., ECCV 2018)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from redeg_cli.nets.ycbcr import Colour, channels_of, to_rgb, to_ycbcr


class RCAN(nn.Module):
    """Residual groups of channel-attention blocks on the native grid, enlarged at the end.

    ``groups`` x ``blocks`` blocks of two 3x3 convolutions each: by default 5 x 9, which with a
    convolution that ends each group, one behind all groups, two that enlarge and those of head and
    tail make the 100 layers of Degradation Model Learning at x4 (section 4.2; the original network
    has 10 x 20 blocks). A small variant is ``groups=1, blocks=2, features=8, reduction=2``.
    """

    def __init__(
        self,
        scale: int = 4,
        groups: int = 5,
        blocks: int = 9,
        features: int = 64,
        reduction: int = 16,
        colour: Colour = "y",
    ) -> None:
        super().__init__()
        if scale not in (1, 2, 3, 4):
            raise ValueError(f"RCAN has scale 1, 2, 3 or 4, not {scale!r}")
        if features % reduction:
            raise ValueError(f"features {features} is no multiple of reduction {reduction}")
        self.scale = scale
        self.colour: Colour = colour
        channels = channels_of(colour)
        self.head = _conv(channels, features)
        self.groups = nn.ModuleList(
            ResidualGroup(blocks, features, reduction) for _ in range(groups)
        )
        self.body_end = _conv(features, features)
        # x4 is x2 twice, as in EDSR and the original.
        steps = {1: [], 2: [2], 3: [3], 4: [2, 2]}[scale]
        self.steps = tuple(steps)
        self.enlarge = nn.ModuleList(_conv(features, features * step**2) for step in steps)
        self.tail = _conv(features, channels)

    @property
    def layers(self) -> int:
        """How many 3x3 convolutions there are."""
        return sum(isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3) for m in self.modules())

    def forward(self, lq: Tensor) -> Tensor:
        """Restore RGB (B, 3, h, w) in [0, 1] to (B, 3, h*scale, w*scale); not clamped."""
        if self.colour == "rgb":
            return self._restored(lq)
        ycbcr = to_ycbcr(lq.float())
        luma = self._restored(ycbcr[:, :1]).float()
        chroma = ycbcr[:, 1:]
        if self.scale > 1:
            size = (luma.shape[2], luma.shape[3])
            chroma = F.interpolate(chroma, size, mode="bicubic", align_corners=False)
        return to_rgb(torch.cat([luma, chroma], dim=1))

    def _restored(self, x: Tensor) -> Tensor:
        # Around the middle of the range, in place of the data set's mean colour of the original.
        x = self.head(x - 0.5)
        skip = x
        for group in self.groups:
            x = group(x)
        x = skip + self.body_end(x)
        for step, conv in zip(self.steps, self.enlarge, strict=True):
            x = F.pixel_shuffle(conv(x), step)
        return self.tail(x) + 0.5


class ResidualGroup(nn.Module):
    """Attention blocks and a convolution, around which a skip leads."""

    def __init__(self, blocks: int, features: int, reduction: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(AttentionBlock(features, reduction) for _ in range(blocks))
        self.end = _conv(features, features)

    def forward(self, x: Tensor) -> Tensor:
        """Return features of the same shape (B, C, H, W)."""
        skip = x
        for block in self.blocks:
            x = block(x)
        return skip + self.end(x)


class AttentionBlock(nn.Module):
    """x + attention * conv(ReLU(conv(x))): how much of each channel depends on all means."""

    def __init__(self, features: int, reduction: int) -> None:
        super().__init__()
        self.first = _conv(features, features)
        self.second = _conv(features, features)
        self.squeeze = nn.Conv2d(features, features // reduction, 1)
        self.excite = nn.Conv2d(features // reduction, features, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return features of the same shape (B, C, H, W)."""
        made = self.second(F.relu(self.first(x), inplace=True))
        means = made.mean((2, 3), keepdim=True)
        return x + made * torch.sigmoid(self.excite(F.relu(self.squeeze(means), inplace=True)))


def _conv(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1)
