"""SynNet-lite: HQ of any size and Ω -> the LQ, as mean, grain and compression."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

GRAINY = 0.04
"""Size of a channel's grain, before the U-Net's gain, that is seen: on flat parts half a level of
255. Of the paper's four groups, noise has 0.3 to 1, JPEG 0.003 to 0.03."""


class Synthesis(NamedTuple):
    """What SynNet predicts for a batch, before it is put together."""

    mean: torch.Tensor
    """The aligned LQ without grain, (B, 3, H, W); not clamped."""
    grain: torch.Tensor
    """Zero-mean noise to be added to it, (B, 3, H, W)."""
    jpeg: torch.Tensor
    """(B, 2, 3): for JPEG on the HQ grid and on the native grid, the logit that there is one, the
    quality as (quality - 50) / 25, and the logit of 4:2:0 chroma."""


class SynNetLite(nn.Module):
    """A blur kernel, a modulated U-Net and a grain filter, all driven by Ω.

    What has a formula is a stage of its own (filtering, noise of a colour and a spectrum, JPEG
    parameters), and a small U-Net of modulated convolutions with the HQ as content (ReDegNet,
    section 3.2) makes what has none. Grain comes from random maps, since it cannot be predicted
    from the HQ and a deterministic network can only blur it.
    """

    def __init__(
        self,
        widths: Sequence[int] = (40, 72, 112),
        omega: int = 512,
        style: int = 256,
        kernel: int = 25,
        grain_kernel: int = 11,
        periodic: int = 0,
        strength: int = 0,
    ) -> None:
        """``strength``: width of what tells how strong grain is; with 0 its colours alone do."""
        super().__init__()
        self.periodic = periodic
        self.style = nn.Sequential(
            nn.Linear(omega, style), nn.LeakyReLU(0.2), nn.Linear(style, style), nn.LeakyReLU(0.2)
        )
        self.kernel = KernelHead(style, kernel)
        self.grain_kernel = KernelHead(style, grain_kernel)
        self.tone = nn.Linear(style, 12)
        self.colour = nn.Linear(style, 9)
        self.strength = LogGain(style, strength) if strength else None
        self.jpeg = nn.Linear(style, 6)
        self.head = ModulatedConv(9 + periodic, widths[0], style)
        self.encoders = nn.ModuleList()
        self.decoders = nn.ModuleList()
        for level, width in enumerate(widths):
            below = widths[level + 1] if level + 1 < len(widths) else None
            self.encoders.append(ModulatedConv(width, width, style))
            if below:
                self.encoders.append(ModulatedConv(width, below, style))
                self.decoders.insert(0, ModulatedConv(width, width, style))
                self.decoders.insert(0, ModulatedConv(below, width, style))
        self.tail = nn.Conv2d(widths[0], 4, 3, padding=1)
        for layer in (self.tone, self.colour, self.tail):
            nn.init.zeros_(layer.bias)  # pyright: ignore[reportArgumentType]
            nn.init.normal_(layer.weight, std=1e-3)

    def forward(
        self,
        hq: torch.Tensor,
        omega: torch.Tensor,
        noise: torch.Tensor,
        periodic: torch.Tensor | None = None,
        colours: torch.Tensor | None = None,
    ) -> Synthesis:
        """Synthesise from HQ (B, 3, H, W) in [0, 1], Ω (B, 512) and noise (B, 3, H, W).

        ``noise`` is N(0, 1) and white on the native grid, enlarged to this one; ``periodic``
        (B, self.periodic, H, W) holds sines and cosines in [-1, 1] when the network was built for
        them; ``colours`` (B, 4), whether the colours of the grain are known and its correlations
        RG, RB and GB, stand above what Ω says of them. H and W: multiples of 4.
        """
        style = self.style(omega)
        toned = self._tone(hq, style)
        blurred = self.kernel(toned, style)
        grain = self._colour(self.grain_kernel(noise, style, unit_energy=True), style, colours)
        inputs = [blurred - 0.5, hq - 0.5, noise]
        if periodic is not None:
            inputs.append(periodic)
        x = self.head(torch.cat(inputs, 1), style)
        skips: list[torch.Tensor] = []
        for index, layer in enumerate(self.encoders):
            if index % 2:
                skips.append(x)
                x = F.avg_pool2d(x, 2)
            x = layer(x, style)
        for index, layer in enumerate(self.decoders):
            if index % 2 == 0:
                x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = layer(x, style)
            if index % 2 == 0:
                x = x + skips.pop()
        residual, gain = self.tail(x).float().split((3, 1), 1)
        jpeg = self.jpeg(style).float().view(-1, 2, 3)
        return Synthesis(blurred.float() + residual, grain.float() * gain.clamp(-4, 4).exp(), jpeg)

    def jpeg_stages(self, omega: torch.Tensor) -> torch.Tensor:
        """Return the JPEG stages (B, 2, 3) of Ω (B, 512), see ``Synthesis.jpeg``."""
        return self.jpeg(self.style(omega)).float().view(-1, 2, 3)

    def has_grain(self, omega: torch.Tensor) -> torch.Tensor:
        """Return which of Ωs (B, 512) make grain that is seen, bool (B,)."""
        return self._mix(self.style(omega)).square().sum(2).amin(1).sqrt() > GRAINY

    def _mix(self, style: torch.Tensor) -> torch.Tensor:
        """Return what turns white noise into grain of the right size in each channel, (B, 3, 3)."""
        mix = self.colour(style).float().view(-1, 3, 3)
        mix = mix + 0.03 * torch.eye(3, device=mix.device)
        return mix if self.strength is None else mix * self.strength(style).exp()[:, :, None]

    def _tone(self, hq: torch.Tensor, style: torch.Tensor) -> torch.Tensor:
        change = self.tone(style).float().view(-1, 3, 4)
        mixed = torch.einsum("bdc,bchw->bdhw", change[:, :, :3], hq - 0.5)
        return hq + mixed + change[:, :, 3:, None]

    def _colour(
        self, noise: torch.Tensor, style: torch.Tensor, colours: torch.Tensor | None
    ) -> torch.Tensor:
        mix = self._mix(style)
        if colours is not None:
            known = colours[:, :1, None] > 0.5
            size = mix.square().sum(2, keepdim=True).add(1e-12).sqrt()
            mix = torch.where(known, size * correlated(colours[:, 1:]), mix)
        return torch.einsum("bdc,bchw->bdhw", mix, noise.float())


def correlated(correlations: torch.Tensor) -> torch.Tensor:
    """Return what gives white channels the correlations RG, RB, GB (B, 3): (B, 3, 3), unit rows.

    Numbers that no three channels can have between them are brought to the nearest that they can.
    """
    matrix = torch.eye(3, device=correlations.device).repeat(len(correlations), 1, 1)
    for index, (a, b) in enumerate(((0, 1), (0, 2), (1, 2))):
        matrix[:, a, b] = matrix[:, b, a] = correlations[:, index].float().clamp(-1, 1)
    # On the CPU: not every PyTorch has it for Apple's GPUs, and each matrix is 3x3.
    values, vectors = (part.to(correlations.device) for part in torch.linalg.eigh(matrix.cpu()))
    root = vectors * values.clamp(min=0).sqrt()[:, None]
    return root / root.square().sum(2, keepdim=True).clamp(min=1e-12).sqrt()


class LogGain(nn.Sequential):
    """The logarithm of a gain (B, 1) by the style (B, style), in [-4, 4]; 0 at first.

    Grain is as faint as half a level and as strong as forty: a linear layer of its size would be
    off by as much for the one as for the other.
    """

    def __init__(self, style: int, width: int) -> None:
        last = nn.Linear(width, 1)
        super().__init__(nn.Linear(style, width), nn.LeakyReLU(0.2), last)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Return the logarithms."""
        return super().forward(input).float().clamp(-4, 4)


class KernelHead(nn.Module):
    """Predicts one filter per image from the style and applies it to every channel."""

    def __init__(self, style: int, size: int) -> None:
        super().__init__()
        self.size = size
        self.linear = nn.Linear(style, size * size)
        nn.init.normal_(self.linear.weight, std=1e-3)
        nn.init.zeros_(self.linear.bias)

    def kernels(self, style: torch.Tensor) -> torch.Tensor:
        """Return filters (B, size, size) that sum to 1."""
        change = self.linear(style).float()
        change = change - change.mean(1, keepdim=True)
        delta = torch.zeros_like(change[:1])
        delta[:, change.shape[1] // 2] = 1
        return (delta + change).view(-1, self.size, self.size)

    def forward(
        self, x: torch.Tensor, style: torch.Tensor, unit_energy: bool = False
    ) -> torch.Tensor:
        """Filter (B, C, H, W); with ``unit_energy`` white noise keeps its variance."""
        kernels = self.kernels(style)
        if unit_energy:
            kernels = kernels / kernels.square().sum((1, 2), keepdim=True).sqrt()
        batch, channels, height, width = x.shape
        pad = self.size // 2
        mode = "reflect" if min(height, width) > pad else "replicate"
        padded = F.pad(x.float(), (pad,) * 4, mode=mode)
        weight = kernels[:, None].repeat_interleave(channels, 0)
        with torch.autocast(x.device.type, enabled=False):
            out = F.conv2d(padded.flatten(0, 1)[None], weight, groups=batch * channels)
        return out.view(batch, channels, height, width)


class ModulatedConv(nn.Module):
    """3x3 convolution whose input channels are scaled by the style, then demodulated.

    Source: StyleGAN2 (Karras et al. 2020), section 2.2, as y = d · conv(s · x): the weights stay
    shared by the batch, which is faster than one convolution an image.
    """

    def __init__(self, inputs: int, outputs: int, style: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3) / (9 * inputs) ** 0.5)
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.modulation = nn.Linear(style, inputs)
        nn.init.normal_(self.modulation.weight, std=0.02)
        nn.init.ones_(self.modulation.bias)

    def forward(self, x: torch.Tensor, style: torch.Tensor) -> torch.Tensor:
        """Return activated features (B, outputs, H, W)."""
        scale = self.modulation(style).float()
        energy = scale.square() @ self.weight.float().square().sum((2, 3)).T
        demodulation = (energy + 1e-8).rsqrt()[:, :, None, None]
        x = F.conv2d(x * scale[:, :, None, None].to(x.dtype), self.weight, padding=1)
        x = x * demodulation.to(x.dtype) + self.bias[:, None, None]
        return F.leaky_relu(x, 0.2) * 2**0.5
