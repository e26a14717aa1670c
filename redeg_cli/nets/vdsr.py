"""VDSR, the light restorer of Degradation Model Learning (Kim et al., CVPR 2016)."""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from redeg_cli.nets.ycbcr import Colour, channels_of, to_rgb, to_ycbcr


class VDSR(nn.Module):
    """Twenty 3x3 convolutions over the enlarged picture, and one residual around all of them.

    The native LQ is enlarged by bicubic interpolation first, so that one network serves every
    scale. With ``colour`` "y" the network sees the luma, and the chroma is the enlarged one.
    """

    def __init__(
        self,
        layers: int = 20,
        features: int = 64,
        colour: Colour = "y",
        scales: Sequence[int] = (1, 2, 3, 4),
    ) -> None:
        super().__init__()
        if layers < 2:
            raise ValueError(f"VDSR has at least 2 layers, not {layers}")
        self.scales = tuple(scales)
        self.colour: Colour = colour
        channels = channels_of(colour)
        widths = [channels, *[features] * (layers - 1)]
        self.body = nn.ModuleList(
            nn.Conv2d(before, after, 3, padding=1) for before, after in pairwise(widths)
        )
        self.last = nn.Conv2d(features, channels, 3, padding=1)
        for layer in self.body:
            assert isinstance(layer, nn.Conv2d)
            assert layer.bias is not None
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
        # A new network enlarges by bicubic; He's start here would add noise to be unlearned.
        nn.init.normal_(self.last.weight, std=1e-3)
        assert self.last.bias is not None
        nn.init.zeros_(self.last.bias)

    def forward(self, lq: Tensor, scale: int) -> Tensor:
        """Restore RGB (B, 3, h, w) in [0, 1] to (B, 3, h*scale, w*scale); not clamped."""
        if scale not in self.scales:
            raise ValueError(f"this VDSR has the scales {self.scales}, not {scale}")
        if scale > 1:
            lq = F.interpolate(lq, scale_factor=scale, mode="bicubic", align_corners=False)
        if self.colour == "rgb":
            return lq + self._residual(lq)
        ycbcr = to_ycbcr(lq.float())
        luma = ycbcr[:, :1]
        return to_rgb(torch.cat([luma + self._residual(luma).float(), ycbcr[:, 1:]], dim=1))

    def _residual(self, x: Tensor) -> Tensor:
        for layer in self.body:
            x = F.relu(layer(x), inplace=True)
        return self.last(x)
