"""A tiny ReDegNet whose JPEG stages are off, and pictures with something in them."""

import numpy as np
import pytest
import torch
from torch import Tensor

from redeg_cli.nets.lite import COLOURS, ReDegNetLite
from redeg_cli.omega.pool import Pool

TINY = {
    "degnet": {"widths": [8, 8]},
    "synnet": {"widths": [8, 8], "style": 8, "kernel": 5, "grain_kernel": 5},
}


@pytest.fixture
def tiny_net() -> ReDegNetLite:
    torch.manual_seed(0)
    return ReDegNetLite(**TINY).eval()


@pytest.fixture
def roomy_net(tiny_net: ReDegNetLite) -> ReDegNetLite:
    """One that leaves the end of Ω free for what is measured."""
    first, last = tiny_net.synnet.style[0], tiny_net.degnet.second
    with torch.no_grad():
        for tensor in (first.weight[:, COLOURS.start :], last.weight[COLOURS.start :]):  # pyright: ignore[reportIndexIssue]
            tensor.zero_()
        last.bias[COLOURS.start :] = 0
    assert tiny_net.has_room
    return tiny_net


@pytest.fixture
def tiny_pool() -> Pool:
    omegas = np.random.default_rng(0).standard_normal((5, 512)).astype(np.float32)
    names = tuple(f"{i}.png" for i in range(5))
    return Pool(omegas, names, np.full(5, 2), "tiny", "0" * 12)


@pytest.fixture
def picture() -> Tensor:
    """(1, 3, 96, 128), smooth with edges, in [0, 1]."""
    y, x = torch.meshgrid(torch.arange(96.0), torch.arange(128.0), indexing="ij")
    planes = [0.5 + 0.3 * torch.sin(x / 7 + i) + 0.15 * torch.sign(y - 40 - i) for i in range(3)]
    return torch.stack(planes)[None].clamp(0, 1)
