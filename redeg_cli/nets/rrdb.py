"""RRDBNet, the network of ESRGAN, Real-ESRGAN and F2N-ESRGAN (arXiv 1809.00219, 2107.10833)."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

RESIDUAL_SCALE = 0.2


class ResidualDenseBlock(nn.Module):
    """Five densely connected convolutions, added to the input at a fifth of their strength."""

    def __init__(self, features: int, growth: int) -> None:
        super().__init__()
        for index in range(4):
            self.add_module(f"conv{index + 1}", _conv(features + index * growth, growth))
        self.conv5 = _conv(features + 4 * growth, features)

    def forward(self, x: Tensor) -> Tensor:
        seen = [x]
        for index in range(1, 5):
            conv = self.get_submodule(f"conv{index}")
            seen.append(F.leaky_relu(conv(torch.cat(seen, dim=1)), 0.2))
        return x + RESIDUAL_SCALE * self.conv5(torch.cat(seen, dim=1))


class RRDB(nn.Module):
    """Three dense blocks in a residual of their own."""

    def __init__(self, features: int, growth: int) -> None:
        super().__init__()
        self.rdb1 = ResidualDenseBlock(features, growth)
        self.rdb2 = ResidualDenseBlock(features, growth)
        self.rdb3 = ResidualDenseBlock(features, growth)

    def forward(self, x: Tensor) -> Tensor:
        return x + RESIDUAL_SCALE * self.rdb3(self.rdb2(self.rdb1(x)))


class RRDBNet(nn.Module):
    """(B, 3, h, w) -> (B, 3, h·scale, w·scale) for scale 1, 2 or 4, in the range of the weights.

    The body always enlarges four times: at ×2 and ×1 the input is first folded into channels
    (pixel unshuffle by 2 and 4), so h and w must be multiples of ``multiple``.
    """

    def __init__(
        self, scale: int = 4, features: int = 64, growth: int = 32, blocks: int = 23
    ) -> None:
        super().__init__()
        if scale not in (1, 2, 4):
            raise ValueError(f"RRDBNet has scale 1, 2 or 4, not {scale}")
        self.scale = scale
        self.multiple = 4 // scale
        self.conv_first = _conv(3 * self.multiple**2, features)
        self.body = nn.Sequential(*(RRDB(features, growth) for _ in range(blocks)))
        self.conv_body = _conv(features, features)
        self.conv_up1 = _conv(features, features)
        self.conv_up2 = _conv(features, features)
        self.conv_hr = _conv(features, features)
        self.conv_last = _conv(features, 3)

    def forward(self, x: Tensor) -> Tensor:
        if self.multiple > 1:
            x = F.pixel_unshuffle(x, self.multiple)
        x = self.conv_first(x)
        x = x + self.conv_body(self.body(x))
        x = F.leaky_relu(self.conv_up1(F.interpolate(x, scale_factor=2.0, mode="nearest")), 0.2)
        x = F.leaky_relu(self.conv_up2(F.interpolate(x, scale_factor=2.0, mode="nearest")), 0.2)
        return self.conv_last(F.leaky_relu(self.conv_hr(x), 0.2))


def infer_config(tensors: Mapping[str, Tensor]) -> dict[str, Any] | None:
    """Return the RRDBNet config that a state dict was made with; None when it is no RRDBNet."""
    first = tensors.get("conv_first.weight")
    dense = tensors.get("body.0.rdb1.conv1.weight")
    if first is None or dense is None or first.ndim != 4 or dense.ndim != 4:
        return None
    scale = {3: 4, 12: 2, 48: 1}.get(first.shape[1])
    blocks = {name.split(".")[1] for name in tensors if name.startswith("body.")}
    if scale is None or "conv_last.weight" not in tensors:
        return None
    return {
        "scale": scale,
        "features": first.shape[0],
        "growth": dense.shape[0],
        "blocks": len(blocks),
    }


def _conv(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1)
