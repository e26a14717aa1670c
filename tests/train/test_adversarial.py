"""Adversarial losses against closed forms, and whose parameters they move."""

import math
from typing import get_args

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from redeg_cli.nets.discriminators import OmegaDiscriminator
from redeg_cli.train.adversarial import (
    ADVERSARIAL,
    Adversarial,
    Kind,
    frozen,
    least_squares_d,
    least_squares_g,
    relativistic_d,
    relativistic_g,
    shifted,
    vanilla_d,
    vanilla_g,
)

REAL = torch.tensor([2.0, -1.0, 0.5])
FAKE = torch.tensor([-0.5, 3.0])

LOSSES = pytest.mark.parametrize("loss", ADVERSARIAL.values(), ids=ADVERSARIAL.keys())


def cross_entropy(logits: Tensor, is_real: bool) -> float:
    target = torch.full_like(logits, float(is_real))
    return F.binary_cross_entropy_with_logits(logits, target).item()


def test_every_kind_has_its_losses() -> None:
    assert set(ADVERSARIAL) == set(get_args(Kind))


def test_vanilla_is_the_cross_entropy() -> None:
    wanted = cross_entropy(REAL, True) + cross_entropy(FAKE, False)
    assert vanilla_d(REAL, FAKE).item() == pytest.approx(wanted)
    assert vanilla_g(None, FAKE).item() == pytest.approx(cross_entropy(FAKE, True))
    undecided = torch.zeros(4)
    assert vanilla_d(undecided, undecided).item() == pytest.approx(2 * math.log(2))


def test_least_squares_by_hand() -> None:
    wanted = ((1 + 4 + 0.25) / 3 + (0.25 + 9) / 2) / 2
    assert least_squares_d(REAL, FAKE).item() == pytest.approx(wanted)
    assert least_squares_g(None, FAKE).item() == pytest.approx((2.25 + 4) / 2 / 2)


def test_relativistic_compares_with_the_average_of_the_others() -> None:
    real, fake = REAL - 1.25, FAKE - 0.5  # the means of FAKE and of REAL
    wanted = cross_entropy(real, True) + cross_entropy(fake, False)
    assert relativistic_d(REAL, FAKE).item() == pytest.approx(wanted)
    wanted = cross_entropy(real, False) + cross_entropy(fake, True)
    assert relativistic_g(REAL, FAKE).item() == pytest.approx(wanted)
    # Only the difference counts.
    shifted = relativistic_d(REAL + 7, FAKE + 7).item()
    assert shifted == pytest.approx(relativistic_d(REAL, FAKE).item(), rel=1e-5)


def logits(seed: int) -> Tensor:
    """Logits of pixels within ±0.5, where least squares do not overshoot."""
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(2, 1, 3, 4, generator=generator) - 0.5).requires_grad_()


@LOSSES
def test_a_step_of_each_side_moves_the_logits_its_way(loss: Adversarial) -> None:
    real = logits(seed=0)
    fake = logits(seed=1)
    of_d = loss.discriminator(real, fake)
    assert of_d.ndim == 0
    of_real, of_fake = torch.autograd.grad(of_d, [real, fake])
    assert of_real.mean() < 0 < of_fake.mean()  # descent: reals up, fakes down
    of_g = loss.generator(real if loss.relativistic else None, fake)
    (of_fake,) = torch.autograd.grad(of_g, fake)
    assert of_fake.mean() < 0


@LOSSES
def test_only_the_relativistic_generator_looks_at_reals(loss: Adversarial) -> None:
    if loss.relativistic:
        assert loss.generator(REAL, FAKE) != loss.generator(REAL + 1, FAKE)
        with pytest.raises(ValueError, match="needs the logits of real images"):
            loss.generator(None, FAKE)
    else:
        assert loss.generator(REAL, FAKE) == loss.generator(None, FAKE)


def test_the_step_of_g_leaves_d_alone_and_that_of_d_leaves_g_alone() -> None:
    torch.manual_seed(0)
    degnet, synnet = nn.Linear(3, 6), nn.Conv2d(3, 3, 1)
    discriminator = OmegaDiscriminator(widths=(4, 8), hidden=8, omega=6)
    hq, lq = torch.rand(2, 3, 16, 16), torch.rand(2, 3, 16, 16)
    omega = degnet(lq.mean((2, 3)))
    made = synnet(hq) * omega.mean(1)[:, None, None, None]
    loss = ADVERSARIAL["hinge"]

    with frozen(discriminator):
        loss.generator(None, discriminator(made, hq, omega)).backward(retain_graph=True)
    assert all(p.grad is None for p in discriminator.parameters())
    for network in (degnet, synnet):
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())

    degnet.zero_grad(set_to_none=True)
    synnet.zero_grad(set_to_none=True)
    real, fake = discriminator(lq, hq, omega), discriminator(made.detach(), hq, omega)
    loss.discriminator(real, fake).backward()
    assert all(p.grad is not None for p in discriminator.parameters())
    # Ω is a condition only: D's step does not reach DegNet through it.
    assert all(p.grad is None for net in (degnet, synnet) for p in net.parameters())


def test_frozen_gives_back_what_it_took() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    network[0].requires_grad_(False)
    before = [p.requires_grad for p in network.parameters()]
    context = frozen(network)
    context.__enter__()
    assert not any(p.requires_grad for p in network.parameters())
    fault = RuntimeError("anything")
    assert not context.__exit__(RuntimeError, fault, None)  # a fault inside is let through
    assert [p.requires_grad for p in network.parameters()] == before


def test_images_are_shifted_by_every_offset_and_whole() -> None:
    image = torch.rand((1, 2, 9, 12), generator=torch.Generator().manual_seed(0))
    offsets = set()
    for step in range(600):
        moved = shifted(image, step)
        assert moved.shape == (1, 2, 16, 19)
        places = [(y, x) for y in range(8) for x in range(8)]
        found = [(y, x) for y, x in places if moved[..., y : y + 9, x : x + 12].equal(image)]
        assert len(found) == 1
        offsets.update(found)
    assert len(offsets) == 64
    assert shifted(image, 5).equal(shifted(image, 5))


def test_the_gradient_of_what_is_shifted_goes_back() -> None:
    image = torch.zeros((1, 1, 8, 8), requires_grad=True)
    shifted(image, 3).sum().backward()
    assert image.grad is not None
    assert image.grad.min() >= 1
