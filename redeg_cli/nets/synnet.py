"""SynNet: HQ image and Ω -> the LQ that Ω makes of it; and ReDegNet, which joins it to DegNet.

The architecture of the released ReDegNet (ECCV 2022, section 3.3), with its tensor names. Where
the paper is silent the order of operations is the one that reproduces the released outputs.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from redeg_cli.nets.degnet import (
    LADDER,
    OMEGA_SIZE,
    DegNet,
    SpectralConv,
    conv_block,
    extract_omega,
)
from redeg_cli.nets.wrap import pad_to

MULTIPLE = 64
"""Sides must be multiples of this: six halvings."""

MAPPING_LAYERS = 8
EPSILON = 1e-8


class ResidualBlock(nn.Module):
    """conv(LeakyReLU(conv(x))) beside a 1×1 convolution of x."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = SpectralConv(channels, channels)
        self.conv2 = SpectralConv(channels, channels)
        self.skip = SpectralConv(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return features of the same shape (B, C, H, W)."""
        return self.conv2(F.leaky_relu(self.conv1(x), 0.2)) + self.skip(x)


class SynNetEncoder(nn.Module):
    """The content of an HQ image, level by level."""

    def __init__(self) -> None:
        super().__init__()
        inputs = 3
        for level, outputs in enumerate(LADDER):
            self.add_module(f"ecd{level}", conv_block(inputs, outputs, 2 if level else 1))
            inputs = outputs
        self.ecdf = nn.Sequential(
            SpectralConv(inputs, inputs), nn.LeakyReLU(0.2), ResidualBlock(inputs)
        )

    def forward(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """(B, 3, H, W) in [-1, 1] -> the start (B, 512, H/64, W/64) and seven features.

        The features go from the full size down to 1/64; the start is made from the last one.
        """
        features: list[Tensor] = []
        for level in range(len(LADDER)):
            image = self.get_submodule(f"ecd{level}")(image)
            features.append(image)
        return self.ecdf(image), features


class PixelNorm(nn.Module):
    """Divide each vector by its root mean square."""

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, N) of the same shape."""
        return x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + EPSILON)


class ModulatedConv(nn.Module):
    """A convolution whose input channels are weighted by a style (StyleGAN2, section 2)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, demodulate: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, outputs, inputs, kernel, kernel))
        self.modulation = nn.Linear(OMEGA_SIZE, inputs)
        self.demodulate = demodulate
        self.gain = 1 / math.sqrt(inputs * kernel**2)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """(B, inputs, H, W), style (B, 512) -> (B, outputs, H, W)."""
        weight = self.weight[0] * self.gain
        scales = self.modulation(style)
        # Scaling the input and the output equals scaling the weights, and needs no grouped
        # convolution for a batch of different styles.
        x = F.conv2d(x * scales[:, :, None, None], weight, padding=weight.shape[-1] // 2)
        if not self.demodulate:
            return x
        energy = scales.square() @ weight.square().sum(dim=(2, 3)).T
        return x * torch.rsqrt(energy + EPSILON)[:, :, None, None]


class FeatureInjection(nn.Module):
    """Add the encoder's feature through one learned scalar, which starts at 0."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, feature: Tensor) -> Tensor:
        """Return features of the same shape (B, C, H, W)."""
        return x + self.weight * feature


class StyledConv(nn.Module):
    """Modulated convolution, the encoder's feature, then a plain convolution with LeakyReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = ModulatedConv(inputs, outputs, 3)
        # Half of the released layers get no feature, but all carry the scalar.
        self.noise = FeatureInjection()
        self.conv2 = conv_block(outputs, outputs)

    def forward(self, x: Tensor, style: Tensor, feature: Tensor | None = None) -> Tensor:
        """(B, inputs, H, W), style (B, 512) -> (B, outputs, H, W)."""
        x = self.conv(x, style)
        if feature is not None:
            x = self.noise(x, feature)
        return self.conv2(x)


class ToRGB(nn.Module):
    """A picture from features, added to the one of the level below; tanh after the sum."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.conv = ModulatedConv(inputs, 3, 1, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(1, 3, 1, 1))

    def forward(self, x: Tensor, style: Tensor, below: Tensor | None = None) -> Tensor:
        """(B, inputs, H, W) -> (B, 3, H, W) in [-1, 1]; ``below`` is half that size."""
        image = self.conv(x, style) + self.bias
        return torch.tanh(image if below is None else image + _double(below))


class InputBlock(nn.Module):
    """The generator's first features, from the encoder's last instead of a constant."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = conv_block(channels, channels)

    def forward(self, start: Tensor) -> Tensor:
        """Return features of the same shape (B, 512, H/64, W/64)."""
        return self.conv(start)


class SynNetGenerator(nn.Module):
    """A picture from the encoder's features under Ω; no randomness anywhere."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [PixelNorm()]
        for _ in range(MAPPING_LAYERS):
            layers += [nn.Linear(OMEGA_SIZE, OMEGA_SIZE), nn.LeakyReLU(0.2)]
        self.style = nn.Sequential(*layers)
        deepest = LADDER[-1]
        self.inputself = InputBlock(deepest)
        self.conv1 = StyledConv(deepest, deepest)
        self.to_rgb1 = ToRGB(deepest)
        self.convs = nn.ModuleList()
        self.to_rgbs = nn.ModuleList()
        inputs = deepest
        for outputs in reversed(LADDER[:-1]):
            self.convs += [StyledConv(inputs, outputs), StyledConv(outputs, outputs)]
            self.to_rgbs.append(ToRGB(outputs))
            inputs = outputs

    def forward(self, omega: Tensor, start: Tensor, features: list[Tensor]) -> Tensor:
        """Ω (B, 512) and what the encoder gave -> (B, 3, H, W) in [-1, 1]."""
        style = self.style(omega)
        x = self.conv1(self.inputself(start), style, features[-1])
        image = self.to_rgb1(x, style)
        for level, to_rgb in enumerate(self.to_rgbs):
            # The feature enters once per level, in the layer that enlarges.
            x = self.convs[2 * level](_double(x), style, features[-2 - level])
            x = self.convs[2 * level + 1](x, style)
            image = to_rgb(x, style, image)
        return image


class ReDegNet(nn.Module):
    """The released ReDegNet: DegNet, SynNet's encoder and SynNet's generator. [0, 1] outside."""

    multiple = MULTIPLE
    """Sides that ``synthesise`` takes without padding are multiples of this."""

    def __init__(self) -> None:
        super().__init__()
        self.degnet = DegNet()
        self.encoder = SynNetEncoder()
        self.generator = SynNetGenerator()

    def extract(self, hq: Tensor, lq: Tensor, scale: int = 1) -> Tensor:
        """Return Ω (B, 512) of HQ (B, 3, H, W) and its LQ, both in [0, 1].

        The LQ stands on the HQ grid, or is enlarged to it when it is native. Several 256 px
        crops are averaged; smaller pictures are enlarged. This network does not use ``scale``.
        """
        del scale
        return extract_omega(self.degnet, hq, lq)

    def synthesise(self, hq: Tensor, omega: Tensor, *, seed: int = 0, scale: int = 1) -> Tensor:
        """Return the aligned LQ (B, 3, H, W) of HQ under Ω (B or 1, 512), in [0, 1].

        Sides that are no multiples of 64 are mirrored up to one and cut again. Same input, same
        output: this network draws nothing, so ``seed`` and ``scale`` change nothing.
        """
        del seed, scale
        if omega.ndim != 2 or omega.shape[1] != OMEGA_SIZE:
            raise ValueError(f"Ω must be (B, {OMEGA_SIZE}), got {tuple(omega.shape)}")
        height, width = hq.shape[-2:]
        start, features = self.encoder(pad_to(hq, MULTIPLE) * 2 - 1)
        image = self.generator(omega.expand(hq.shape[0], -1), start, features)
        return ((image.float() + 1) / 2)[..., :height, :width]


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
