"""Discriminators: what tells made images from real ones. All take RGB in [0, 1], give logits."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from redeg_cli.nets.degnet import LADDER, OMEGA_SIZE, SpectralConv, conv_block

POOLED = 4
"""Side in px of what the linear head of OmegaDiscriminator sees: that of the ladder at 256 px."""


class OmegaDiscriminator(nn.Module):
    """Is this the LQ of this HQ under this Ω? D of eqs. 10 and 11 (ReDegNet, section 3.4).

    DegNet's ladder over the pair, then a linear layer to 512 numbers, and Ω beside them through
    two more; spectral-normalised all through. No activation stands between the last two, as
    released. The release takes 256 px only: adaptive pooling to 4×4 px, which changes nothing
    there, takes any size.
    """

    def __init__(
        self, widths: Sequence[int] = LADDER, hidden: int = 512, omega: int = OMEGA_SIZE
    ) -> None:
        super().__init__()
        self.convolutions = _ladder(6, widths)
        self.image = SpectralConv(widths[-1] * POOLED**2, hidden, 1)
        self.joint = SpectralConv(hidden + omega, hidden, 1)
        self.logit = SpectralConv(hidden, 1, 1)

    def forward(self, lq: Tensor, hq: Tensor, omega: Tensor) -> Tensor:
        """Return logits (B, 1) of aligned LQ and HQ (B, 3, H, W) under Ω (B, 512).

        Ω is a condition: no gradient goes back into it from here. It reaches DegNet through the
        LQ, which SynNet made with Ω.
        """
        x = self.convolutions(_signed(torch.cat([lq, hq], dim=1)))
        # Linear layers as 1×1 convolutions of one pixel.
        x = self.image(F.adaptive_avg_pool2d(x, POOLED).flatten(1)[:, :, None, None])
        x = torch.cat([x, omega.detach()[:, :, None, None].to(x)], dim=1)
        return self.logit(self.joint(x)).flatten(1)


class PairDiscriminator(nn.Module):
    """Do two LQ images of any content share their degradation? (ReDegNet, section 4.5, Ours U).

    The paper names its task only. This one sees each image through the same spectral-normalised
    convolutions, pools mean and deviation over space (a degradation is nowhere in particular) and
    judges sum and absolute difference of both, so that the order of the images does not matter.
    """

    def __init__(self, widths: Sequence[int] = (64, 128, 256, 256, 256), hidden: int = 256) -> None:
        super().__init__()
        self.convolutions = _ladder(3, widths)
        self.joint = SpectralConv(4 * widths[-1], hidden, 1)
        self.logit = SpectralConv(hidden, 1, 1)

    def forward(self, lq: Tensor, other: Tensor) -> Tensor:
        """Return logits (B, 1) of LQ images (B, 3, H, W) and (B, 3, H', W')."""
        a, b = self._pooled(lq), self._pooled(other)
        x = torch.cat([a + b, (a - b).abs()], dim=1)[:, :, None, None]
        return self.logit(F.leaky_relu(self.joint(x), 0.2)).flatten(1)

    def _pooled(self, lq: Tensor) -> Tensor:
        variance, mean = torch.var_mean(
            self.convolutions(_signed(lq)).float(), (2, 3), correction=0
        )
        return torch.cat([mean, (variance + 1e-6).sqrt()], dim=1)


class UNetDiscriminator(nn.Module):
    """Real-ESRGAN's: a logit per pixel (arXiv 2107.10833, section 3.4), 4.4 M parameters.

    Its images are in [0, 1] as they come. Tensors are called as in the published ``netD`` files,
    which fit for ``features`` = 64. Sides that are not multiples of 8 are taken too.
    """

    def __init__(self, features: int = 64) -> None:
        super().__init__()
        n = features
        self.conv0 = nn.Conv2d(3, n, 3, padding=1)
        self.conv1 = _spectral(n, 2 * n, 4, 2, bias=False)
        self.conv2 = _spectral(2 * n, 4 * n, 4, 2, bias=False)
        self.conv3 = _spectral(4 * n, 8 * n, 4, 2, bias=False)
        self.conv4 = _spectral(8 * n, 4 * n, bias=False)
        self.conv5 = _spectral(4 * n, 2 * n, bias=False)
        self.conv6 = _spectral(2 * n, n, bias=False)
        self.conv7 = _spectral(n, n, bias=False)
        self.conv8 = _spectral(n, n, bias=False)
        self.conv9 = nn.Conv2d(n, 1, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """Return logits (B, 1, H, W) of images (B, 3, H, W), at least 8 px wide and high."""
        x = F.leaky_relu(self.conv0(image), 0.2)
        skips = []
        for conv in (self.conv1, self.conv2, self.conv3):
            skips.append(x)
            x = F.leaky_relu(conv(x), 0.2)
        for conv, skip in zip((self.conv4, self.conv5, self.conv6), reversed(skips), strict=True):
            x = F.interpolate(x, skip.shape[2:], mode="bilinear", align_corners=False)
            x = F.leaky_relu(conv(x), 0.2) + skip
        x = F.leaky_relu(self.conv7(x), 0.2)
        return self.conv9(F.leaky_relu(self.conv8(x), 0.2))


class PatchDiscriminator(nn.Module):
    """PatchGAN (arXiv 1611.07004, section 3.2.2): a logit per patch, of 70 px with three layers.

    ``spectral`` normalises the weights of every convolution; without it the features are
    normalised instead, each image by its own statistics, all but the first and last layer's.
    """

    def __init__(self, width: int = 64, layers: int = 3, spectral: bool = True) -> None:
        super().__init__()
        widths = [width * min(2**level, 8) for level in range(layers + 1)]
        blocks: list[nn.Module] = []
        before = 3
        for level, after in enumerate(widths):
            stride = 2 if level < layers else 1
            normalised = level > 0 and not spectral
            blocks.append(_convolution(before, after, 4, stride, spectral, bias=not normalised))
            if normalised:
                blocks.append(nn.InstanceNorm2d(after))
            blocks.append(nn.LeakyReLU(0.2))
            before = after
        blocks.append(_convolution(before, 1, 4, 1, spectral))
        self.body = nn.Sequential(*blocks)

    def forward(self, image: Tensor) -> Tensor:
        """Return logits (B, 1, h, w) of images (B, 3, H, W), at least 24 px: h is H/8 − 2."""
        return self.body(_signed(image))


def _signed(image: Tensor) -> Tensor:
    return image * 2 - 1


def _ladder(inputs: int, widths: Sequence[int]) -> nn.Sequential:
    """Return spectral-normalised 3×3 convolutions, all but the first of stride 2."""
    sizes = [inputs, *widths]
    return nn.Sequential(
        *(conv_block(sizes[i], sizes[i + 1], 2 if i else 1) for i in range(len(widths)))
    )


def _convolution(
    inputs: int, outputs: int, kernel: int, stride: int, spectral: bool, bias: bool = True
) -> nn.Conv2d:
    if spectral:
        return _spectral(inputs, outputs, kernel, stride, bias)
    return nn.Conv2d(inputs, outputs, kernel, stride, (kernel - 1) // 2, bias=bias)


def _spectral(
    inputs: int, outputs: int, kernel: int = 3, stride: int = 1, bias: bool = True
) -> SpectralConv:
    """Return a SpectralConv padded by (kernel − 1) // 2, which halves even sides at 4×4, 2."""
    conv = SpectralConv(inputs, outputs, kernel, stride)
    conv.padding = ((kernel - 1) // 2, (kernel - 1) // 2)
    if not bias:
        conv.bias = None
    return conv
