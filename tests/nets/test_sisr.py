"""VDSR and RCAN: their layers, what they start as, luma and RGB."""

import cv2
import numpy as np
import pytest
import torch

from redeg_cli.nets.rcan import RCAN, AttentionBlock
from redeg_cli.nets.vdsr import VDSR
from redeg_cli.nets.ycbcr import seen, to_rgb, to_ycbcr

SMALL_RCAN = {"groups": 2, "blocks": 2, "features": 8, "reduction": 2}


NETWORKS = {
    "vdsr": lambda: VDSR(3, 8),
    "vdsr-rgb": lambda: VDSR(3, 8, "rgb"),
    "rcan": lambda: RCAN(2, **SMALL_RCAN),
    "rcan-rgb": lambda: RCAN(2, colour="rgb", **SMALL_RCAN),
}


def network(name: str) -> torch.nn.Module:
    torch.manual_seed(0)
    return NETWORKS[name]()


def images_of(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


def test_ycbcr_is_opencvs_and_comes_back() -> None:
    rgb = images_of(1, 3, 9, 11)
    pixels = rgb[0].permute(1, 2, 0).numpy()
    y, cr, cb = cv2.split(cv2.cvtColor(pixels, cv2.COLOR_RGB2YCrCb))
    made = to_ycbcr(rgb)[0].numpy()
    for plane, wanted in zip(made, (y, cb - 0.5, cr - 0.5), strict=True):
        np.testing.assert_allclose(plane, wanted, atol=2e-3)  # OpenCV rounds the factors
    torch.testing.assert_close(to_rgb(to_ycbcr(rgb)), rgb, atol=1e-6, rtol=0)


def test_ycbcr_keeps_its_digits_under_autocast() -> None:
    rgb = images_of(1, 3, 9, 11)
    with torch.autocast("cpu", torch.bfloat16):
        made = to_rgb(to_ycbcr(rgb))
    torch.testing.assert_close(made, rgb, atol=1e-6, rtol=0)


def test_vdsr_has_twenty_layers() -> None:
    """The published 665 K parameters (Kim et al. 2016, with 64 features), on luma."""
    net = VDSR()
    layers = [m for m in net.modules() if isinstance(m, torch.nn.Conv2d)]
    assert len(layers) == 20
    assert 0.66e6 < sum(p.numel() for p in net.parameters()) < 0.67e6


def test_rcan_has_a_hundred_layers() -> None:
    assert RCAN(4).layers == 100
    assert RCAN(2, **SMALL_RCAN).layers == 2 * (2 * 2 + 1) + 1 + 1 + 2


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
@pytest.mark.parametrize("colour", ["y", "rgb"])
def test_a_new_vdsr_enlarges_as_opencv_does(scale: int, colour: str) -> None:
    lq = images_of(1, 3, 12, 17)
    made = VDSR(4, 8, colour)(lq, scale)[0].permute(1, 2, 0).detach().numpy()
    size = (17 * scale, 12 * scale)
    wanted = cv2.resize(lq[0].permute(1, 2, 0).numpy(), size, interpolation=cv2.INTER_CUBIC)
    np.testing.assert_allclose(made, wanted, atol=0.05)


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
@pytest.mark.parametrize("colour", ["y", "rgb"])
@pytest.mark.parametrize("size", [(1, 1), (7, 10)])
def test_rcan_takes_any_size(scale: int, colour: str, size: tuple[int, int]) -> None:
    made = RCAN(scale, colour=colour, **SMALL_RCAN)(images_of(2, 3, *size))
    assert made.shape == (2, 3, size[0] * scale, size[1] * scale)
    assert made.isfinite().all()


@pytest.mark.parametrize("name", ["vdsr", "rcan"])
@torch.no_grad()
def test_on_luma_the_chroma_is_the_enlarged_one(name: str) -> None:
    net = network(name)
    torch.nn.init.normal_((net.last if isinstance(net, VDSR) else net.tail).weight)
    lq = images_of(1, 3, 8, 9)
    made = net(lq, 2) if isinstance(net, VDSR) else net(lq)
    base = torch.nn.functional.interpolate(lq, scale_factor=2, mode="bicubic", align_corners=False)
    chroma = to_ycbcr(base)[:, 1:]
    torch.testing.assert_close(to_ycbcr(made)[:, 1:], chroma, atol=1e-5, rtol=0)
    assert float((seen(made, "y") - seen(base, "y")).abs().max()) > 0.01
    gray = seen(lq, "y").expand(-1, 3, -1, -1)
    made = net(gray, 2) if isinstance(net, VDSR) else net(gray)
    torch.testing.assert_close(made[:, :1].expand_as(made), made, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_parameter_is_trained(name: str) -> None:
    net = network(name)
    for module in net.modules():
        if isinstance(module, AttentionBlock):
            torch.nn.init.ones_(module.squeeze.bias)  # no ReLU is silent
    lq = images_of(2, 3, 8, 8)
    made = net(lq, 2) if isinstance(net, VDSR) else net(lq)
    made.square().sum().backward()
    silent = [name for name, p in net.named_parameters() if not p.grad.abs().sum() > 0]
    assert silent == []


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: RCAN(5), "scale 1, 2, 3 or 4"),
        (lambda: RCAN(features=10, reduction=4), "no multiple of reduction"),
        (lambda: VDSR(1), "at least 2 layers"),
        (lambda: VDSR(3, 8, "lab"), "'y' or 'rgb'"),
        (lambda: VDSR(3, 8, scales=(2,))(images_of(1, 3, 4, 4), 3), "the scales"),
    ],
)
def test_what_cannot_be(build, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()
