"""Discriminators: shapes of any size, bounds of their weights, what they cannot and can tell."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import spectral_norm

from redeg_cli.nets.degnet import LADDER, DegNet, SpectralConv
from redeg_cli.nets.discriminators import (
    OmegaDiscriminator,
    PairDiscriminator,
    PatchDiscriminator,
    UNetDiscriminator,
)


def images(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def small_omega() -> OmegaDiscriminator:
    torch.manual_seed(0)
    return OmegaDiscriminator(widths=(8, 16, 16), hidden=16)


def small_pair() -> PairDiscriminator:
    torch.manual_seed(0)
    return PairDiscriminator(widths=(8, 16), hidden=16)


@pytest.mark.parametrize("size", [(16, 16), (37, 61), (64, 40)])
def test_logits_of_odd_sizes(size: tuple[int, int]) -> None:
    a, b = images(2, 3, *size), images(2, 3, *size, seed=1)
    omega = torch.randn(2, 512)
    assert small_omega()(a, b, omega).shape == (2, 1)
    assert small_pair()(a, images(2, 3, 24, 33)).shape == (2, 1)
    assert UNetDiscriminator(4)(a).shape == (2, 1, *size)
    if min(size) >= 24:
        patches = (2, 1, size[0] // 8 - 2, size[1] // 8 - 2)
        assert PatchDiscriminator(4)(a).shape == patches
        assert PatchDiscriminator(4, spectral=False)(a).shape == patches


def test_the_default_has_the_ladder_of_degnet() -> None:
    discriminator, degnet = OmegaDiscriminator(), DegNet()
    kernels = [m.weight_orig.shape for m in discriminator.convolutions.modules() if is_conv(m)]
    assert kernels == [m.weight_orig.shape for m in degnet.modules() if is_conv(m)]
    assert len(kernels) == len(LADDER)
    assert discriminator.image.weight_orig.shape == (512, 512 * 4 * 4, 1, 1)


def is_conv(module: nn.Module) -> bool:
    return isinstance(module, SpectralConv)


def test_pooling_changes_nothing_where_the_ladder_ends_at_4_px() -> None:
    net = small_omega().eval()
    lq, hq, omega = images(1, 3, 16, 16), images(1, 3, 16, 16, seed=1), torch.randn(1, 512)
    x = net.convolutions(torch.cat([lq, hq], 1) * 2 - 1)
    assert x.shape[2:] == (4, 4)
    weight, bias = net.image.weight_orig.flatten(1), net.image.bias
    assert bias is not None
    sigma = (weight * net.image.weight_u[:, None] * net.image.weight_v).sum()
    x = torch.cat([F.linear(x.flatten(1), weight / sigma, bias), omega], 1)
    x = net.logit(net.joint(x[:, :, None, None])).flatten(1)
    torch.testing.assert_close(net(lq, hq, omega), x)


def test_omega_and_both_images_count() -> None:
    net = small_omega().eval()
    lq, hq, omega = images(1, 3, 32, 32), images(1, 3, 32, 32, seed=1), torch.randn(1, 512)
    base = net(lq, hq, omega)
    for other in ((hq, lq, omega), (lq, lq, omega), (lq, hq, -omega)):
        assert (net(*other) - base).abs().item() > 1e-4


def test_gradients_reach_the_lq_and_not_omega() -> None:
    lq, omega = images(2, 3, 20, 20).requires_grad_(), torch.randn(2, 512).requires_grad_()
    small_omega()(lq, images(2, 3, 20, 20, seed=1), omega).sum().backward()
    assert lq.grad is not None
    assert lq.grad.abs().sum() > 0
    assert omega.grad is None


def test_two_lqs_in_either_order_are_one_pair() -> None:
    net = small_pair().eval()
    a, b = images(3, 3, 40, 24), images(3, 3, 32, 32, seed=1)
    torch.testing.assert_close(net(a, b), net(b, a))
    assert (net(a, b) - net(a, a.flip(0))).abs().max() > 1e-4


@pytest.mark.parametrize(
    "net",
    [
        OmegaDiscriminator(widths=(8, 16, 16), hidden=16),
        PairDiscriminator(widths=(8, 16), hidden=16),
        UNetDiscriminator(8),
        PatchDiscriminator(8),
    ],
    ids=lambda net: type(net).__name__,
)
def test_spectral_norms_are_one(net: nn.Module) -> None:
    found = [m for m in net.modules() if isinstance(m, SpectralConv)]
    assert len(found) >= 4
    for module in found:
        torch.nn.init.normal_(module.weight_orig)
        for _ in range(150):  # power iterations, one per training step
            module._iterate()
        weight = module.weight_orig.flatten(1)
        sigma = (weight * module.weight_u[:, None] * module.weight_v).sum()
        largest = torch.linalg.matrix_norm(weight / sigma, 2).item()
        assert largest == pytest.approx(1, abs=0.03)
    copy.deepcopy(net)


def test_without_spectral_norm_there_is_instance_norm() -> None:
    modules = list(PatchDiscriminator(4, spectral=False).modules())
    assert not any(map(is_conv, modules))
    assert sum(isinstance(module, nn.InstanceNorm2d) for module in modules) == 3


def test_a_patch_is_70_pixels() -> None:
    net = PatchDiscriminator(4).eval()
    image = images(1, 3, 128, 128).requires_grad_()
    net(image)[0, 0, 7, 7].backward()
    assert image.grad is not None
    seen = image.grad.abs().sum((0, 1)) > 0
    assert seen.any(0).sum() == seen.any(1).sum() == 70


class Reference(nn.Module):
    """The U-Net of the paper's figure 6 over torch's own spectral norm, for sides that halve."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.conv0, self.conv9 = nn.Conv2d(3, n, 3, 1, 1), nn.Conv2d(n, 1, 3, 1, 1)
        for index, (before, after, kernel) in enumerate(
            [
                (n, 2 * n, 4),
                (2 * n, 4 * n, 4),
                (4 * n, 8 * n, 4),
                (8 * n, 4 * n, 3),
                (4 * n, 2 * n, 3),
                (2 * n, n, 3),
                (n, n, 3),
                (n, n, 3),
            ],
            1,
        ):
            conv = nn.Conv2d(before, after, kernel, 2 if kernel == 4 else 1, 1, bias=False)
            self.add_module(f"conv{index}", spectral_norm(conv))

    def forward(self, x: Tensor) -> Tensor:
        def layer(index: int, x: Tensor) -> Tensor:
            return F.leaky_relu(self.get_submodule(f"conv{index}")(x), 0.2)

        def up(x: Tensor) -> Tensor:
            return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)

        x0 = layer(0, x)
        x1 = layer(1, x0)
        x2 = layer(2, x1)
        x = layer(4, up(layer(3, x2))) + x2
        x = layer(5, up(x)) + x1
        x = layer(6, up(x)) + x0
        return self.conv9(layer(8, layer(7, x)))


def test_the_unet_is_that_of_real_esrgan() -> None:
    torch.manual_seed(0)
    net, reference = UNetDiscriminator(4).eval(), Reference(4).eval()
    reference.load_state_dict(net.state_dict())  # names, shapes and nothing else
    image = images(2, 3, 24, 40)
    torch.testing.assert_close(net(image), reference(image))
    assert sum(p.numel() for p in UNetDiscriminator().parameters()) == 4_376_897


@pytest.mark.parametrize("kind", [PatchDiscriminator, UNetDiscriminator])
def test_it_learns_to_tell_noise_from_flat(kind: type[nn.Module]) -> None:
    torch.manual_seed(0)
    net = kind(8)
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    flat = noisy = torch.empty(0)
    for step in range(120):
        flat = images(4, 3, 1, 1, seed=step).expand(4, 3, 24, 24)
        noisy = (flat + 0.2 * torch.randn(4, 3, 24, 24)).clamp(0, 1)
        optimizer.zero_grad()
        loss = F.relu(1 - net(flat)).mean() + F.relu(1 + net(noisy)).mean()
        loss.backward()
        optimizer.step()
    assert net(flat).mean() > net(noisy).mean() + 0.5


def test_it_learns_whether_the_noise_is_the_same() -> None:
    torch.manual_seed(0)
    net = small_pair()
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)

    def batch() -> tuple[Tensor, Tensor]:
        flat = torch.rand(8, 3, 1, 1).expand(8, 3, 16, 16)
        noisy = (flat.flip(0) + 0.2 * torch.randn(8, 3, 16, 16)).clamp(0, 1)
        noisy_too = (flat + 0.2 * torch.randn(8, 3, 16, 16)).clamp(0, 1)
        return net(noisy, noisy_too), net(flat, noisy)

    for _ in range(40):
        same, other = batch()
        optimizer.zero_grad()
        (F.softplus(-same).mean() + F.softplus(other).mean()).backward()
        optimizer.step()
    same, other = batch()
    assert same.min() > other.max()
