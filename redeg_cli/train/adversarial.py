"""Adversarial losses: a family of functions of ``(real_logits, fake_logits)``, for D and for G.

Logits may have any shape: (B, 1) of a whole image or (B, 1, H, W) of its pixels; losses are means
over all of them. The generator's side looks at the logits of real images only where the loss is
relativistic: elsewhere None does, and D need not see the real images in that step.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from redeg_cli.seeds import sample_seed
from redeg_cli.train.losses import hinge_d, hinge_g

Kind = Literal["hinge", "vanilla", "least-squares", "relativistic"]


class Adversarial(NamedTuple):
    """Both sides of one loss."""

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor | None, Tensor], Tensor]
    relativistic: bool = False
    """Whether the generator's side needs the logits of real images."""


def vanilla_d(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """−E[log σ(D(real))] − E[log(1 − σ(D(fake)))]: the cross-entropy (arXiv 1406.2661, eq. 1)."""
    return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()


def vanilla_g(_real_logits: Tensor | None, fake_logits: Tensor) -> Tensor:
    """−E[log σ(D(fake))]: the form that does not saturate (arXiv 1406.2661, section 3)."""
    return F.softplus(-fake_logits).mean()


def least_squares_d(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """½ E[(D(real) − 1)²] + ½ E[D(fake)²] (arXiv 1611.04076, eq. 9)."""
    return 0.5 * ((real_logits - 1).square().mean() + fake_logits.square().mean())


def least_squares_g(_real_logits: Tensor | None, fake_logits: Tensor) -> Tensor:
    """½ E[(D(fake) − 1)²] (arXiv 1611.04076, eq. 9)."""
    return 0.5 * (fake_logits - 1).square().mean()


def relativistic_d(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Reals are more real than the average fake, fakes less than the average real.

    −E[log σ(D(real) − E[D(fake)])] − E[log(1 − σ(D(fake) − E[D(real)]))] (ESRGAN, arXiv
    1809.00219, eq. 1).
    """
    return vanilla_d(real_logits - fake_logits.mean(), fake_logits - real_logits.mean())


def relativistic_g(real_logits: Tensor | None, fake_logits: Tensor) -> Tensor:
    """Return ``relativistic_d`` with real and fake exchanged (arXiv 1809.00219, eq. 2).

    Raises ValueError without ``real_logits``.
    """
    if real_logits is None:
        raise ValueError("the relativistic loss of the generator needs the logits of real images")
    return relativistic_d(fake_logits, real_logits)


ADVERSARIAL: dict[Kind, Adversarial] = {
    "hinge": Adversarial(hinge_d, hinge_g),
    "vanilla": Adversarial(vanilla_d, vanilla_g),
    "least-squares": Adversarial(least_squares_d, least_squares_g),
    "relativistic": Adversarial(relativistic_d, relativistic_g, relativistic=True),
}


def shifted(image: Tensor, step: int, most: int = 8) -> Tensor:
    """Return ``image`` (B, C, H, W) with a mirrored rim that moves it right and down by 0 to
    ``most`` - 1 px, depending on ``step``; its sides are ``most`` - 1 px longer.

    Else a discriminator with strides looks at the same places of the generator's grid in every
    step, and a generator that ends in a pixel shuffle learns a weave that falls between them: here
    one of 8/3 px, 7 dB above its surroundings, after 1,500 steps at strides of 8 px. Sides must be
    at least ``most`` px.
    """
    down, right = divmod(sample_seed(step, "shift") % most**2, most)
    rim = (right, most - 1 - right, down, most - 1 - down)
    return F.pad(image, rim, mode="reflect")


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Within, gradients pass through ``network`` but its parameters get none.

    For the generator's step: D tells where to go and stays as it is. Parameters that were frozen
    before stay so after.
    """
    parameters = [p for p in network.parameters() if p.requires_grad]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)
