"""The face U-Net: what it starts as, its sizes, and that it sees the whole face."""

import pytest
import torch

from redeg_cli.nets.face import FaceUNet

TINY = {"widths": [4, 6, 8], "blocks": [1, 1, 1]}


def images_of(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


def test_a_new_network_changes_nothing() -> None:
    face = images_of(2, 3, 32, 48)
    assert torch.equal(FaceUNet(**TINY)(face), face)


@pytest.mark.parametrize("fold", [1, 2, 4])
def test_sizes_are_multiples_of_its_own(fold: int) -> None:
    net = FaceUNet(fold, **TINY)
    assert net.multiple == 4 * fold
    torch.nn.init.normal_(net.tail.weight)
    for rows, columns in ((1, 1), (3, 2), (5, 4)):
        face = images_of(1, 3, rows * net.multiple, columns * net.multiple)
        made = net(face)
        assert made.shape == face.shape
        assert (made - face).abs().max() > 1e-3
    with pytest.raises(RuntimeError):
        net(images_of(1, 3, net.multiple + 1, net.multiple))


def test_the_default_takes_multiples_of_sixteen() -> None:
    net = FaceUNet()
    assert net.multiple == 16
    assert sum(parameter.numel() for parameter in net.parameters()) < 8e6


def test_every_weight_has_a_gradient() -> None:
    torch.manual_seed(0)
    net = FaceUNet(**TINY)
    torch.nn.init.normal_(net.tail.weight)
    net(images_of(2, 3, 32, 32)).square().sum().backward()
    still = [n for n, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert still == []


def test_one_place_sees_far_across_the_face() -> None:
    """Through the lowest level; a plain stack of as many convolutions would see 15 pixels."""
    torch.manual_seed(0)
    net = FaceUNet(**TINY)
    torch.nn.init.normal_(net.tail.weight)
    face = images_of(1, 3, 64, 64).requires_grad_()
    net(face)[0, :, 32, 32].sum().backward()
    assert face.grad is not None
    rows = torch.nonzero(face.grad[0].abs().sum((0, 2)))
    assert rows.max() - rows.min() > 40


def test_widths_and_blocks_agree_in_number() -> None:
    with pytest.raises(ValueError, match="zip"):
        FaceUNet(widths=[4, 4], blocks=[1])
