"""Learned degradation models as degraders: parts of a picture, noise, records."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from redeg_cli.degrade import dml
from redeg_cli.degrade.dml import DmlDegrader, clean_lq, in_parts, weight_maps
from redeg_cli.degrade.resize import to_native
from redeg_cli.errors import ModelError, RecipeError
from redeg_cli.nets.dml import DML, DirectKPN, DirectNet, LearnedDegradation

SMALL = {"widths": (4, 6, 6)}
NETWORKS = {
    "dml": lambda scale, grid: DML(3, scale, grid, kernel=5, **SMALL),
    "direct-kpn": lambda scale, grid: DirectKPN(scale, grid, kernel=5, **SMALL),
    "direct-net": lambda scale, grid: DirectNet(scale, grid, **SMALL),
}


def images_of(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def network(name: str = "dml", scale: int = 2, grid: str = "aligned") -> LearnedDegradation:
    torch.manual_seed(0)
    net = NETWORKS[name](scale, grid)
    net.backbone.last.weight += 0.1 * torch.randn_like(net.backbone.last.weight)
    return net.eval()


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(("scale", "grid"), [(4, "aligned"), (2, "native"), (3, "native")])
@pytest.mark.parametrize("size", [(192, 108), (66, 240)])
@torch.no_grad()
def test_parts_make_the_whole(
    monkeypatch: pytest.MonkeyPatch, name: str, scale: int, grid: str, size: tuple[int, int]
) -> None:
    """A picture in parts of 64 px is the picture at once, at its borders too."""
    net, hq = network(name, scale, grid), images_of(1, 3, *size)
    monkeypatch.setattr(dml, "_TILE", 64)
    calls: list[torch.Size] = []

    def watched(part: torch.Tensor) -> torch.Tensor:
        calls.append(part.shape)
        return net(part)

    made = in_parts(net, hq, net.stride, watched)
    torch.testing.assert_close(made, net(hq), atol=1e-5, rtol=0)
    assert len(calls) == math.ceil(size[0] / 64) * math.ceil(size[1] / 64) or scale == 3
    assert len(calls) > 1


@torch.no_grad()
def test_weight_maps_are_those_of_the_whole_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    net, hq = network(scale=2, grid="native"), images_of(1, 3, 97, 131)
    assert isinstance(net, DML)
    monkeypatch.setattr(dml, "_TILE", 64)
    made = weight_maps(net, hq)
    assert made.shape == (1, 3, 97, 131)
    torch.testing.assert_close(made, net.weights(hq), atol=1e-6, rtol=0)


def test_noise_is_that_of_the_record_and_as_strong_as_asked() -> None:
    degrader, hq = DmlDegrader(network(), noise=5.0), 0.3 + 0.4 * images_of(2, 3, 96, 96)
    one, other = degrader.draw(1), degrader.draw(2)
    assert one == degrader.draw(1) != other
    first, second = (degrader.apply(hq, [record, other]) for record in (one, one))
    assert torch.equal(first, second)
    clean = to_native(clean_lq(degrader.net, hq), 2)
    noise = (first - clean)[clean.lt(0.9) & clean.gt(0.1)] * 255
    assert float(noise.std()) == pytest.approx(5, rel=0.03)
    assert abs(float(noise.mean())) < 0.15


def test_without_noise_it_is_the_model() -> None:
    degrader, hq = DmlDegrader(network(grid="native"), noise=0), images_of(1, 3, 32, 48)
    record = degrader.draw(7)
    assert record == {"degrader": "dml", "scale": 2, "steps": []}
    made = degrader.apply(hq, [record])
    assert made.shape == (1, 3, 16, 24)
    assert torch.equal(made, clean_lq(degrader.net, hq))


@given(seed=st.integers(0, 2**62), noise=st.floats(0, 255))
@settings(max_examples=20, deadline=None)
def test_records_are_plain_and_their_lq_is_in_range(seed: int, noise: float) -> None:
    degrader = DmlDegrader(network(), noise)
    made = degrader.apply(images_of(1, 3, 16, 16), [degrader.draw(seed)])
    assert made.shape == (1, 3, 8, 8)
    assert 0 <= float(made.min()) <= float(made.max()) <= 1


def test_settings_are_told_apart() -> None:
    net = network()
    assert DmlDegrader(net, 5).digest == DmlDegrader(net, 5.0).digest
    assert DmlDegrader(net, 5).digest != DmlDegrader(net, 4).digest


def test_another_scale_than_the_models_is_refused() -> None:
    assert DmlDegrader(network(scale=4)).scale == 4
    with pytest.raises(ModelError, match="learned at scale 4, 2 was asked for"):
        DmlDegrader(network(scale=4), scale=2)


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"degrader": "dml"}, "record 1: expected a table with steps"),
        ({"scale": 4, "steps": []}, "record 1 is one of scale 4, not 2"),
    ],
)
def test_records_that_are_none_are_refused(record: dict[str, object], words: str) -> None:
    degrader = DmlDegrader(network())
    with pytest.raises(RecipeError, match=words):
        degrader.apply(images_of(2, 3, 16, 16), [degrader.draw(0), record])
