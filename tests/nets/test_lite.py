"""ReDegNet-lite: any size, what each stage guarantees, and how large it is."""

import numpy as np
import pytest
import torch

from redeg_cli.nets.dct import block_dct, inverse_block_dct
from redeg_cli.nets.degnet_lite import STEPS, DegNetLite, block_statistics
from redeg_cli.nets.lite import COLOURS, COLOURS_SIZE, PRINT, ReDegNetLite
from redeg_cli.nets.synnet_lite import KernelHead, ModulatedConv, SynNetLite, correlated

SYNNET = {"widths": [8, 8, 8], "style": 16, "kernel": 7, "grain_kernel": 5}
TINY = {"degnet": {"widths": [8, 8, 8]}, "synnet": SYNNET}


@pytest.fixture
def net() -> ReDegNetLite:
    torch.manual_seed(0)
    return ReDegNetLite(**TINY)


def noise_of(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def images_of(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def excite(module: torch.nn.Module) -> None:
    """Give a network weights as after training, where its heads start near zero."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += 0.05 * torch.randn(parameter.shape, generator=generator)


def test_the_default_network_is_small() -> None:
    count = sum(parameter.numel() for parameter in ReDegNetLite().parameters())
    assert 1.5e6 < count <= 4e6


@pytest.mark.parametrize("scale", [1, 2, 4])
@pytest.mark.parametrize("size", [(32, 32), (37, 61), (64, 40)])
def test_omega_of_any_size(net: ReDegNetLite, size: tuple[int, int], scale: int) -> None:
    omega = net.extract(images_of(2, 3, *size), images_of(2, 3, *size, seed=1), scale)
    assert omega.shape == (2, 512)
    assert omega.isfinite().all()
    assert (omega[0] - omega[1]).abs().max() > 1e-4


def test_omega_of_an_image_does_not_depend_on_the_batch(net: ReDegNetLite) -> None:
    hq, lq = images_of(3, 3, 40, 48), images_of(3, 3, 40, 48, seed=1)
    batch = net.extract(hq, lq, 2)
    for index in range(3):
        one = slice(index, index + 1)
        torch.testing.assert_close(
            net.extract(hq[one], lq[one], 2), batch[one], atol=1e-5, rtol=1e-4
        )


@pytest.mark.parametrize("size", [(4, 4), (8, 12), (36, 64)])
def test_synthesis_of_any_multiple_of_four(net: ReDegNetLite, size: tuple[int, int]) -> None:
    assert net.multiple == 4
    made = net(images_of(2, 3, *size), noise_of(2, 512), noise_of(2, 3, *size))
    assert made.mean.shape == made.grain.shape == (2, 3, *size)
    assert made.jpeg.shape == (2, 2, 3)
    assert all(part.isfinite().all() for part in made)


def test_a_new_network_starts_near_the_identity(net: ReDegNetLite) -> None:
    hq = images_of(1, 3, 32, 32)
    made = net(hq, noise_of(1, 512), noise_of(1, 3, 32, 32))
    assert (made.mean - hq).abs().mean() < 0.05


def test_every_weight_has_a_gradient(net: ReDegNetLite) -> None:
    excite(net)
    hq, lq = images_of(2, 3, 32, 32), images_of(2, 3, 32, 32, seed=1)
    made = net(hq, net.extract(hq, lq, 2), noise_of(2, 3, 32, 32))
    sum(part.square().sum() for part in made).backward()
    still = [
        name
        for name, parameter in net.named_parameters()
        if parameter.grad is None or not parameter.grad.abs().sum() > 0
    ]
    assert still == []


def test_grain_is_silent_without_noise_and_differs_with_it(net: ReDegNetLite) -> None:
    excite(net)
    hq, omega = images_of(1, 3, 32, 32), noise_of(1, 512)
    assert net(hq, omega, torch.zeros_like(hq)).grain.abs().max() == 0
    first, second = (net(hq, omega, noise_of(1, 3, 32, 32, seed=s)).grain for s in (1, 2))
    assert first.std() > 1e-3
    assert (first - second).std() > 1e-3


def test_synthesise_is_mean_and_grain_within_the_range(net: ReDegNetLite) -> None:
    excite(net)
    hq, omega, noise = images_of(1, 3, 32, 32), noise_of(1, 512), noise_of(1, 3, 32, 32)
    made = net(hq, omega, noise)
    torch.testing.assert_close(
        net.synthesise(hq, omega, noise=noise), (made.mean + made.grain).clamp(0, 1)
    )
    torch.testing.assert_close(
        net.synthesise(hq, omega), net(hq, omega, torch.zeros_like(hq)).mean.clamp(0, 1)
    )
    torch.testing.assert_close(net.jpeg_stages(omega), made.jpeg)


def test_periodic_maps_are_an_input() -> None:
    net = SynNetLite(**{**SYNNET, "periodic": 2})
    excite(net)
    hq, omega, noise = images_of(1, 3, 32, 32), noise_of(1, 512), noise_of(1, 3, 32, 32)
    maps = noise_of(1, 2, 32, 32, seed=3)
    change = net(hq, omega, noise, maps).mean - net(hq, omega, noise, -maps).mean
    assert change.abs().max() > 1e-4


@pytest.mark.parametrize("size", [3, 7])
def test_kernels_sum_to_one(size: int) -> None:
    head = KernelHead(16, size)
    excite(head)
    kernels = head.kernels(noise_of(4, 16))
    assert kernels.shape == (4, size, size)
    torch.testing.assert_close(kernels.sum((1, 2)), torch.ones(4), atol=1e-4, rtol=0)
    assert (kernels[0] - kernels[1]).abs().max() > 0.01


def test_the_kernel_head_filters_each_image_with_its_own_kernel() -> None:
    head = KernelHead(16, 5)
    excite(head)
    style, x = noise_of(2, 16), images_of(2, 3, 12, 14)
    made, kernels = head(x, style), head.kernels(style)
    wanted = torch.stack(
        [torch.nn.functional.conv2d(x[i][:, None], kernels[i][None, None])[:, 0] for i in range(2)]
    )
    torch.testing.assert_close(made[:, :, 2:-2, 2:-2], wanted, atol=1e-5, rtol=1e-4)
    assert head(x[:, :, :2, :2], style).shape == (2, 3, 2, 2)


def test_the_grain_filter_keeps_the_variance_of_white_noise() -> None:
    head = KernelHead(16, 7)
    excite(head)
    with torch.no_grad():
        head.linear.weight *= 10  # far from a single point
    style = noise_of(2, 16)
    plain, unit = (head(noise_of(2, 3, 160, 160), style, flag) for flag in (False, True))
    for image in range(2):
        assert unit[image].var().item() == pytest.approx(1, rel=0.06)
    assert abs(plain.var().item() - 1) > 0.2


def test_demodulation_forgets_the_size_of_the_style() -> None:
    layer = ModulatedConv(6, 10, 16)
    excite(layer)
    x, style = noise_of(2, 6, 16, 16), noise_of(2, 16)
    before = layer(x, style)
    with torch.no_grad():
        layer.modulation.weight *= 3
        layer.modulation.bias *= 3
    torch.testing.assert_close(layer(x, style), before, atol=1e-4, rtol=1e-4)


def test_demodulated_features_have_unit_variance() -> None:
    """Before bias and activation, for white input (StyleGAN2, eq. 3): undone here."""
    torch.manual_seed(0)
    layer = ModulatedConv(12, 16, 8)
    out = layer(noise_of(1, 12, 96, 96), noise_of(1, 8)) / 2**0.5
    linear = torch.where(out < 0, out / 0.2, out)[..., 1:-1, 1:-1]
    assert (linear.var((2, 3)) - 1).abs().max() < 0.1


def test_modulation_is_per_image() -> None:
    layer = ModulatedConv(6, 10, 16)
    excite(layer)
    x, style = noise_of(2, 6, 8, 8), noise_of(2, 16)
    torch.testing.assert_close(layer(x, style)[1:], layer(x[1:], style[1:]), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("step", [8, 20])
def test_the_combs_hear_the_quantisation_step(step: int) -> None:
    """Luma coefficients on multiples of q: the combs of q are 1, those of other steps lower."""
    luma = 60 * noise_of(1, 1, 64, 64)
    quantised = inverse_block_dct((block_dct(luma) / step).round() * step) / 255 + 0.5
    gray = quantised.expand(1, 3, 64, 64)
    combs = block_statistics(gray, gray)[0, 192:].view(len(STEPS), -1).mean(1).numpy()
    heard = combs[STEPS.index(step)]
    assert heard > 0.9
    others = [c for c, q in zip(combs, STEPS, strict=True) if step % q and q % step]
    assert max(others) < 0.6 * heard


def test_block_statistics_are_those_of_numpy() -> None:
    hq, lq = images_of(1, 3, 16, 24), images_of(1, 3, 16, 24, seed=1)
    weights = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    planes = [255 * ((x * weights).sum(1, keepdim=True) - 0.5) for x in (hq, lq)]
    a, b = (block_dct(plane).numpy().reshape(-1, 64) for plane in planes)
    made = block_statistics(hq, lq)[0].numpy()
    np.testing.assert_allclose(made[:64], np.exp(-(a**2)).mean(0), atol=1e-4)
    np.testing.assert_allclose(made[64:128], np.exp(-(b**2)).mean(0), atol=1e-4)
    ratio = np.log(np.abs(b).mean(0) + 0.1) - np.log(np.abs(a).mean(0) + 0.1)
    np.testing.assert_allclose(made[128:192], ratio / 3, atol=1e-4)


def test_degnet_takes_other_widths_and_sizes_of_omega() -> None:
    net = DegNetLite([4, 6], omega=20)
    assert net(images_of(1, 3, 33, 47), images_of(1, 3, 33, 47), 4).shape == (1, 20)


def make_room(net: ReDegNetLite) -> None:
    with torch.no_grad():
        net.synnet.style[0].weight[:, COLOURS.start :] = 0  # pyright: ignore[reportIndexIssue]


def test_a_new_network_has_no_room_in_omega(net: ReDegNetLite) -> None:
    assert not net.has_room
    make_room(net)
    assert net.has_room


def test_the_colours_of_the_grain_stand_in_omega_where_there_is_room(net: ReDegNetLite) -> None:
    excite(net)
    hq = torch.nn.functional.interpolate(images_of(2, 3, 6, 6), size=(96, 96), mode="bicubic")
    gray = noise_of(2, 1, 96, 96).repeat(1, 3, 1, 1)
    lq = hq + 0.05 * torch.stack([gray[0], noise_of(3, 96, 96, seed=1)])
    before = net.extract(hq, lq, 1)
    make_room(net)
    after = net.extract(hq, lq, 1)
    torch.testing.assert_close(after[:, : COLOURS.start], before[:, : COLOURS.start])
    told = after[:, COLOURS] / COLOURS_SIZE
    torch.testing.assert_close(told[:, 0], torch.ones(2))
    assert told[0, 1:].min() > 0.97
    assert told[1, 1:].abs().max() < 0.1
    with torch.no_grad():  # an Ω that makes no grain says nothing of its colours
        net.synnet.colour.weight.zero_()
        net.synnet.colour.bias.zero_()
    assert not net.extract(hq, lq, 1)[:, COLOURS].any()


@pytest.mark.parametrize("wanted", [(1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (0.5, 0.2, -0.3)])
def test_the_grain_gets_the_colours_that_stand_in_omega(
    net: ReDegNetLite, wanted: tuple[float, float, float]
) -> None:
    excite(net)
    make_room(net)
    omega = noise_of(1, 512)
    omega[:, COLOURS] = COLOURS_SIZE * torch.tensor([1.0, *wanted])
    flat = torch.full((1, 3, 128, 128), 0.5)
    grain = net(flat, omega, noise_of(1, 3, 128, 128)).grain
    gains = torch.corrcoef(grain[0].flatten(1).detach())
    for value, (a, b) in zip(wanted, ((0, 1), (0, 2), (1, 2)), strict=True):
        assert float(gains[a, b]) == pytest.approx(value, abs=0.05)


def test_what_omega_knows_nothing_of_keeps_its_learned_colours(net: ReDegNetLite) -> None:
    excite(net)
    make_room(net)
    omega, hq, noise = noise_of(1, 512), images_of(1, 3, 16, 16), noise_of(1, 3, 16, 16)
    omega[:, COLOURS] = 0
    first = net(hq, omega, noise).grain
    omega[:, PRINT] = 1  # nothing to SynNet
    assert torch.equal(net(hq, omega, noise).grain, first)
    style = net.synnet.style(omega)
    own = net.synnet.colour(style).view(3, 3) + 0.03 * torch.eye(3)
    shaped = net.synnet.grain_kernel(noise, style, unit_energy=True)
    wanted = torch.einsum("dc,bchw->bdhw", own, shaped)
    share = first / wanted
    torch.testing.assert_close(share[:, 0], share[:, 2], atol=1e-3, rtol=1e-3)


def test_correlations_that_cannot_be_are_brought_to_some_that_can() -> None:
    root = correlated(torch.tensor([[1.0, 1.0, -1.0], [9.0, -4.0, 0.0], [0.3, 0.3, 0.3]]))
    made = root @ root.mT
    assert made.isfinite().all()
    torch.testing.assert_close(torch.diagonal(made, dim1=1, dim2=2), torch.ones(3, 3))
    assert torch.linalg.eigvalsh(made).min() > -1e-5
    assert made[2, 0, 1] == pytest.approx(0.3, abs=1e-5)
