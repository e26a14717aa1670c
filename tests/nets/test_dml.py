"""DML and its rivals: what eq. 3 says, pixel by pixel, and what each of them starts as."""

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate

from redeg_cli.nets.dml import DML, DirectKPN, DirectNet, LearnedDegradation, blur_by_each
from redeg_cli.nets.ycbcr import seen

SMALL = {"widths": (4, 6)}


def images_of(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


NETWORKS = {
    "dml": lambda: DML(4, **SMALL),
    "direct-kpn": lambda: DirectKPN(**SMALL),
    "direct-net": lambda: DirectNet(**SMALL),
}


@pytest.fixture(params=NETWORKS)
def net(request: pytest.FixtureRequest) -> LearnedDegradation:
    torch.manual_seed(0)
    return NETWORKS[request.param]()


@torch.no_grad()
def trained(net: LearnedDegradation) -> LearnedDegradation:
    """Give a network weights that are far from its start."""
    torch.manual_seed(3)
    for parameter in net.parameters():
        parameter.data += 0.2 * torch.randn_like(parameter) * parameter.abs().mean().clamp(min=0.1)
    return net.eval()


@pytest.mark.parametrize("count", [4, 8, 16])
def test_kernels_start_with_sum_1_and_no_two_alike(count: int) -> None:
    net = DML(count, **SMALL)
    assert net.kernels.shape == (count, 15, 15)
    torch.testing.assert_close(net.kernels.sum((1, 2)), torch.ones(count))
    assert float(net.kernels.detach().std(0).min()) > 0


def test_a_new_network_keeps_the_brightness(net: LearnedDegradation) -> None:
    """Within a half: DML's sigmoids of 0 would make it twice, DirectKPN's kernels of 0 black."""
    flat = torch.full((1, 3, 24, 24), 0.5)
    assert 0.3 < float(net(flat).mean().detach()) < 0.75


@pytest.mark.parametrize("colour", ["y", "rgb"])
@pytest.mark.parametrize(("grid", "scale"), [("aligned", 4), ("native", 2), ("native", 3)])
def test_each_pixel_takes_its_own_kernel(colour: str, grid: str, scale: int) -> None:
    """Eqs. 2 and 3 written out for every pixel, against the network that never makes a kernel."""
    net = trained(DML(3, scale, grid, colour, kernel=5, **SMALL))
    hq = images_of(1, 3, 18, 24)
    with torch.no_grad():
        made, weights = net(hq)[0], net.weights(hq)[0]
    padded = np.pad(hq[0].numpy(), ((0, 0), (2, 2), (2, 2)), mode="edge")
    step = scale if grid == "native" else 1
    for i, y in enumerate(range(step // 2, 18, step)):
        for j, x in enumerate(range(step // 2, 24, step)):
            kernel = sum(weights[m, y, x] * net.kernels[m] for m in range(3)).detach().numpy()
            wanted = (padded[:, y : y + 5, x : x + 5] * kernel).sum((1, 2))
            np.testing.assert_allclose(made[:, i, j].numpy(), wanted, atol=1e-5)
    assert made.shape == (3, 18 // step, 24 // step)


@pytest.mark.parametrize(("grid", "scale"), [("aligned", 4), ("native", 2), ("native", 3)])
def test_the_predicted_kernel_is_the_pixels(grid: str, scale: int) -> None:
    net = trained(DirectKPN(scale, grid, kernel=5, **SMALL))
    hq = images_of(1, 3, 12, 18)
    with torch.no_grad():
        made, kernels = net(hq)[0], net.kernels_at(hq)[0]
    padded = np.pad(hq[0].numpy(), ((0, 0), (2, 2), (2, 2)), mode="edge")
    step = scale if grid == "native" else 1
    for i, y in enumerate(range(step // 2, 12, step)):
        for j, x in enumerate(range(step // 2, 18, step)):
            kernel = kernels[:, y, x].view(5, 5).numpy()
            wanted = (padded[:, y : y + 5, x : x + 5] * kernel).sum((1, 2))
            np.testing.assert_allclose(made[:, i, j].numpy(), wanted, atol=1e-5)


def test_the_luma_of_the_picture_is_what_training_compares(net: LearnedDegradation) -> None:
    """A network of the luma is trained by ``predict`` and used by a call: they must agree."""
    net, hq = trained(net), images_of(2, 3, 16, 20)
    with torch.no_grad():
        torch.testing.assert_close(
            seen(net(hq), "y"), net.predict(seen(hq, "y")), atol=2e-5, rtol=0
        )


@torch.no_grad()
def test_kernels_of_sum_1_keep_the_brightness() -> None:
    """Whatever was learned, a flat picture stays as it is; without, it does not."""
    flat = torch.rand(1, 3, 1, 1, generator=torch.Generator().manual_seed(0)).expand(1, 3, 24, 24)
    unit, free = (trained(DML(3, kernel=5, unit_sum=on, **SMALL)) for on in (True, False))
    torch.testing.assert_close(unit(flat), flat, atol=1e-5, rtol=0)
    assert float((free(flat) - flat).abs().max()) > 0.01
    hq = images_of(1, 3, 16, 16)
    torch.testing.assert_close(unit.weights(hq).sum(1), torch.ones(1, 16, 16))
    torch.testing.assert_close(unit.basis().sum((1, 2)), torch.ones(3))


def test_direct_net_on_luma_leaves_the_chroma() -> None:
    net, hq = trained(DirectNet(**SMALL)), images_of(1, 3, 16, 20)
    with torch.no_grad():
        difference = net(hq) - hq
    assert float(difference.abs().max()) > 1e-3
    torch.testing.assert_close(
        difference[:, :1].expand_as(difference), difference, atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("size", [(40, 56), (100, 131)])
def test_convolution_and_fft_are_scipys_correlation(size: tuple[int, int]) -> None:
    """Above 96 px, with gradients, the blur is done by FFT; below, and without, by convolution."""
    planes, kernels = images_of(2, 1, *size), images_of(3, 15, 15).requires_grad_()
    made = blur_by_each(planes, kernels)
    with torch.no_grad():
        plain = blur_by_each(planes, kernels)
    for n in range(2):
        for m in range(3):
            wanted = correlate(planes[n, 0].numpy(), kernels[m].detach().numpy())[7:-7, 7:-7]
            np.testing.assert_allclose(made[n, m].detach().numpy(), wanted, rtol=2e-5)
            np.testing.assert_allclose(plain[n, m].numpy(), wanted, rtol=2e-5)
    made.square().sum().backward()
    by_fft = kernels.grad
    kernels.grad = None
    torch.nn.functional.conv2d(planes, kernels[:, None]).square().sum().backward()
    torch.testing.assert_close(by_fft, kernels.grad, rtol=1e-3, atol=0)


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_a_pixel_depends_on_nothing_beyond_its_reach(levels: int) -> None:
    net = DML(2, kernel=3, widths=(4,) * levels)
    torch.manual_seed(1)
    for parameter in net.backbone.parameters():
        parameter.data = torch.rand_like(parameter)  # no ReLU is silent
    hq = images_of(1, 3, 160, 160).requires_grad_()
    net.backbone(seen(hq, "y"))[0, :, 80, 80].sum().backward()
    assert hq.grad is not None
    rows, columns = torch.nonzero(hq.grad[0].abs().sum(0), as_tuple=True)
    far = max(80 - int(rows.min()), int(rows.max()) - 80, int(columns.max()) - 80)
    assert 0.6 * net.reach < far <= net.reach


def test_every_parameter_is_trained(net: LearnedDegradation) -> None:
    net.predict(images_of(1, 1, 16, 16)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: DML(scale=5), "scale is 1, 2, 3 or 4, not 5"),
        (lambda: DML(kernel=4), "odd number of pixels"),
        (lambda: DML(count=0), "number of basis kernels"),
        (lambda: DML(grid="hr"), "'aligned' or 'native', not 'hr'"),
        (lambda: DirectNet(colour="cmyk"), "'y' or 'rgb', not 'cmyk'"),
        (lambda: DirectKPN(widths=()), "one number of channels per level"),
    ],
)
def test_what_cannot_be_built(build, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()
