"""Learned degradation models as degraders: DML and its rivals over pictures of any size.

The LQ of the model and white Gaussian noise on it (Degradation Model Learning, Xiao et al. 2020,
section 3.3): learning by eq. 4 makes LQs without noise, since noise cannot be foretold.
"""

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from redeg_cli.degrade.base import Record, check_batch
from redeg_cli.degrade.resize import to_native
from redeg_cli.degrade.steps import check_records, run_chains
from redeg_cli.errors import ModelChoiceError
from redeg_cli.models import find_model, load_network
from redeg_cli.nets.dml import DML, LearnedDegradation
from redeg_cli.seeds import sample_seed

NAME = "dml"
NOISE = 5.0
"""Standard deviation of the noise, of 255 (section 3.3)."""
_TILE = 192
"""Side in HQ pixels of the parts that a picture is worked on in: DML then takes 120 MB beside the
picture, whatever its size. At 320 it would take 300 MB and a fifth less time."""


class DmlDegrader:
    """A learned degradation model and noise. See ``Degrader``.

    The record holds the noise alone: the model must be kept to replay it.
    """

    def __init__(
        self, net: LearnedDegradation, noise: float = NOISE, scale: int | None = None
    ) -> None:
        """Make a degrader of ``net``, on the device to work on; ``noise`` is of 255.

        Raises ModelChoiceError for another ``scale`` than the one that the model has learned.
        """
        if scale not in (None, net.scale):
            raise ModelChoiceError(
                f"the degradation model was learned at scale {net.scale}, {scale} was asked for"
            )
        self.net = net.eval()
        self.scale = net.scale
        self.noise = noise

    @property
    def digest(self) -> str:
        """What tells its settings, without the model's weights, from others."""
        return hashlib.blake2b(
            json.dumps(["noise", float(self.noise)]).encode(), digest_size=8
        ).hexdigest()

    def draw(self, seed: int) -> Record:
        """Return the noise of one image. Pure."""
        steps = []
        if self.noise:
            noise = {"op": "noise", "sigma": self.noise / 255, "seed": sample_seed(seed, "noise")}
            steps.append(noise)
        return {"degrader": NAME, "scale": self.scale, "steps": steps}

    def apply(self, hq: Tensor, records: Sequence[Record]) -> Tensor:
        """See ``Degrader.apply``. The noise is that of the native grid. Raises RecipeError for a
        record that is none, or of another scale."""
        check_batch(hq, records, self.scale)
        check_records(records, self.scale)
        native = clean_lq(self.net, hq)
        if self.net.grid == "aligned":
            native = to_native(native, self.scale)
        return run_chains(native, [record["steps"] for record in records], 1).pixels.clamp(0, 1)


def load_dml(
    path: str | Path,
    noise: float = NOISE,
    scale: int | None = None,
    device: torch.device | str = "cpu",
) -> DmlDegrader:
    """Return the degrader of a model that `redeg train dml` wrote. Raises ModelError."""
    found = find_model(path)
    return DmlDegrader(load_degradation(found, device), noise, scale)


def load_degradation(path: str | Path, device: torch.device | str = "cpu") -> LearnedDegradation:
    """Return the network of a model that `redeg train dml` wrote. Raises ModelError."""
    return cast("LearnedDegradation", load_network(path, "degrader", device))


@torch.no_grad()
def clean_lq(net: LearnedDegradation, hq: Tensor) -> Tensor:
    """Return the LQ without noise of HQ (B, 3, H, W), on the model's grid, in [0, 1]."""
    return in_parts(net, hq, net.stride, net).clamp_(0, 1)


@torch.no_grad()
def weight_maps(net: DML, hq: Tensor) -> Tensor:
    """Return C (B, M, H, W) in [0, 1] of HQ (B, 3, H, W)."""
    return in_parts(net, hq, 1, net.weights)


def in_parts(
    net: LearnedDegradation, hq: Tensor, stride: int, run: Callable[[Tensor], Tensor]
) -> Tensor:
    """Return ``run`` (B, C, H/stride, W/stride) of HQ (B, 3, H, W), worked out part by part.

    Parts begin where pooling and sampling do and see as far around as the network reaches: the
    result is that of the whole picture, however large it is.
    """
    height, width = hq.shape[2:]
    step = math.lcm(net.backbone.multiple, net.stride)
    # A batch of many small pictures may need as much as one large one.
    tile = max(_TILE // math.isqrt(hq.shape[0]), 64) // step * step
    around = -(-net.reach // step) * step
    result = hq.new_empty(0)
    for top in range(0, height, tile):
        for left in range(0, width, tile):
            above, before = max(0, top - around), max(0, left - around)
            part = hq[:, :, above : top + tile + around, before : left + tile + around]
            made = run(part)
            if result.numel() == 0:
                size = (hq.shape[0], made.shape[1], height // stride, width // stride)
                result = made.new_empty(size)
            y, x = (top - above) // stride, (left - before) // stride
            rows = slice(top // stride, (top + tile) // stride)
            place = result[:, :, rows, left // stride : (left + tile) // stride]
            place.copy_(made[:, :, y : y + place.shape[2], x : x + place.shape[3]])
    return result
