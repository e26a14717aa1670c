"""SynNet adapted to one photo: weights and a lattice fitted on its own face pairs.

A face region gives thousands of pixel pairs of exactly the degradation that is wanted, so what
the training set never held (a print screen, a woven paper, stripes) can be fitted before
synthesis.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from redeg_cli.device import autocast, place
from redeg_cli.nets.lite import ReDegNetLite
from redeg_cli.omega.fitted import FittedRegion, draw_crops, keep_back
from redeg_cli.omega.lattice import Lattice
from redeg_cli.omega.statistics import grain_distance
from redeg_cli.omega.synthesis import noise_like
from redeg_cli.omega.tone import Tone
from redeg_cli.progress import OnProgress, no_progress
from redeg_cli.seeds import sample_seed

EVERY = 25
"""Steps between two checks."""
DECAY = 2.0
"""Pull of the weights towards those of the shared network (L2-SP, Li et al. 2018): each step takes
``DECAY`` times the learning rate off the difference."""
AVERAGE = 0.96
"""Decay of the running average of the weights, which is what is checked and kept."""


@dataclass(frozen=True)
class Adapted:
    """A SynNet fitted to one photo."""

    net: ReDegNetLite
    omega: Tensor
    """(1, 512), as it was given."""
    lattice: Lattice | None
    losses: tuple[float, float]
    """The mean L1 over the first and over the last tenth of the steps."""
    tone: Tone | None = None
    """What HQ images go through before the network."""
    kept: int = 0
    """The step whose weights are kept, 0 for those that were given: adapting made them worse."""
    delta: Mapping[str, Tensor] = field(default_factory=dict)
    """By parameter, what ``net`` has more than the network that was given (``with_lattice``),
    float16: adding it there gives ``net`` bit for bit (``with_delta``)."""


def with_lattice(net: ReDegNetLite, lattice: Lattice | None) -> ReDegNetLite:
    """Return a copy of the network that takes the lattice's maps, whose weights start at zero."""
    fitted = copy.deepcopy(net)
    if lattice is None:
        return fitted
    head = fitted.synnet.head
    count = 2 * len(lattice.frequencies)
    outputs, _, k, _ = head.weight.shape
    fresh = head.weight.new_zeros((outputs, count, k, k))
    head.weight = nn.Parameter(torch.cat([head.weight.detach(), fresh], 1))
    modulation = nn.Linear(head.modulation.in_features, head.weight.shape[1])
    with torch.no_grad():
        nn.init.zeros_(modulation.weight)
        nn.init.ones_(modulation.bias)
        known = head.modulation.weight.shape[0]
        modulation.weight[:known] = head.modulation.weight
        modulation.bias[:known] = head.modulation.bias
    head.modulation = modulation.to(head.weight.device)
    fitted.synnet.periodic = count
    return fitted


def with_delta(net: ReDegNetLite, delta: Mapping[str, Tensor]) -> ReDegNetLite:
    """Add differences to the parameters of a network, and return it.

    Raises ValueError for one that has no place in it or has another shape.
    """
    parameters = dict(net.named_parameters())
    for name, difference in delta.items():
        if name not in parameters or parameters[name].shape != difference.shape:
            raise ValueError(f"{name} {list(difference.shape)} has no place in the network")
        with torch.no_grad():
            parameters[name].add_(difference.to(parameters[name]))
    return net


def fitted_names(net: ReDegNetLite) -> list[str]:
    """Return the parameters that adapting changes: the U-Net's convolutions, the grain's biases.

    Ω and what it is turned into stay, so that blur and tone remain what DegNet says of them. A
    restored face is softer than what is synthesised from: a SynNet free to explain that unlearns
    blur. Distance of the radial spectra on other images after 150 steps, everything fitted against
    this (Ω alone in brackets), with the embedded face restorer's HQ: newsprint 3.6 and 1.8 dB
    (4.9), re-photographed screen 9.0 and 3.6 (3.7), video tape 5.6 and 1.2 (1.3). With the sharp
    original: 1.6 and 1.9 (3.8), 0.7 and 0.7 (1.5), 2.8 and 4.2 (7.6).
    """
    frozen = tuple(f"synnet.{part}." for part in ("style", "kernel", "tone", "jpeg"))
    return [
        name
        for name, parameter in net.named_parameters()
        # What turns Ω into gains are the matrices; for one Ω their biases say as much.
        if name.startswith("synnet.") and not name.startswith(frozen) and parameter.ndim != 2
    ]


def adapt(
    net: ReDegNetLite,
    omega: Tensor,
    regions: Sequence[FittedRegion],
    lattice: Lattice | None,
    device: torch.device,
    *,
    scale: int,
    tone: Tone | None = None,
    steps: int = 250,
    batch: int = 4,
    learning_rate: float = 1e-3,
    seed: int = 0,
    on_progress: OnProgress | None = None,
) -> Adapted:
    """Fit SynNet under one Ω (1, 512) to the regions of one photo, on a ``scale`` times finer grid.

    Loss: L1 of the predicted mean, and the distance of the statistics of the grain from those of
    what the mean leaves over, in the smoother half of each crop (where the restored face misses
    texture, the rest is not grain). With a ``lattice`` (see ``find_common_lattice``) its maps
    become further inputs. HQs went through ``tone`` and, of a print, through that, as those behind
    ``omega`` did. The last rows of what may be fitted on are kept back: the average of the
    weights that suits them best is returned, be it the one before the first step.
    """
    on_progress = on_progress or no_progress
    regions, checked = keep_back(regions)
    fitted = place(with_lattice(net, lattice), device).train()
    fitted.requires_grad_(False)
    named = dict(fitted.named_parameters())
    state = {name: named[name].requires_grad_(True) for name in fitted_names(fitted)}
    omega = omega.to(device)
    start = {name: value.detach().clone() for name, value in state.items()}
    average = {name: value.detach().clone() for name, value in state.items()}
    best, kept = start, 0
    best_loss = _check(fitted, omega, state, start, checked, lattice, device, scale)
    optimizer = torch.optim.Adam(state.values(), lr=learning_rate, betas=(0.9, 0.99))
    curve: list[float] = []
    for step in range(steps):
        rate = learning_rate * min(1.0, (step + 1) / 20) * (1 - 0.95 * step / steps)
        for group in optimizer.param_groups:
            group["lr"] = rate
        key = sample_seed(seed, "adapt", step)
        hq, lq, periodic = draw_crops(regions, lattice, batch, key)
        loss, distance = _loss(fitted, omega, hq, lq, periodic, key, device, scale)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(state.values(), 1.0)
        optimizer.step()
        with torch.no_grad():
            decay = min(AVERAGE, (1 + step) / (10 + step))
            for name, value in state.items():
                value.lerp_(start[name], min(1.0, DECAY * rate))
                average[name].lerp_(value, 1 - decay)
        curve.append(float(distance))
        if (step + 1) % EVERY == 0 or step + 1 == steps:
            now = _check(fitted, omega, state, average, checked, lattice, device, scale)
            if now < best_loss or not checked:
                best = {name: value.clone() for name, value in average.items()}
                best_loss, kept = now, step + 1
        on_progress(step + 1, steps, f"L1 {np.mean(curve[-20:]):.4f}")
    delta = {name: (best[name] - start[name]).half().cpu().contiguous() for name in best if kept}
    _set(state, start)
    tenth = max(1, steps // 10)
    return Adapted(
        with_delta(fitted.requires_grad_(False), delta).eval(),
        omega.cpu(),
        lattice,
        (float(np.mean(curve[:tenth])), float(np.mean(curve[-tenth:]))),
        tone,
        kept,
        delta,
    )


def _loss(
    net: ReDegNetLite,
    omega: Tensor,
    hq: Tensor,
    lq: Tensor,
    periodic: Tensor | None,
    seed: int,
    device: torch.device,
    scale: int,
) -> tuple[Tensor, Tensor]:
    """Return the loss of a batch and the L1 of its mean."""
    noise = noise_like(hq, seed, scale).to(device)
    hq, lq = hq.to(device), lq.to(device)
    periodic = None if periodic is None else periodic.to(device)
    with autocast(device):
        made = net(hq, omega.expand(len(hq), -1), noise, periodic)
    distance = (made.mean - lq).abs().mean()
    flat = _flat_half(hq)
    rest = (lq - made.mean.detach()) * flat
    return distance + 0.1 * grain_distance(made.grain * flat, rest), distance.detach()


@torch.no_grad()
def _check(
    net: ReDegNetLite,
    omega: Tensor,
    state: Mapping[str, Tensor],
    weights: Mapping[str, Tensor],
    checked: Sequence[FittedRegion],
    lattice: Lattice | None,
    device: torch.device,
    scale: int,
) -> float:
    """Return the loss with other weights on the rows kept back; the weights stay as they are."""
    before = {name: value.clone() for name, value in state.items()}
    _set(state, weights)
    total, count = 0.0, 0
    for index, region in enumerate(checked):
        hq, lq = region.hq, region.lq
        maps = None
        if lattice is not None:
            maps = lattice.maps(hq.shape[2], hq.shape[3], region.origin)[None]
        loss, _ = _loss(net, omega, hq, lq, maps, index, device, scale)
        total += float(loss) * hq[0, 0].numel()
        count += hq[0, 0].numel()
    _set(state, before)
    return total / max(1, count)


@torch.no_grad()
def _set(state: Mapping[str, Tensor], values: Mapping[str, Tensor]) -> None:
    for name, value in state.items():
        value.copy_(values[name])


def _flat_half(hq: Tensor) -> Tensor:
    """Return a mask (B, 1, H, W): 1 where the HQ varies less than its own median."""
    luma = hq.mean(1, keepdim=True)
    variance = F.avg_pool2d(luma.square(), 9, 1, 4) - F.avg_pool2d(luma, 9, 1, 4).square()
    median = variance.flatten(1).median(1).values[:, None, None, None]
    return (variance <= median).float()
