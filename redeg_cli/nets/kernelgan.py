"""KernelGAN's networks for K images at once (Bell-Kligler et al., NeurIPS 2019, section 4).

Every weight has the images in its first dimension, and every layer is a grouped convolution or a
batched product: image k is trained by its own weights alone, as if it were the only one.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LAYERS = (7, 5, 3, 1, 1, 1)
"""Sides of the generator's filters in pixels (section 4.1)."""
KERNEL = sum(side - 1 for side in LAYERS) + 1
"""Side of the generator's kernel in pixels: 13."""
STRIDE = 2
PATCH = 7
"""Side of what the discriminator judges, in pixels of the LR image (section 4.2)."""
_JUDGING = 5
"""1x1 layers of the discriminator between its first and its last."""


class LinearGenerators(nn.Module):
    """K deep linear generators that shrink images by 2: six convolutions and no activation.

    Such a network is one convolution by its kernel. The kernel is made of the filters from the
    last layer to the first, which takes 1 million products for 64 channels; the layers on a crop of
    64x64 px would take 500 million. Values and gradients are the same.
    """

    def __init__(self, seeds: Sequence[torch.Generator], channels: int = 64) -> None:
        """``seeds``: an image's weights are drawn from its own generator."""
        super().__init__()
        self.filters = nn.ParameterList()
        for index, side in enumerate(LAYERS):
            inputs = 1 if index == 0 else channels
            outputs = 1 if index == len(LAYERS) - 1 else channels
            self.filters.append(_drawn(seeds, (outputs, inputs, side, side)))

    def kernels(self) -> Tensor:
        """Return the kernels (K, 13, 13) that the layers come to, for cross-correlation."""
        first, *others = reversed(list(self.filters))
        images, outputs = first.shape[0], first[:, 0]  # (K, C, 1, 1)
        for weight in others:
            stacked = outputs.reshape(1, -1, *outputs.shape[2:])
            stacked = F.conv_transpose2d(stacked, weight.flatten(0, 1), groups=images)
            outputs = stacked.view(images, -1, *stacked.shape[2:])
        return outputs[:, 0]


def shrink(images: Tensor, kernels: Tensor) -> Tensor:
    """Return images (K, C, H, W) filtered by kernels (K, k, k), every second pixel of the inside.

    Pixel (i, j) of the result is the kernel laid on the image with its corner at (2i, 2j).
    """
    side = kernels.shape[-1]
    windows = images.unfold(2, side, STRIDE).unfold(3, side, STRIDE)
    return torch.einsum("kchwij,kij->kchw", windows, kernels)


class PatchJudges(nn.Module):
    """K fully convolutional discriminators: 7x7, then 1x1 layers, spectral and batch norm.

    They see patches of 7x7 px and nothing beyond (section 4.2).
    """

    def __init__(self, seeds: Sequence[torch.Generator], channels: int = 64) -> None:
        super().__init__()
        sizes = [3 * PATCH**2, *[channels] * (_JUDGING + 1), 1]
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        self.gains, self.shifts = nn.ParameterList(), nn.ParameterList()
        for level, (inputs, outputs) in enumerate(pairwise(sizes)):
            self.weights.append(_drawn(seeds, (outputs, inputs)))
            self.biases.append(torch.zeros(len(seeds), outputs, 1))
            start = torch.stack([torch.randn(outputs, generator=each) for each in seeds])
            self.register_buffer(f"direction{level}", F.normalize(start, dim=1))
            if 0 < level <= _JUDGING:
                self.gains.append(torch.ones(len(seeds), outputs, 1))
                self.shifts.append(torch.zeros(len(seeds), outputs, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Return how real each patch of images (K, 3, H, W) is, (K, P) in [0, 1]."""
        x = F.unfold(images, PATCH)
        for level in range(len(self.weights)):
            x = torch.baddbmm(self.biases[level], self._normalised(level), x)
            if 0 < level <= _JUDGING:
                variance, mean = torch.var_mean(x, 2, correction=0, keepdim=True)
                x = (x - mean) * (variance + 1e-5).rsqrt()
                x = F.relu(x * self.gains[level - 1] + self.shifts[level - 1])
        return x[:, 0].sigmoid()

    def _normalised(self, level: int) -> Tensor:
        """Return the weights of a layer over their largest singular value (one power step)."""
        weight = self.weights[level]
        direction = self.get_buffer(f"direction{level}")
        with torch.no_grad():
            other = F.normalize((weight.mT @ direction[..., None])[..., 0], dim=1)
            direction.copy_(F.normalize((weight @ other[..., None])[..., 0], dim=1))
        size = torch.einsum("ko,koi,ki->k", direction.clone(), weight, other)
        return weight / size[:, None, None]


def _drawn(seeds: Sequence[torch.Generator], shape: tuple[int, ...]) -> nn.Parameter:
    """Return weights (K, *shape), Glorot's normal law, each image's from its own generator."""
    area = math.prod(shape[2:])
    deviation = math.sqrt(2 / ((shape[0] + shape[1]) * area))
    drawn = [torch.randn(shape, generator=each) * deviation for each in seeds]
    return nn.Parameter(torch.stack(drawn))
