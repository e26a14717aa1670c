"""Tiny networks of every kind, and pictures with something in them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from redeg_cli.models import load_restorer, save_network
from redeg_cli.nets.compact import CompactF2N
from redeg_cli.nets.wrap import Restorer

TINY = {"features": 4, "blocks": 1, "scales": [1, 2]}


@pytest.fixture
def scene() -> Callable[..., np.ndarray]:
    """Make (H, W, 3) pictures, smooth with edges, well inside [0, 1]."""

    def make(height: int, width: int, seed: int = 0) -> np.ndarray:
        y, x = np.mgrid[:height, :width]
        planes = [
            0.5
            + 0.2 * np.sin(x / (5 + i) + seed)
            + 0.1 * np.cos(y / 7 - i)
            + 0.1 * (x + y > height + 3 * i)
            for i in range(3)
        ]
        return np.stack(planes, 2).clip(0.05, 0.95).astype(np.float32)

    return make


@pytest.fixture
def tiny_restorer(tmp_path: Path) -> Restorer:
    """A compact restorer for x2 that begins as bicubic."""
    torch.manual_seed(0)
    save_network(
        tmp_path / "tiny.safetensors", "f2n-compact", TINY, CompactF2N(**TINY).state_dict()
    )
    return load_restorer(tmp_path / "tiny.safetensors", 2)
