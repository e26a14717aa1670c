"""F2N-compact: what it starts as, what it sees, how large it is."""

import cv2
import numpy as np
import pytest
import torch

from redeg_cli.nets.compact import CompactF2N


def images_of(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


def test_the_default_network_has_about_1_2_million_weights() -> None:
    count = sum(parameter.numel() for parameter in CompactF2N().parameters())
    assert 1.1e6 < count < 1.3e6


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_a_new_network_enlarges_as_opencv_does(scale: int) -> None:
    lq = images_of(1, 3, 12, 17)
    made = CompactF2N(4, 1)(lq, scale)[0].permute(1, 2, 0).detach().numpy()
    wanted = cv2.resize(
        lq[0].permute(1, 2, 0).numpy(), (17 * scale, 12 * scale), interpolation=cv2.INTER_CUBIC
    )
    np.testing.assert_allclose(made, wanted, atol=1e-4)


@pytest.mark.parametrize("size", [(1, 1), (5, 8), (31, 64)])
@pytest.mark.parametrize("scale", [1, 2, 4])
def test_any_size(scale: int, size: tuple[int, int]) -> None:
    made = CompactF2N(4, 2)(images_of(2, 3, *size), scale)
    assert made.shape == (2, 3, size[0] * scale, size[1] * scale)
    assert made.isfinite().all()


def test_scales_share_the_body_and_have_a_tail_each() -> None:
    net = CompactF2N(4, 1, [1, 4])
    assert net.scales == (1, 4)
    assert set(net.tails) == {"1", "4"}
    with pytest.raises(KeyError):
        net(images_of(1, 3, 8, 8), 2)


def test_gradients_reach_all_that_a_scale_uses() -> None:
    torch.manual_seed(0)
    net = CompactF2N(4, 2)
    for tail in net.tails.values():
        torch.nn.init.normal_(tail.weight)
    net(images_of(1, 3, 8, 8), 2).square().sum().backward()
    silent = {name for name, p in net.named_parameters() if p.grad is None}
    assert silent == {f"tails.{s}.{part}" for s in (1, 4) for part in ("weight", "bias")}
    heard = [p.grad for p in net.parameters() if p.grad is not None]
    assert all(gradient.abs().sum() > 0 for gradient in heard)


def test_a_pixel_is_seen_as_far_as_the_convolutions_reach() -> None:
    """Head, two in each block, tail: 2 + 2 * blocks pixels."""
    torch.manual_seed(0)
    net = CompactF2N(8, 3, [1])
    torch.nn.init.normal_(net.tails["1"].weight)
    lq = images_of(1, 3, 41, 41).requires_grad_()
    net(lq, 1)[0, :, 20, 20].sum().backward()
    assert lq.grad is not None
    rows, columns = torch.nonzero(lq.grad[0].abs().sum(0), as_tuple=True)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (12, 28, 12, 28)


@pytest.mark.parametrize("size", [(1, 1), (5, 8), (31, 64)])
def test_coarser_grids_take_any_size_and_start_as_nothing(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    net, lq = CompactF2N(4, 2, [2], context=(6, 8, 10)), images_of(2, 3, *size)
    torch.nn.init.normal_(net.tails["2"].weight)
    plain = CompactF2N(4, 2, [2])
    plain.load_state_dict(net.state_dict(), strict=False)
    torch.testing.assert_close(net(lq, 2), plain(lq, 2))
    assert net.context is not None
    torch.nn.init.normal_(net.context.up[0].weight)
    assert (net(lq, 2) - plain(lq, 2)).abs().max() > 1e-3


def test_coarser_grids_see_further() -> None:
    torch.manual_seed(0)
    net = CompactF2N(4, 2, [1], context=(4, 4))
    torch.nn.init.normal_(net.tails["1"].weight)
    assert net.context is not None
    torch.nn.init.normal_(net.context.up[0].weight)
    lq = images_of(1, 3, 96, 96).requires_grad_()
    net(lq, 1)[0, :, 48, 48].sum().backward()
    assert lq.grad is not None
    rows = torch.nonzero(lq.grad[0].abs().sum(0), as_tuple=True)[0]
    # Head, tail and one block after the middle: 4; the coarsest blocks alone 4 x 4 to each side.
    assert rows.max() - rows.min() > 2 * 20
