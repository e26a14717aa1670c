"""Fine-tune a restorer on LQ images that a degrader makes, with classical ones mixed in."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from redeg_cli.degrade.base import Degrader
from redeg_cli.degrade.chain import load_degrader
from redeg_cli.device import autocast, memory_format, place
from redeg_cli.nets.wrap import Restorer
from redeg_cli.progress import OnProgress, no_progress
from redeg_cli.seeds import numpy_generator, sample_seed
from redeg_cli.train.data import ImageStore
from redeg_cli.train.muon import Muon

State = dict[str, Tensor]

BATCH = 8
EMA = 0.98
"""Decay of the average of the weights, which is what is kept."""


def copy_state(network: nn.Module) -> State:
    """Return a copy of a network's weights."""
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}


@dataclass
class Tuning:
    """A fine-tuning under way: it can be run in several stretches."""

    restorer: Restorer
    degrader: Degrader
    store: ImageStore
    state: State
    """The restorer's weights, as far as this tuning has brought them: their average."""
    total: int
    """Steps of the whole schedule."""
    crop: int = 48
    learning_rate: float = 1e-3
    """Of Muon: 200 of its steps bring the photo in examples/ as far as 400 of Adam's at 3e-4."""
    general_share: float = 0.25
    """Part of a batch with mild classical degradations, rounded to whole rows of 8."""
    seed: int = 0
    done: int = 0
    losses: list[float] = field(default_factory=list)
    """Of each step."""
    optimizer_state: Mapping[str, object] | None = None
    weights: State | None = None
    """The weights behind the average."""

    def run(self, steps: int, device: torch.device, on_progress: OnProgress | None = None) -> None:
        """Train for ``steps`` more steps; the weights stay in the restorer and in ``state``.

        L1 on native crops of ``crop`` px. The learning rate falls along a half cosine over
        ``total`` steps.
        """
        on_progress = on_progress or no_progress
        network = self.restorer.network
        network.load_state_dict(self.state if self.weights is None else self.weights)
        # The average moves in place: what was handed out before this stretch stays as it is.
        self.state = {name: tensor.clone() for name, tensor in self.state.items()}
        place(network, device)
        self.restorer.train()
        optimizer = Muon(network, self.learning_rate)
        if self.optimizer_state is not None:
            optimizer.load_state_dict(dict(self.optimizer_state))
        for index in range(steps):
            share = self.done / max(1, self.total)
            warm = min(1.0, (self.done + 1) / 20)
            for group in optimizer.param_groups:
                group["lr"] = (
                    self.learning_rate
                    * warm
                    * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * share)))
                )
            lq, hq = self.batch(self.done, device)
            with autocast(device):
                restored = self.restorer.differentiable(
                    lq.contiguous(memory_format=memory_format(device))
                )
            loss = (restored.float() - hq).abs().mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            self.losses.append(float(loss.detach()))
            self.done += 1
            self._average(network)
            on_progress(index + 1, steps)
        self.weights = copy_state(network)
        self.optimizer_state = optimizer.state_dict()
        network.load_state_dict(self.state)
        self.restorer.train(False)

    @torch.no_grad()
    def _average(self, network: nn.Module) -> None:
        """Take the step into the average, which forgets the first weights soon."""
        if self.done == 1:
            self.state = copy_state(network)
            return
        decay = min(EMA, self.done / (self.done + 10))
        now = network.state_dict()
        moving = [name for name, kept in self.state.items() if kept.is_floating_point()]
        torch._foreach_lerp_(  # pyright: ignore[reportPrivateImportUsage]
            [self.state[name] for name in moving],
            [now[name].to(self.state[name].dtype) for name in moving],
            1 - decay,
        )
        for name in self.state.keys() - set(moving):  # indices of windows, counts of batches
            self.state[name].copy_(now[name])

    @property
    def own_rows(self) -> int:
        """How many rows of a batch, the first ones, have the photo's degradation."""
        return BATCH - round(BATCH * self.general_share)

    def unseen(self, count: int, device: torch.device) -> list[tuple[Tensor, Tensor]]:
        """Return ``count`` batches with the photo's degradation that no step was made on."""
        batches = [self.batch(self.total + index, device) for index in range(count)]
        return [(lq[: self.own_rows], hq[: self.own_rows]) for lq, hq in batches]

    def batch(self, step: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """Return native LQ (B, 3, crop, crop) and HQ of one step, both decided by the seed."""
        scale, synthetic = self.restorer.scale, self.own_rows
        seeds = [sample_seed(self.seed, f"finetune/{step}", i) for i in range(BATCH)]
        hq = torch.stack(
            [self.store.crop(seed, self.crop * scale, (0.4, 1.0)) for seed in seeds]
        ).to(device)
        turn = int(numpy_generator(sample_seed(seeds[0], "turn")).integers(4))
        hq = hq.rot90(turn, (2, 3)).contiguous()
        degraders: tuple[tuple[Degrader, slice], ...] = (
            (self.degrader, slice(0, synthetic)),
            (load_degrader("mild", scale), slice(synthetic, BATCH)),
        )
        parts = [
            degrader.apply(hq[rows], [degrader.draw(seed) for seed in seeds[rows]])
            for degrader, rows in degraders
            if seeds[rows]
        ]
        return (torch.cat(parts) * 255).round() / 255, hq
