"""Random fields that a seed decides, value by value: the same on every device and in any batch.

A generator's numbers depend on the device and on how many were drawn before. Here the value at
(channel, row, column) is a hash of the seed and that place, in whole numbers that no device
rounds. So a record gives the same grain on the CPU and on a GPU, alone and in a batch, and on
images of any size.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

_MASK = 0xFFFFFFFF


def uniform_field(
    seeds: Sequence[int], shape: tuple[int, int, int], device: torch.device
) -> Tensor:
    """Return values uniform on (0, 1), (B, C, H, W) for ``shape`` (C, H, W), one seed per image.

    Neither end occurs; the hash below has 2^32 levels. H and W at most 65,536.
    """
    # float32 rounds the largest 128 up to 2^32: no value may be 1, nor 0.
    return _hash(seeds, shape, device).float().mul_(2**-32).clamp_(2**-33, 1 - 2**-24)


def normal_field(seeds: Sequence[int], shape: tuple[int, int, int], device: torch.device) -> Tensor:
    """Return N(0, 1) noise, (B, C, H, W) for ``shape`` (C, H, W), one seed per image.

    Neighbours in a row are the two results of one Box-Muller transform.
    """
    channels, height, width = shape
    uniform = uniform_field(seeds, (channels, height, width + width % 2), device)
    radius = uniform[..., 0::2].log().mul_(-2).sqrt_()
    angle = uniform[..., 1::2] * (2 * math.pi)
    pair = torch.stack([radius * angle.cos(), radius * angle.sin()], -1)
    return pair.flatten(-2)[..., :width]


def _hash(seeds: Sequence[int], shape: tuple[int, int, int], device: torch.device) -> Tensor:
    """Return 32-bit hashes (B, C, H, W) as int64. Every product stays below 2^63."""
    channels, height, width = shape
    # The seed is mixed before it meets the place: seeds differ in their low bits, as places do.
    parts = torch.tensor([[seed & _MASK, seed >> 32 & _MASK] for seed in seeds], device=device)
    low = _mix(parts[:, 0] ^ 0x6A09E667)
    high = _mix(parts[:, 1] ^ _mix(low ^ 0x3C6EF372))
    rows = torch.arange(height, device=device).view(1, 1, -1, 1)
    columns = torch.arange(width, device=device).view(1, 1, 1, -1)
    channel = torch.arange(channels, device=device).view(1, -1, 1, 1)
    place = _mix((rows << 16 | columns) ^ low.view(-1, 1, 1, 1))
    return _mix(place ^ (high.view(-1, 1, 1, 1) + channel * 0x5E3779B1).bitwise_and_(_MASK))


def _mix(x: Tensor) -> Tensor:
    """Mix the bits of 32-bit numbers in an int64 tensor, which is overwritten.

    Two multiplications and three shifts (C. Wellons' hash-prospector, "lowbias" family; both
    factors are below 2^31, so no product reaches 2^63).
    """
    x ^= x >> 16
    x.mul_(0x21F0AAAD).bitwise_and_(_MASK)
    x ^= x >> 15
    x.mul_(0x735A2D97).bitwise_and_(_MASK)
    x ^= x >> 15
    return x
