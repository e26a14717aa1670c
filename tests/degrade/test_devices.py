"""Every op on a GPU that is not there: tensors that know their device and shape and hold nothing.

Finds what mixes the devices of tensors, which on the CPU alone nothing does.
"""

import sys
from collections.abc import Iterator
from functools import cache

import pytest
import torch
from torch._subclasses.fake_tensor import (
    DynamicOutputShapeException,
    FakeTensor,
    FakeTensorMode,
)

from redeg_cli.degrade.base import Step
from redeg_cli.degrade.canvas import Canvas
from redeg_cli.degrade.chain import load_degrader, presets
from redeg_cli.degrade.ops import OPS
from redeg_cli.degrade.steps import read_steps

PER_FILE = ("webp", "video", "error_diffusion")  # which go through the CPU by their nature
COUNT = 4


@cache
def drawn() -> dict[str, list[Step]]:
    """Some steps of each op, as the presets draw them."""
    found: dict[str, list[Step]] = {op: [] for op in OPS}
    for preset in presets():
        degrader = load_degrader(preset, 2)
        for seed in range(40):
            for op, step in read_steps(degrader.draw(seed)["steps"]):
                found[op].append(step)
    return found


@pytest.fixture(params=[False, True])
def answers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What tensors that hold nothing say when code asks for a value."""
    said = {"__bool__": request.param, "__int__": 7, "__float__": 0.5, "item": 3}
    for name, value in said.items():
        monkeypatch.setattr(FakeTensor, name, lambda _self, value=value: value, raising=False)


@pytest.fixture
def forgotten() -> Iterator[None]:
    """What functions remembered within the test, tensors that hold nothing, is forgotten."""
    yield
    for name, module in list(sys.modules.items()):
        if name.startswith(("redeg_cli.degrade.", "redeg_cli.nets.")):
            for each in vars(module).values():
                if hasattr(each, "cache_clear"):
                    each.cache_clear()


@pytest.mark.usefixtures("answers", "forgotten")
@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("op", sorted({*OPS} - {*PER_FILE}))
def test_an_op_keeps_to_the_device_of_its_images(op: str, ragged: bool) -> None:
    steps = (drawn()[op] * COUNT)[:COUNT]
    assert steps, f"no preset draws {op}"
    less = 4 if ragged else 0
    sizes = tuple((32 - less * (row % 3), 28 - less * (row % 2)) for row in range(COUNT))
    with FakeTensorMode(allow_non_fake_inputs=True):
        images = torch.empty(COUNT, 3, 32, 28, device="cuda")
        canvas = Canvas(images, sizes, (32, 28), 2)
        try:
            made = OPS[op].apply(canvas, steps)
        except DynamicOutputShapeException:
            return  # asks which pixels are dark: beyond that there is nothing to follow
        assert made.pixels.device.type == "cuda"
        height, width = (max(lengths) for lengths in zip(*made.sizes, strict=True))
        assert made.pixels.shape == (COUNT, 3, *made.pixels.shape[2:])
        assert made.pixels.shape[2] >= height
        assert made.pixels.shape[3] >= width


def test_a_tensor_on_another_device_is_found() -> None:
    with FakeTensorMode(), pytest.raises(Exception, match="device"):
        torch.empty(2, device="cuda") + torch.empty(2)
