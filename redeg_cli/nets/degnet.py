"""DegNet: what happened between an HQ image and its LQ, as one vector Ω (ReDegNet, section 3.2)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

OMEGA_SIZE = 512
LADDER = (64, 128, 256, 512, 512, 512, 512)
"""Channels at 256, 128, 64, 32, 16, 8 and 4 px."""

CROP = 256
"""The side in px that the linear head of DegNet is made for."""

MAX_CROPS = 3
"""Crops per side when a picture is larger: Ω is one per picture, so a few of them do."""


class SpectralConv(nn.Conv2d):
    """A same-padded convolution under spectral normalisation (arXiv 1802.05957).

    W = weight_orig / (uᵀ W v); one power iteration per training step refines u and v, none in
    eval mode. Tensors are called as in ``torch.nn.utils.spectral_norm``, as the release has them;
    unlike there, no graph tensor is kept on the module, so that it can be deep-copied (EMA).
    """

    weight_u: Tensor
    weight_v: Tensor

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride, kernel // 2)
        weight = self.weight
        del self.weight
        self.weight_orig = weight
        self.register_buffer("weight_u", torch.randn_like(weight[:, 0, 0, 0]).detach())
        self.register_buffer("weight_v", torch.randn_like(weight[0].flatten()).detach())
        self._iterate()  # random u and v give any size of W, infinities included

    def forward(self, input: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H/stride, W/stride)."""
        if self.training:
            self._iterate()
        # Copies: the next training step changes u and v before this one's backward may have run.
        u, v = self.weight_u.clone(), self.weight_v.clone()
        # Sums of products, not matrix products: autocast would do those in half precision.
        sigma = (self.weight_orig.flatten(1) * u[:, None] * v).sum()
        weight = self.weight_orig / sigma
        return self._conv_forward(input, weight, self.bias)

    @torch.no_grad()
    def _iterate(self) -> None:
        matrix = self.weight_orig.flatten(1)
        self.weight_v.copy_(_unit((matrix * self.weight_u[:, None]).sum(dim=0)))
        self.weight_u.copy_(_unit((matrix * self.weight_v).sum(dim=1)))


def _unit(vector: Tensor) -> Tensor:
    return F.normalize(vector, dim=0, eps=1e-12)


def conv_block(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """Return a spectral-normalised 3×3 convolution with LeakyReLU 0.2."""
    return nn.Sequential(SpectralConv(inputs, outputs, 3, stride), nn.LeakyReLU(0.2))


class DegNet(nn.Module):
    """(B, 6, 256, 256) in [-1, 1], HQ channels first -> Ω (B, 512)."""

    def __init__(self) -> None:
        super().__init__()
        inputs = 6
        for level, outputs in enumerate(LADDER):
            self.add_module(f"deg_ecd{level}", conv_block(inputs, outputs, 2 if level else 1))
            inputs = outputs
        self.final_linear = nn.Sequential(
            nn.Linear(inputs * 4 * 4, OMEGA_SIZE),
            nn.LeakyReLU(0.2),
            nn.Linear(OMEGA_SIZE, OMEGA_SIZE),
        )

    def forward(self, pair: Tensor) -> Tensor:
        if pair.shape[1:] != (6, CROP, CROP):
            raise ValueError(f"DegNet wants (B, 6, {CROP}, {CROP}), got {tuple(pair.shape)}")
        for level in range(len(LADDER)):
            pair = self.get_submodule(f"deg_ecd{level}")(pair)
        return self.final_linear(pair.flatten(1))


def extract_omega(degnet: nn.Module, hq: Tensor, lq: Tensor) -> Tensor:
    """Return the mean Ω (B, 512) of a pair (B, 3, H, W) in [0, 1] over its 256 px crops.

    ``lq`` stands on the HQ grid; a native LQ is brought there (bicubic). Crops are spread evenly
    over the picture, up to 3 × 3; a picture smaller than 256 px is enlarged to it.
    """
    if lq.shape[-2:] != hq.shape[-2:]:
        lq = _resize(lq, (hq.shape[-2], hq.shape[-1]))
    pair = torch.cat([hq, lq], dim=1)
    height, width = pair.shape[-2:]
    if min(height, width) < CROP:
        grow = CROP / min(height, width)
        pair = _resize(pair, (max(CROP, round(height * grow)), max(CROP, round(width * grow))))
        height, width = pair.shape[-2:]
    pair = pair * 2 - 1
    omegas = [
        degnet(pair[..., y : y + CROP, x : x + CROP])
        for y in crop_starts(height)
        for x in crop_starts(width)
    ]
    return torch.stack(omegas).float().mean(dim=0)


def crop_starts(side: int) -> list[int]:
    """Return where the crops of one side begin: evenly spread from edge to edge."""
    count = min(-(-side // CROP), MAX_CROPS)
    if count == 1:
        return [(side - CROP) // 2]
    return [round(index * (side - CROP) / (count - 1)) for index in range(count)]


def _resize(image: Tensor, size: tuple[int, int]) -> Tensor:
    image = F.interpolate(image, size, mode="bicubic", align_corners=False, antialias=True)
    return image.clamp(0, 1)
