"""A fixed bank of filters as a feature extractor: no weights, no download."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# On photos the deviation of a filter's response is about this divided by its frequency (DCT
# index, full resolution; mean of five of scikit-image and scikit-learn: 0.11 to 0.16 and, in Cb
# and Cr, 0.02 to 0.04): amplitudes fall as 1/f.
LUMA_DEVIATION = 0.13
# Twice what photos have: Cb and Cr count half. At full weight, on one photo of three, JPEGs of
# quality 20 and 25 were further apart by their Grams than the first and a blurred image.
CHROMA_DEVIATION = 0.06

SIDE = 5
"""Of the filters, in px."""


class FilterFeatures(nn.Module):
    """DCT filters and their magnitudes on a Gaussian pyramid, the stand-in for VGG-19.

    It knows no objects, but what degradations change: the tone, the energy of each frequency and
    direction at each scale, in luma and chroma, and how that is spread (grain is everywhere,
    ringing at edges only). Per level 72 channels: the 5×5 DCT of Y (the tone and 24 frequencies),
    the six lowest of Cb and of Cr, the magnitudes of all but the tones, and the local deviation of
    Y. They are scaled for photos: deviations are of the order of 1 (0.06 to 2.8 on three of them).
    Nothing is random or trained; images of any size; always in float32.
    """

    name = "filters"
    luma: Tensor
    chroma: Tensor
    binomial: Tensor
    ycbcr: Tensor

    def __init__(self, levels: int = 4) -> None:
        super().__init__()
        self.note = "features: a fixed bank of filters (5×5 DCT on a Gaussian pyramid)"
        self.layers = tuple(f"level{level}" for level in range(levels))
        bank, frequency = _dct_bank(SIDE)
        low = frequency <= 2
        # The response of the first filter is 5 times the mean: 1 times the deviation of the luma
        # of photos, 0.3 times of their Cb and Cr.
        luma = torch.where(frequency > 0, frequency / LUMA_DEVIATION, 1.0)
        chroma = torch.where(frequency > 0, frequency / CHROMA_DEVIATION, 1.5)
        binomial = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
        ycbcr = [
            [0.299, 0.587, 0.114],
            [-0.168736, -0.331264, 0.5],
            [0.5, -0.418688, -0.081312],
        ]
        for name, buffer in {
            "luma": bank * luma.view(-1, 1, 1, 1),
            "chroma": (bank * chroma.view(-1, 1, 1, 1))[low],
            "binomial": (binomial[:, None] * binomial)[None, None],
            "ycbcr": torch.tensor(ycbcr),
        }.items():
            self.register_buffer(name, buffer, persistent=False)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Return Φ (B, 72, H/2^l, W/2^l), sides rounded up, of images (B, 3, H, W) in [0, 1]."""
        with torch.autocast(images.device.type, enabled=False):
            planes = torch.einsum("dc,bchw->bdhw", self.ycbcr, images.float())
            found = {}
            for layer in self.layers:
                found[layer] = self._respond(planes)
                if layer != self.layers[-1]:
                    planes = self._each(planes, self.binomial, stride=2)
        return found

    def _respond(self, planes: Tensor) -> Tensor:
        y, cbcr = planes[:, :1], planes[:, 1:]
        luma = self._each(y, self.luma)
        chroma = self._each(cbcr, self.chroma)
        tones, bands = luma[:, :1], luma[:, 1:]
        chroma_bands = chroma.unflatten(1, (2, -1))[:, :, 1:].flatten(1, 2)
        mean = tones / SIDE
        squares = F.avg_pool2d(F.pad(y, (SIDE // 2,) * 4, mode="replicate").square(), SIDE, 1)
        local = ((squares - mean.square()).clamp(min=0) + 1e-4).sqrt() / LUMA_DEVIATION
        magnitudes = _magnitude(torch.cat([bands, chroma_bands], dim=1))
        return torch.cat([luma, chroma, magnitudes, local], dim=1)

    @staticmethod
    def _each(planes: Tensor, bank: Tensor, stride: int = 1) -> Tensor:
        """Filter each plane (B, C, H, W) with the bank (N, 1, 5, 5) -> (B, C·N, H', W')."""
        padded = F.pad(planes, (SIDE // 2,) * 4, mode="replicate")
        channels = planes.shape[1]
        return F.conv2d(padded, bank.repeat(channels, 1, 1, 1), stride=stride, groups=channels)


def _magnitude(response: Tensor) -> Tensor:
    """Return |r|, rounded off below 0.1 so that it has a slope everywhere."""
    return (response.square() + 0.01).sqrt() - 0.1


def _dct_bank(side: int) -> tuple[Tensor, Tensor]:
    """Return the orthonormal DCT-II filters (side², 1, side, side), and the frequency of each.

    The frequency is √(u² + v²) of the DCT indices; the mean, of frequency 0, comes first.
    """
    k = torch.arange(side, dtype=torch.float64)
    matrix = math.sqrt(2 / side) * torch.cos((2 * k[None] + 1) * k[:, None] * math.pi / (2 * side))
    matrix[0] /= math.sqrt(2)
    bank = torch.einsum("ui,vj->uvij", matrix, matrix).reshape(side * side, 1, side, side)
    return bank.float(), torch.hypot(k[:, None], k[None]).flatten().float()
