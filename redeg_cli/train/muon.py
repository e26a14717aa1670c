"""Muon for large convolutions: momentum whose matrices are made orthogonal; Adam for all else."""

# PyTorch's own optimisers are made of torch._foreach_*.
# pyright: reportPrivateImportUsage=false

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the Newton-Schulz iteration: singular values come to 0.7 to 1.2 in ``_ITERATIONS``."""
_ITERATIONS = 5
_SIZE = 0.2
"""Root mean square of an update in units of the learning rate: that of Adam's."""
_LEAST = 32
"""Inputs and outputs that a weight must have at least: Adam takes smaller ones."""


class Muon(torch.optim.Optimizer):
    """Large weights of convolutions and linear layers by Muon, all other parameters by Adam.

    Size alone decides (``split_parameters``), not the place in the network. A weight (O, I, ...)
    counts as a matrix (O, I * ...). Its momentum M = U S V^T is replaced by about U V^T, so that a
    step moves all directions alike, also those whose gradients are small. The update is scaled to
    the size of Adam's: learning rates are Adam's.

    Sources: Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks"; the
    scale is that of Liu et al. 2025 (arXiv 2502.16982), section 2.2. torch's own Muon takes no
    convolutions.
    """

    def __init__(
        self,
        network: nn.Module,
        lr: float,
        betas: tuple[float, float] = (0.9, 0.99),
        momentum: float = 0.95,
        eps: float = 1e-8,
    ) -> None:
        """``betas`` and ``eps`` are Adam's; ``momentum`` is Muon's, Nesterov's kind."""
        inner, outer = split_parameters(network)
        groups = [
            {"params": inner, "muon": True},
            {"params": outer, "muon": False},
        ]
        defaults = {"lr": lr, "betas": betas, "momentum": momentum, "eps": eps}
        super().__init__([group for group in groups if group["params"]], defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Move the parameters that have a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            moved = [each for each in group["params"] if each.grad is not None]
            if group["muon"]:
                self._muon(moved, group)
            else:
                self._adam(moved, group)
        return loss

    def _muon(self, parameters: Sequence[Tensor], group: dict[str, Any]) -> None:
        momentum = group["momentum"]
        for each in parameters:
            if not self.state[each]:
                self.state[each]["momentum"] = torch.zeros_like(each)
        means = [self.state[each]["momentum"] for each in parameters]
        # Of all parameters at once: one by one a GPU takes longer to begin than to do it.
        gradients = _gradients(parameters)
        torch._foreach_lerp_(means, gradients, 1 - momentum)
        aheads = torch._foreach_lerp(gradients, means, momentum)
        alike: dict[torch.Size, list[tuple[Tensor, Tensor]]] = defaultdict(list)
        for each, ahead in zip(parameters, aheads, strict=True):
            matrix = ahead.flatten(1)
            alike[matrix.shape].append((each, matrix))
        # Matrices of one shape together: alone each is too small for a GPU.
        for shape, pairs in alike.items():
            updates = orthogonal(torch.stack([ahead for _, ahead in pairs]))
            size = group["lr"] * _SIZE * math.sqrt(max(shape))
            for (each, _), update in zip(pairs, updates, strict=True):
                each.sub_(update.view(each.shape), alpha=size)

    def _adam(self, parameters: Sequence[Tensor], group: dict[str, Any]) -> None:
        first, second = group["betas"]
        alike: dict[int, list[Tensor]] = defaultdict(list)  # what has a gradient now and then
        for each in parameters:
            state = self.state[each]
            if not state:
                state["step"] = 0  # no tensor: one would come back from a file on the GPU
                state["mean"], state["square"] = torch.zeros_like(each), torch.zeros_like(each)
            state["step"] = count = int(state["step"]) + 1
            alike[count].append(each)
        for count, some in alike.items():
            gradients = _gradients(some)
            means = [self.state[each]["mean"] for each in some]
            squares = [self.state[each]["square"] for each in some]
            torch._foreach_lerp_(means, gradients, 1 - first)
            torch._foreach_mul_(squares, second)
            torch._foreach_addcmul_(squares, gradients, gradients, 1 - second)
            scales = torch._foreach_div(squares, 1 - second**count)
            torch._foreach_sqrt_(scales)
            torch._foreach_add_(scales, group["eps"])
            torch._foreach_addcdiv_(some, means, scales, -group["lr"] / (1 - first**count))


def _gradients(parameters: Sequence[Tensor]) -> list[Tensor]:
    return [each.grad for each in parameters if each.grad is not None]


def split_parameters(network: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Return what Muon moves, weights with at least 32 outputs and 32 inputs, and what Adam does.

    Pictures have three channels, or some more when they are folded, and of a head each number may
    mean something of its own. A last layer with more outputs is Muon's all the same: so is that of
    ``CompactF2N`` for scale 4, whose 48 outputs are 4x4 pixels in three colours.
    """
    inner: list[nn.Parameter] = []
    outer: list[nn.Parameter] = []
    for each in network.parameters():
        inside = each.ndim >= 2 and min(each.shape[:2]) >= _LEAST
        (inner if inside else outer).append(each)
    return inner, outer


def orthogonal(matrices: Tensor) -> Tensor:
    """Return about U V^T of matrices U S V^T, (N, rows, columns), in their own precision.

    Quintic Newton-Schulz iteration, X <- (a + b G + c G^2) X with G = X X^T, in float32, since
    many CPUs are slow in bfloat16. What X is multiplied by is always a polynomial of the first G;
    these commute, so that the iteration needs squares of the smaller side alone.
    """
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.float()
    if tall:
        x = x.mT
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    a, b, c = _COEFFICIENTS
    gram = x @ x.mT
    one = torch.eye(gram.shape[1], device=x.device)
    product = one
    for turn in range(_ITERATIONS):
        step = a * one + b * gram + c * gram @ gram
        product = step @ product
        if turn < _ITERATIONS - 1:
            gram = step @ gram @ step
    x = product @ x
    return (x.mT if tall else x).to(matrices.dtype)
