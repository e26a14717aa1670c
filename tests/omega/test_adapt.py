"""Adaptation: it learns a print screen that the network never saw, from the fitted rows only."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from redeg_cli.nets.lite import ReDegNetLite
from redeg_cli.omega.adapt import Adapted, FittedRegion, adapt, with_lattice
from redeg_cli.omega.lattice import Lattice, find_common_lattice
from redeg_cli.omega.tone import Tone

CPU = torch.device("cpu")
FX, FY = 0.17, 0.06
SIZE = 128
OMEGA = torch.zeros(1, 512)


def screen(height: int, width: int, x0: int, y0: int) -> Tensor:
    y, x = torch.meshgrid(torch.arange(height) + y0, torch.arange(width) + x0, indexing="ij")
    return torch.cos(2 * math.pi * (FX * x + FY * y))


def printed_region(origin: tuple[int, int] = (32, 16)) -> FittedRegion:
    """A smooth picture, darkened, with a screen that runs through the whole photo."""
    y, x = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    tone = 0.5 + 0.2 * torch.sin(x / 19) * torch.cos(y / 23)
    hq = tone.expand(1, 3, SIZE, SIZE).clone()
    lq = 0.9 * hq + 0.08 * screen(SIZE, SIZE, *origin)
    return FittedRegion(hq, lq, origin, (0, 80))


def lattice_of(region: FittedRegion) -> Lattice | None:
    """What is found in the fitted rows."""
    return find_common_lattice([region.view()])


def run(net: ReDegNetLite, regions: list[FittedRegion], steps: int, seed: int = 0) -> Adapted:
    lattice = lattice_of(regions[0])
    return adapt(
        net,
        OMEGA,
        regions,
        lattice,
        CPU,
        scale=1,
        steps=steps,
        batch=2,
        seed=seed,
        learning_rate=4e-3,
    )


def test_it_learns_a_screen_and_carries_it_on_to_rows_it_never_saw(tiny_net: ReDegNetLite) -> None:
    region = printed_region()
    before = {name: tensor.clone() for name, tensor in tiny_net.state_dict().items()}
    adapted = run(tiny_net, [region], 60)
    assert adapted.lattice is not None
    fx, fy = adapted.lattice.frequencies[0]
    assert (abs(fx), abs(fy)) == pytest.approx((FX, FY), abs=0.1 / SIZE)
    assert adapted.losses[1] < 0.5 * adapted.losses[0]
    assert torch.equal(adapted.omega, OMEGA)

    # Rows 84 to 128 were held out: the screen is there, in phase.
    maps = adapted.lattice.maps(44, SIZE, (region.origin[0], region.origin[1] + 84))[None]
    hq, lq = region.hq[:, :, 84:], region.lq[:, :, 84:]
    with torch.no_grad():
        made = adapted.net(hq, adapted.omega, torch.zeros_like(hq), maps).mean
    assert (made - lq).abs().mean() < 0.5 * (hq - lq).abs().mean()
    truth = screen(44, SIZE, region.origin[0], region.origin[1] + 84).flatten()
    pattern = (made - 0.9 * hq).mean((0, 1)).flatten()
    assert torch.corrcoef(torch.stack([truth, pattern]))[0, 1] > 0.9

    # The network that was given is as it was.
    assert all(torch.equal(before[name], t) for name, t in tiny_net.state_dict().items())
    assert not adapted.net.training


def test_held_out_rows_are_never_looked_at(tiny_net: ReDegNetLite) -> None:
    region = printed_region()
    lq = region.lq.clone()
    lq[:, :, region.rows[1] :] = 0.123
    results = [run(tiny_net, [r], 3) for r in (region, replace(region, lq=lq))]
    states = [r.net.state_dict() for r in results]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    fitted = region.lq.clone()
    fitted[:, :, :80] *= 0.5
    other = run(tiny_net, [replace(region, lq=fitted)], 3)
    assert not torch.equal(other.net.synnet.tail.bias, results[0].net.synnet.tail.bias)


def test_the_seed_decides(tiny_net: ReDegNetLite) -> None:
    regions = [printed_region(), printed_region((0, 160))]
    first, again, other = (
        run(tiny_net, regions, 3, seed).net.synnet.tail.bias for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_progress_is_told_after_each_step(tiny_net: ReDegNetLite) -> None:
    told: list[tuple[int, int, str]] = []
    region = printed_region()
    adapt(
        tiny_net,
        OMEGA,
        [region],
        None,
        CPU,
        steps=3,
        batch=1,
        scale=1,
        on_progress=lambda done, total, text="": told.append((done, total, text)),
    )
    assert [row[:2] for row in told] == [(1, 3), (2, 3), (3, 3)]
    assert told[0][2].startswith("L1 0.")


def test_regions_smaller_than_a_crop_serve(tiny_net: ReDegNetLite) -> None:
    region = printed_region()
    small = FittedRegion(region.hq[..., :48, :64], region.lq[..., :48, :64], (0, 0), (0, 32))
    adapted = run(tiny_net, [small, region], 2)
    assert math.isfinite(adapted.losses[1])


def test_no_lattice_no_new_inputs(tiny_net: ReDegNetLite) -> None:
    region = printed_region()
    adapted = run(tiny_net, [replace(region, lq=0.9 * region.hq)], 2)
    assert adapted.lattice is None
    assert adapted.net.synnet.periodic == 0
    copy = with_lattice(tiny_net, None)
    assert copy is not tiny_net
    assert all(
        torch.equal(a, b)
        for a, b in zip(copy.state_dict().values(), tiny_net.state_dict().values(), strict=True)
    )


@pytest.mark.parametrize("count", [1, 12])
def test_with_lattice_keeps_the_function_until_it_is_fitted(
    tiny_net: ReDegNetLite, picture: Tensor, count: int
) -> None:
    lattice = Lattice(tuple((0.1 + 0.02 * i, 0.05) for i in range(count)))
    fitted = with_lattice(tiny_net, lattice).eval()
    assert fitted.synnet.periodic == 2 * count
    noise = torch.randn(picture.shape, generator=torch.Generator().manual_seed(0))
    omega = torch.randn((1, 512), generator=torch.Generator().manual_seed(1))
    maps = lattice.maps(96, 128)[None]
    before = tiny_net(picture, omega, noise)
    after = fitted(picture, omega, noise, maps)
    for a, b in zip(before, after, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=0)
    # The new weights are zero, but not dead: they are the first to learn.
    after.mean.square().mean().backward()
    gradient = fitted.synnet.head.weight.grad
    assert gradient is not None
    assert gradient[:, -2 * count :].abs().max() > 0


def test_adapting_that_makes_it_worse_is_not_kept(tiny_net: ReDegNetLite) -> None:
    """The rows that are kept back say so: what is fitted on has another degradation than they."""
    region = printed_region()
    lq = region.hq.clone()
    lq[:, :, :64] = 1 - region.hq[:, :, :64]  # of rows 0 to 80 the last 16 are kept back
    adapted = adapt(
        tiny_net,
        OMEGA,
        [replace(region, lq=lq)],
        None,
        CPU,
        steps=25,
        batch=1,
        scale=1,
        learning_rate=1e-2,
    )
    assert adapted.losses[1] < adapted.losses[0]
    assert adapted.kept == 0
    assert adapted.delta == {}
    assert torch.equal(adapted.omega, OMEGA)
    state = tiny_net.state_dict()
    assert all(torch.equal(state[name], t) for name, t in adapted.net.state_dict().items())


def test_the_tone_that_the_hqs_went_through_is_kept(tiny_net: ReDegNetLite) -> None:
    curve = tuple(0.2 + 0.5 * (i - 0.5) / 6 for i in range(8))
    tone = Tone((curve, curve, curve), ((0.0,) * 3,) * 3)
    both = [
        adapt(tiny_net, OMEGA, [printed_region()], None, CPU, tone=each, steps=1, batch=1, scale=1)
        for each in (None, tone)
    ]
    assert [each.tone for each in both] == [None, tone]
    assert both[0].losses == both[1].losses


def test_the_weights_are_pulled_to_the_shared_ones(
    tiny_net: ReDegNetLite, monkeypatch: pytest.MonkeyPatch
) -> None:
    region = printed_region()
    region = FittedRegion(region.hq[..., :64, :64], region.lq[..., :64, :64], (0, 0), (0, 64))
    distances = []
    for pull in (0.0, 500.0):
        monkeypatch.setattr("redeg_cli.omega.adapt.DECAY", pull)
        delta = adapt(tiny_net, OMEGA, [region], None, CPU, steps=50, batch=1, scale=1).delta
        distances.append(sum(float(d.float().square().sum()) for d in delta.values()))
    assert 0 < distances[1] < 0.3 * distances[0]
