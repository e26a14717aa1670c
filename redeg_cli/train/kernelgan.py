"""Blur kernels estimated from LR images alone, many at once: KernelGAN.

Bell-Kligler et al., "Blind Super-Resolution Kernel Estimation using an Internal-GAN", NeurIPS 2019
(arXiv 1909.06581), as section 3.2 of Aakerberg et al. uses it: for each image a linear generator is
trained to shrink it by 2 such that a discriminator cannot tell patches of the shrunk image from
those of the image itself. The kernel that the generator has become is the one the image was made
with.

Some things are not as published. Three of them brought, on six photographs with known kernels, the
median similarity from 0.73 to 0.89, both in 1000 steps, a third of the published ones: the
generator begins as the bicubic kernel itself, not by imitating its results; real and shrunk crops
get the same noise, which hides the levels that only files have; and the result is the mean of the
kernels of the later steps, since single ones swing about it. Two more are in ``Settings``: the
weights of the regulariser stay as they are, with γ of 0.5 in place of 5, and what is under 2 % of a
kernel's largest value is cut off.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from redeg_cli.degrade.kernel_pool import SIDE, centred_kernel
from redeg_cli.degrade.resize import resize_matrix
from redeg_cli.nets.kernelgan import KERNEL, STRIDE, LinearGenerators, PatchJudges, shrink
from redeg_cli.progress import OnProgress, no_progress
from redeg_cli.seeds import numpy_generator, sample_seed, torch_generator

CROP = 64
"""Side in pixels of what the generator shrinks."""
SHRUNK = (CROP - KERNEL) // STRIDE + 1
"""Side in pixels of what comes out, and of the crops that the discriminator is shown as real."""
_NOISE = 2 / 255
"""Deviation of the noise on crops in [-1, 1]: one level."""
_MIDDLE = (KERNEL - 1 + STRIDE - 1) / 2
"""Where the centre of mass belongs, in pixels from the corner; see ``centred_kernel``."""
_START_STEPS, _START_RATE = 200, 1e-3
"""Steps until the generator is the bicubic kernel: squared differences then sum to under 1e-6."""


@dataclass(frozen=True)
class Settings:
    """How kernels are estimated."""

    steps: int = 1000
    channels: int = 64
    learning_rate: float = 2e-4
    sum_weight: float = 0.5
    """α of the published regulariser: the kernel sums to 1."""
    border_weight: float = 0.5
    """β: nothing near the kernel's border."""
    sparse_weight: float = 0.5
    """γ: few large values. Published is 5; from 1 on kernels came out as narrow as 2x2 px here."""
    centre_weight: float = 1.0
    """δ: the centre of mass is where the pixels of both grids cover the same."""
    settled: float = 0.4
    """Share of the steps after which kernels are averaged."""
    least: float = 0.02
    """Share of a kernel's largest value below which the others count as noise of the training."""


def estimate_kernels(
    images: Sequence[np.ndarray],
    names: Sequence[str],
    settings: Settings,
    seed: int,
    device: torch.device,
    on_progress: OnProgress = no_progress,
) -> np.ndarray:
    """Return the ×2 kernels (K, k, k) float32 of LR images (H, W, 3) in [0, 1], all at once.

    They relate the images to themselves at half the size; ``estimated_pool`` makes of them what
    sharp images are filtered with.

    Each sums to 1, is not negative, and is centred as ``centred_kernel`` says. An image's crops,
    noise and first weights depend on ``seed`` and its own name, not on its neighbours. Sides are at
    least ``CROP``. A kernel whose training went astray is NaN.
    """
    seeds = [sample_seed(seed, name) for name in names]
    crops = [Crops(image, each) for image, each in zip(images, seeds, strict=True)]
    starts = [torch_generator(sample_seed(each, "weights")) for each in seeds]
    generators = LinearGenerators(starts, settings.channels).to(device)
    judges = PatchJudges(starts, settings.channels).to(device)
    penalty = border_penalty().to(device)
    _begin(generators, bicubic_kernel().to(device))
    of_generators, of_judges = (
        torch.optim.Adam(net.parameters(), settings.learning_rate, betas=(0.5, 0.999))
        for net in (generators, judges)
    )
    first = min(int(settings.steps * settings.settled), settings.steps - 1)
    total = torch.zeros(len(crops), KERNEL, KERNEL, device=device)
    for step in range(settings.steps):
        drawn = [each.draw() for each in crops]
        large, real, noise = (torch.stack(part).to(device) for part in zip(*drawn, strict=True))
        kernels = generators.kernels()
        fake = shrink(large, kernels) + noise

        judges.requires_grad_(False)
        loss = (1 - judges(fake)).mean(1) + regulariser(kernels, penalty, settings)
        of_generators.zero_grad(set_to_none=True)
        loss.sum().backward()
        of_generators.step()

        judges.requires_grad_(True)
        judged = (1 - judges(real)).mean(1) + judges(fake.detach()).mean(1)
        of_judges.zero_grad(set_to_none=True)
        (judged / 2).sum().backward()
        of_judges.step()

        if step >= first:
            total += kernels.detach()
        on_progress(step + 1, settings.steps)
    found = (total / (settings.steps - first)).cpu().double().numpy()
    return np.stack([_finished(each, settings.least) for each in found])


def _begin(generators: LinearGenerators, kernel: Tensor) -> None:
    """Train the generators until each of them is ``kernel`` (k, k)."""
    optimizer = torch.optim.Adam(generators.parameters(), _START_RATE)
    for _ in range(_START_STEPS):
        optimizer.zero_grad(set_to_none=True)
        (generators.kernels() - kernel).square().sum().backward()
        optimizer.step()


def regulariser(kernels: Tensor, penalty: Tensor, settings: Settings) -> Tensor:
    """Return R (K,) of kernels (K, k, k), the published regulariser (section 4.3).

    ``penalty`` is m of the border's term. Sums over the kernel are means here.
    """
    total = kernels.sum((1, 2))
    border = (kernels * penalty).abs().mean((1, 2))
    # The slope of a root has no bound at 0.
    sparse = (kernels.abs() + 1e-8).sqrt().mean((1, 2))
    axis = torch.arange(KERNEL, device=kernels.device, dtype=kernels.dtype) - _MIDDLE
    # The centre of a kernel whose sum is near 0 has no bound: it would throw the training far off.
    least = total.clamp(min=0.5)
    x, y = ((kernels.sum(side) * axis).sum(1) / least for side in (1, 2))
    return (
        settings.sum_weight * (1 - total).abs()
        + settings.border_weight * border
        + settings.sparse_weight * sparse
        + settings.centre_weight * (x.square() + y.square() + 1e-8).sqrt()
    )


def border_penalty() -> Tensor:
    """Return m (k, k): what a value of the kernel costs, growing exponentially to the border."""
    axis = torch.arange(KERNEL) - _MIDDLE
    away = (axis[:, None].square() + axis.square()).sqrt() / (KERNEL / 2)
    return 30 * torch.exp(4 * (away - 1)).clamp(max=1)


def bicubic_kernel() -> Tensor:
    """Return the kernel (k, k) of a bicubic shrinking by 2."""
    middle = 2 * KERNEL
    columns = range(2 * middle - KERNEL // 2, 2 * middle + KERNEL // 2 + 1)
    sizes = [4 * middle], [2 * middle]
    device = torch.device("cpu")
    row = resize_matrix(*sizes, range(middle, middle + 1), columns, "bicubic", True, device)[0, 0]
    return row[:, None] * row


class Crops:
    """The crops of one image, in the order in which its seed draws them.

    Where there is much gradient a crop is drawn more often (section 4.2): flat parts say nothing.
    """

    def __init__(self, image: np.ndarray, seed: int) -> None:
        """``image``: (H, W, 3) in [0, 1], sides of at least ``CROP``."""
        self._pixels = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))) * 2 - 1
        self._places = numpy_generator(seed)
        self._noise = torch_generator(sample_seed(seed, "noise"))
        gradient = gradient_magnitude(image)
        self._large, self._small = _chances(gradient, CROP), _chances(gradient, SHRUNK)

    def draw(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return a crop (3, 64, 64) in [-1, 1] to shrink, a real one (3, 26, 26), and noise for
        what the first becomes. The real one has noise of its own."""
        real = self._cut(self._small, SHRUNK)
        noise = _NOISE * torch.randn((2, *real.shape), generator=self._noise)
        return self._cut(self._large, CROP), real + noise[0], noise[1]

    def _cut(self, chances: tuple[np.ndarray, int], side: int) -> Tensor:
        cumulated, width = chances
        index = int(np.searchsorted(cumulated, self._places.random(), side="right"))
        y, x = divmod(min(index, len(cumulated) - 1), width)
        return self._pixels[:, y : y + side, x : x + side]


def gradient_magnitude(image: np.ndarray) -> np.ndarray:
    """Return |∇| (H, W) of the luma of an image (H, W, 3), by central differences."""
    luma = image @ np.array([0.299, 0.587, 0.114], np.float32)
    down, right = np.gradient(luma)
    return np.hypot(down, right)


def _chances(gradient: np.ndarray, side: int) -> tuple[np.ndarray, int]:
    """Return the cumulated chances of each corner of a crop, row by row, and the row's length."""
    total = cv2.integral(gradient.astype(np.float64))
    inside = total[side:, side:] - total[:-side, side:] - total[side:, :-side]
    # A flat image has crops too.
    chances = (inside + total[:-side, :-side]).clip(min=0).ravel() + 1e-6
    return np.cumsum(chances) / chances.sum(), inside.shape[1]


def _finished(kernel: np.ndarray, least: float) -> np.ndarray:
    """Return a kernel (SIDE, SIDE) without its values below ``least`` of the largest, centred."""
    if not np.isfinite(kernel).all() or kernel.sum() <= 0:
        return np.full((SIDE, SIDE), np.nan, np.float32)
    return centred_kernel(np.where(kernel >= least * kernel.max(), kernel, 0), STRIDE)
