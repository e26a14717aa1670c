"""Random fields that a seed decides, value by value: the same on every device and in any batch.

A generator's numbers depend on the device and on how many were drawn before. Here the value at
(channel, row, column) is a hash of the seed and that place, in whole numbers that no device
rounds. So a record gives the same grain on the CPU and on a GPU, alone and in a batch, and on
images of any size.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

_MASK = 0xFFFFFFFF


def uniform_field(
    seeds: Sequence[int], shape: tuple[int, int, int], device: torch.device
) -> Tensor:
    """Return values uniform on (0, 1), (B, C, H, W) for ``shape`` (C, H, W), one seed per image.

    Neither end occurs; the hash below has 2^32 levels. H and W at most 65,536.
    """
    if device.type == "cpu":
        # NumPy's words wrap round by themselves: half the memory and a quarter of the time.
        hashes = _hash(seeds, shape, lambda values: values.numpy().astype(np.uint32))
        field = torch.from_numpy(hashes.astype(np.float32))
    else:
        field = _hash(seeds, shape, lambda values: values.to(device)).float()
    # float32 rounds the largest 128 up to 2^32: no value may be 1, nor 0.
    return field.mul_(2**-32).clamp_(2**-33, 1 - 2**-24)


def normal_field(seeds: Sequence[int], shape: tuple[int, int, int], device: torch.device) -> Tensor:
    """Return N(0, 1) noise, (B, C, H, W) for ``shape`` (C, H, W), one seed per image.

    Neighbours in a row are the two results of one Box-Muller transform.
    """
    channels, height, width = shape
    field = uniform_field(seeds, (channels, height, width + width % 2), device)
    radius = field[..., 0::2].log().mul_(-2).sqrt_()
    angle = field[..., 1::2] * (2 * math.pi)
    torch.mul(radius, angle.cos(), out=field[..., 0::2])
    torch.mul(radius, angle.sin_(), out=field[..., 1::2])
    return field[..., :width]


def _hash(seeds: Sequence[int], shape: tuple[int, int, int], words: Callable[[Tensor], Any]) -> Any:
    """Return 32-bit hashes (B, C, H, W) as what ``words`` makes of int64 numbers on the CPU: int64
    on any device, or an array of uint32."""
    channels, height, width = shape
    # The seed is mixed before it meets the place: seeds differ in their low bits, as places do.
    low = [_mix(seed & _MASK ^ 0x6A09E667) for seed in seeds]
    high = [
        _mix(seed >> 32 & _MASK ^ _mix(begun ^ 0x3C6EF372))
        for seed, begun in zip(seeds, low, strict=True)
    ]
    keys = [[word + channel * 0x5E3779B1 & _MASK for channel in range(channels)] for word in high]
    rows = words(torch.arange(height).view(1, 1, -1, 1))
    columns = words(torch.arange(width).view(1, 1, 1, -1))
    place = _mix((rows << 16 | columns) ^ words(torch.tensor(low).view(-1, 1, 1, 1)))
    return _mix(place ^ words(torch.tensor(keys).view(len(keys), channels, 1, 1)))


def _mix(x: Any) -> Any:
    """Mix the bits of 32-bit numbers: of one, or in place of those in a tensor or array.

    Two multiplications and three shifts (C. Wellons' hash-prospector, "lowbias" family; both
    factors are below 2^31, so no product of int64 reaches 2^63).
    """
    for shift, factor in ((16, 0x21F0AAAD), (15, 0x735A2D97)):
        x ^= x >> shift
        x *= factor
        if not isinstance(x, np.ndarray):
            x &= _MASK
    x ^= x >> 15
    return x
