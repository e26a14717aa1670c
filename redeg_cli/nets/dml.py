"""Degradation Model Learning and its rivals (Xiao et al., ACCV 2020): HQ in, LQ out.

All three have the same backbone and the same call. ``predict`` works on what a network sees, the
luma or RGB: training compares that (eq. 4). A call takes RGB and returns RGB.

The LQ is on the HQ's own grid (``grid`` "aligned", pairs as RealSR has them) or, with ``grid``
"native", every ``scale``-th pixel of it in both directions from pixel ``scale // 2`` on: eq. 1's
downsampling. Where a native pixel's centre falls between two HQ pixels, the kernels learn the half
pixel.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal

import scipy.fft
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from redeg_cli.nets.encoder_decoder import WIDTHS, EncoderDecoder
from redeg_cli.nets.ycbcr import Colour, channels_of, seen, to_rgb, to_ycbcr

Grid = Literal["aligned", "native"]

KERNEL = 15
"""Side of the basis kernels in pixels, for all scales (section 4.2)."""
_FFT_SIDE = 96
"""Least side in pixels at which the blur and its gradients are faster by FFT on a CPU: 1.4 times at
96, 3.5 times at 192. Without gradients the convolution is never much slower, and on every
``scale``-th pixel it is faster."""


class LearnedDegradation(nn.Module, ABC):
    """What the three have in common: their grid, their colours, their backbone."""

    def __init__(
        self,
        outputs: int,
        scale: int,
        grid: Grid,
        colour: Colour,
        kernel: int,
        widths: Sequence[int],
    ) -> None:
        super().__init__()
        if scale not in (1, 2, 3, 4):
            raise ValueError(f"scale is 1, 2, 3 or 4, not {scale!r}")
        if grid not in ("aligned", "native"):
            raise ValueError(f"grid is 'aligned' or 'native', not {grid!r}")
        if kernel < 1 or kernel % 2 == 0:
            raise ValueError(f"kernel is an odd number of pixels, not {kernel!r}")
        self.scale = scale
        self.grid: Grid = grid
        self.colour: Colour = colour
        self.kernel = kernel
        self.channels = channels_of(colour)
        self.stride = scale if grid == "native" else 1
        self.backbone = EncoderDecoder(self.channels, outputs, widths)

    @property
    def reach(self) -> int:
        """How many HQ pixels from its own an LQ pixel may depend on, at most."""
        return max(self.backbone.reach, self.kernel // 2)

    @abstractmethod
    def predict(self, planes: Tensor) -> Tensor:
        """Return what becomes of (B, ``channels``, H, W); not clamped.

        The result is (B, ``channels``, H, W), or (B, ``channels``, H/scale, W/scale) of a native
        model, for which H and W are multiples of the scale.
        """

    @abstractmethod
    def forward(self, hq: Tensor) -> Tensor:
        """Return the LQ (B, 3, ...) of RGB (B, 3, H, W) in [0, 1]; not clamped."""

    def _sampled(self, x: Tensor) -> Tensor:
        """Return the pixels of the LQ's grid of what is on the HQ's."""
        first = self.stride // 2
        return x[:, :, first :: self.stride, first :: self.stride]

    def _surrounded(self, planes: Tensor) -> Tensor:
        """Return ``planes`` with repeated borders: a window at each ``stride`` for an LQ pixel."""
        half, first = self.kernel // 2, self.stride // 2
        return F.pad(planes.float(), (half,) * 4, mode="replicate")[:, :, first:, first:]


class DML(LearnedDegradation):
    """M basis kernels and a network that says how much of each a pixel takes (eq. 3).

    k_ij = Σ_m C_ij(m) φ_m with C = sigmoid(F(I^H)), by a network F that sees the luma or RGB; the
    same kernel blurs every channel. The kernel of a pixel is never made: the picture is blurred
    with each φ_m, and the blurred ones are summed by their weights.
    """

    def __init__(
        self,
        count: int = 8,
        scale: int = 4,
        grid: Grid = "aligned",
        colour: Colour = "y",
        kernel: int = KERNEL,
        widths: Sequence[int] = WIDTHS,
        unit_sum: bool = False,
    ) -> None:
        """``count`` is M. Kernels start uniformly random, with sum 1 (section 4.2).

        Weights start near 1 / M, so that the first LQ has the brightness of the HQ: from sigmoids
        of 0 it would be M / 2 times as bright. The paper does not say.

        With ``unit_sum`` the kernel of every pixel has sum 1: basis kernels and weights are divided
        by their sums. Without, as in the paper, the network may also make a pixel brighter or
        darker, and then does so instead of another blur.
        """
        if count < 1:
            raise ValueError(f"count is the number of basis kernels, not {count!r}")
        super().__init__(count, scale, grid, colour, kernel, widths)
        self.unit_sum = unit_sum
        start = torch.rand(count, kernel, kernel)
        self.kernels = nn.Parameter(start / start.sum((1, 2), keepdim=True))
        if count > 1:
            last = self.backbone.last
            assert last.bias is not None
            nn.init.constant_(last.bias, -torch.tensor(count - 1.0).log().item())

    def basis(self) -> Tensor:
        """Return the basis kernels φ (M, k, k) as they are applied."""
        kernels = self.kernels.float()
        return kernels / kernels.sum((1, 2), keepdim=True) if self.unit_sum else kernels

    def weights(self, hq: Tensor) -> Tensor:
        """Return C (B, M, H, W) in [0, 1] on the HQ's grid for RGB (B, 3, H, W)."""
        return self._weights(seen(hq, self.colour))

    def predict(self, planes: Tensor) -> Tensor:
        """See ``LearnedDegradation.predict``."""
        return self._blurred(planes, self._weights(planes))

    def forward(self, hq: Tensor) -> Tensor:
        """See ``LearnedDegradation.forward``."""
        return self._blurred(hq, self.weights(hq))

    def _weights(self, planes: Tensor) -> Tensor:
        weights = torch.sigmoid(self.backbone(planes).float())
        return weights / weights.sum(1, keepdim=True) if self.unit_sum else weights

    def _blurred(self, planes: Tensor, weights: Tensor) -> Tensor:
        # Eight bits of bfloat16 would show in an LQ that is to be met within 40 dB.
        with torch.autocast(planes.device.type, enabled=False):
            around = self._surrounded(planes)
            batch, channels = around.shape[:2]
            blurred = blur_by_each(around.flatten(0, 1)[:, None], self.basis(), self.stride)
            blurred = blurred.view(batch, channels, *blurred.shape[1:])
            return torch.einsum("bcmhw,bmhw->bchw", blurred, self._sampled(weights))


class DirectKPN(LearnedDegradation):
    """The backbone predicts each pixel's kernel itself (section 4.3, after Mildenhall et al. 2018).

    Outputs start near 1 / k², a box, for the brightness of the HQ.
    """

    def __init__(
        self,
        scale: int = 4,
        grid: Grid = "aligned",
        colour: Colour = "y",
        kernel: int = KERNEL,
        widths: Sequence[int] = WIDTHS,
    ) -> None:
        super().__init__(kernel**2, scale, grid, colour, kernel, widths)
        last = self.backbone.last
        assert last.bias is not None
        nn.init.constant_(last.bias, kernel**-2)
        # Xavier's weights alone would make kernels of noise, a hundred times as large as that.
        nn.init.normal_(last.weight, std=1e-3 * kernel**-2)

    def kernels_at(self, hq: Tensor) -> Tensor:
        """Return the kernels (B, k², H, W) of all pixels of RGB (B, 3, H, W), row after row."""
        return self.backbone(seen(hq, self.colour)).float()

    def predict(self, planes: Tensor) -> Tensor:
        """See ``LearnedDegradation.predict``."""
        return self._filtered(planes, self.backbone(planes).float())

    def forward(self, hq: Tensor) -> Tensor:
        """See ``LearnedDegradation.forward``."""
        return self._filtered(hq, self.kernels_at(hq))

    def _filtered(self, planes: Tensor, kernels: Tensor) -> Tensor:
        kernels = self._sampled(kernels)
        with torch.autocast(planes.device.type, enabled=False):
            around = self._surrounded(planes)
            windows = F.unfold(around, self.kernel, stride=self.stride)
            windows = windows.view(*planes.shape[:2], self.kernel**2, *kernels.shape[2:])
            return torch.einsum("bckhw,bkhw->bchw", windows, kernels)


class DirectNet(LearnedDegradation):
    """The backbone predicts the LQ less the HQ (section 4.3), a residual that starts near 0.

    What sees only the luma leaves the chroma as it is.
    """

    def __init__(
        self,
        scale: int = 4,
        grid: Grid = "aligned",
        colour: Colour = "y",
        widths: Sequence[int] = WIDTHS,
    ) -> None:
        super().__init__(channels_of(colour), scale, grid, colour, 1, widths)
        nn.init.normal_(self.backbone.last.weight, std=1e-3)

    def predict(self, planes: Tensor) -> Tensor:
        """See ``LearnedDegradation.predict``."""
        return self._sampled(planes + self.backbone(planes).float())

    def forward(self, hq: Tensor) -> Tensor:
        """See ``LearnedDegradation.forward``."""
        if self.colour == "rgb":
            return self.predict(hq)
        ycbcr = to_ycbcr(hq)
        # Every scale-th pixel of the chroma would alias: each LQ pixel takes its cell's mean.
        chroma = F.avg_pool2d(ycbcr[:, 1:], self.stride) if self.stride > 1 else ycbcr[:, 1:]
        return to_rgb(torch.cat([self.predict(ycbcr[:, :1]), chroma], dim=1))


def blur_by_each(planes: Tensor, kernels: Tensor, stride: int = 1) -> Tensor:
    """Return (N, M, H', W'): the windows of planes (N, 1, H, W), each times each of M kernels.

    ``kernels`` are (M, k, k); H' = (H - k) // stride + 1. The inner product of eq. 2: kernels are
    not turned. By convolution or by FFT, whichever is faster.
    """
    slow = planes.device.type == "cpu" and torch.is_grad_enabled() and kernels.requires_grad
    if stride == 1 and slow and min(planes.shape[2:]) >= _FFT_SIDE:
        return _blur_by_fft(planes, kernels)
    return F.conv2d(planes, kernels[:, None], stride=stride)


def _blur_by_fft(planes: Tensor, kernels: Tensor) -> Tensor:
    height, width = planes.shape[2:]
    # Circular, as what wraps around reaches only the last k - 1 rows and columns: those are cut.
    size = [scipy.fft.next_fast_len(side, real=True) for side in (height, width)]
    spectrum = torch.fft.rfft2(planes, size) * torch.fft.rfft2(kernels, size).conj()
    keep = [side - kernels.shape[-1] + 1 for side in (height, width)]
    return torch.fft.irfft2(spectrum, size)[:, :, : keep[0], : keep[1]]
