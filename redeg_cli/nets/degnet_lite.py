"""DegNet-lite: (HQ, aligned LQ) of any size -> Ω."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from redeg_cli.nets.dct import block_dct
from redeg_cli.nets.pair_spectra import SIZE, pair_spectra

# Quantisation steps of 8-bit coefficients that the comb features listen for.
STEPS = (2, 3, 4, 5, 6, 8, 10, 12, 14, 17, 20, 24, 29, 35, 42, 50)
# The first AC frequencies in zig-zag order: where most images have non-zero coefficients.
LOW_FREQUENCIES = ((0, 1), (1, 0), (2, 0), (1, 1), (0, 2), (0, 3), (1, 2), (2, 1), (3, 0))


class DegNetLite(nn.Module):
    """Convolutions whose features are pooled over space (mean and deviation), then two layers.

    Pooling takes any size and forgets where things are, as Ω must (ReDegNet, section 3.2). Two
    kinds of statistics are fed in beside the pooled features. JPEG is seen best at the block
    positions, in the coefficients on the native and on the HQ grid; blur, resampling and the
    colour of noise in the transfer function of the pair and in what it leaves.
    """

    def __init__(self, widths: Sequence[int] = (32, 64, 96, 128, 160), omega: int = 512) -> None:
        super().__init__()
        convolutions: list[nn.Module] = []
        before = 9
        for level, width in enumerate(widths):
            stride = 1 if level == 0 else 2
            convolutions.append(nn.Conv2d(before, width, 3, stride, 1))
            before = width
        self.convolutions = nn.ModuleList(convolutions)
        self.statistics = nn.Linear(2 * _statistics_size(), 128)
        self.spectra = nn.Linear(SIZE, 128)
        self.first = nn.Linear(2 * sum(widths) + 256, 512)
        self.second = nn.Linear(512, omega)

    def forward(self, hq: torch.Tensor, lq: torch.Tensor, scale: int) -> torch.Tensor:
        """Return Ω (B, 512) of HQ and aligned LQ, both (B, 3, H, W) in [0, 1].

        ``scale`` tells on which grid the native LQ lies; the top-left corner of the images is the
        corner of a JPEG block of that grid.
        """
        x = torch.cat([hq - 0.5, lq - 0.5, 4 * (lq - hq)], 1)
        pooled: list[torch.Tensor] = []
        for convolution in self.convolutions:
            x = F.leaky_relu(convolution(x), 0.2)
            variance, mean = torch.var_mean(x.float(), (2, 3), correction=0)
            pooled += [mean, (variance + 1e-6).sqrt()]
        with torch.autocast(hq.device.type, enabled=False):
            grids = [_sample(hq.float(), lq.float(), s) for s in (1, scale)]
            statistics = torch.cat([block_statistics(*grid) for grid in grids], 1)
            spectra = pair_spectra(hq.float(), lq.float())
        measured = (self.statistics(statistics), self.spectra(spectra))
        x = torch.cat([*pooled, *(F.leaky_relu(m, 0.2) for m in measured)], 1)
        return self.second(F.leaky_relu(self.first(x), 0.2)).float()


def block_statistics(hq: torch.Tensor, lq: torch.Tensor) -> torch.Tensor:
    """Return statistics (B, N) of the 8x8 DCT coefficients of the luma of both images.

    Per frequency: the share of coefficients near zero in the LQ and in the HQ, and the log of
    their mean magnitudes' ratio; per low frequency and step q: how well the LQ's coefficients
    sit on multiples of q (mean of cos 2πc/q over those that are not zero).
    """
    coefficients = [block_dct(255 * (_luma(x) - 0.5)).flatten(1, 3) for x in (hq, lq)]
    zero = [torch.exp(-c.square()).mean(1).flatten(1) for c in coefficients]
    size = [c.abs().mean(1).flatten(1).add(0.1).log() for c in coefficients]
    low = torch.stack([coefficients[1][:, :, u, v] for u, v in LOW_FREQUENCIES], 2)
    weight = (low.abs() - 1).clamp(0, 1)
    combs = [
        (weight * torch.cos(2 * torch.pi * low / q)).sum(1) / (weight.sum(1) + 1) for q in STEPS
    ]
    return torch.cat([*zero, (size[1] - size[0]) / 3, *combs], 1)


def _statistics_size() -> int:
    return 3 * 64 + len(STEPS) * len(LOW_FREQUENCIES)


def _sample(hq: torch.Tensor, lq: torch.Tensor, scale: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Bring both images to the grid ``scale`` times coarser, cut to whole blocks."""
    height, width = (max(1, n // (8 * scale)) * 8 for n in hq.shape[2:])
    pair = []
    for x in (hq, lq):
        if scale > 1:
            x = F.interpolate(x, scale_factor=1 / scale, mode="bicubic", align_corners=False)
        missing = (0, max(0, width - x.shape[3]), 0, max(0, height - x.shape[2]))
        pair.append(F.pad(x, missing, mode="replicate")[:, :, :height, :width])
    return pair[0], pair[1]


def _luma(x: torch.Tensor) -> torch.Tensor:
    return 0.299 * x[:, :1] + 0.587 * x[:, 1:2] + 0.114 * x[:, 2:]
