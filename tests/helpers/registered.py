"""Registered pairs, and a learned degradation model of which every pixel's kernel is known."""

from pathlib import Path

import cv2
import numpy as np
import torch

from redeg_cli.io.images import write_rgb
from redeg_cli.models import save_network
from redeg_cli.nets.dml import DML

CONFIG = {"count": 2, "scale": 2, "kernel": 5, "widths": [4]}


def boxes(seed: int, size: int = 96) -> np.ndarray:
    """A picture (size, size, 3) in [0, 1] of overlapping boxes."""
    rng = np.random.default_rng(seed)
    image = np.full((size, size, 3), 0.5, np.float32)
    for _ in range(80):
        x, y = rng.integers(0, size, 2)
        w, h = rng.integers(3, size // 3, 2)
        image[y : y + h, x : x + w] = rng.random(3)
    return image


def write_realsr(folder: Path, count: int = 3, scale: int = 2) -> Path:
    """Write pairs as RealSR has them; the LQ is blurred by 1.2 px."""
    for number in range(count):
        image = boxes(number)
        write_rgb(folder / f"cam_{number:03d}_HR.png", image)
        write_rgb(folder / f"cam_{number:03d}_LR{scale}.png", cv2.GaussianBlur(image, (7, 7), 1.2))
    return folder


@torch.no_grad()
def save_dml(path: Path, share: float = 0.75) -> Path:
    """Write a DML at scale 2, aligned: everywhere ``share`` of a point and the rest of a box.

    The point is the middle of a 5x5 kernel, the box its inner 3x3 pixels.
    """
    torch.manual_seed(0)
    net = DML(**CONFIG)
    net.kernels.zero_()
    net.kernels[0, 2, 2] = 1
    net.kernels[1, 1:4, 1:4] = 1 / 9
    net.backbone.last.weight.zero_()
    net.backbone.last.bias.copy_(torch.tensor([share, 1 - share]).logit())
    save_network(path, "dml", CONFIG, net.state_dict())
    return path
