"""The training loop, the same for every network: one visible ``while``."""

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, PartialState
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from redeg_cli.device import autocast_dtype
from redeg_cli.errors import RedegError
from redeg_cli.io.files import atomic_path
from redeg_cli.models import save_network
from redeg_cli.progress import OnProgress
from redeg_cli.train.recipes import ReDegNetRecipe, RestorerRecipe

Terms = dict[str, torch.Tensor]
"""Weighted loss terms by name; their sum is what is minimised."""


@dataclass
class Clock:
    """How far a run is: steps done and seconds spent, earlier sittings included."""

    step: int = 0
    seconds: float = 0.0

    def share(self, steps: int, minutes: float | None) -> float:
        """Return the part of the run that is done, in [0, 1], by steps or time, whichever leads."""
        by_time = self.seconds / (60 * minutes) if minutes else 0.0
        return min(1.0, max(self.step / steps, by_time))


def make_accelerator(precision: str, cpu: bool) -> Accelerator:
    """Return an Accelerator; ``auto`` is bfloat16 where the device has it natively."""
    found = None if cpu else PartialState().device
    device = found or torch.device("cpu")
    mixed = "bf16" if autocast_dtype(device, precision) == torch.bfloat16 else "no"
    # The first Accelerator of a process settles the precision of all: a later run may want another.
    AcceleratorState._reset_state()
    return Accelerator(mixed_precision=mixed, cpu=cpu)


def fit(
    network: nn.Module,
    loss_terms: Callable[[nn.Module, int], Terms],
    recipe: RestorerRecipe | ReDegNetRecipe,
    folder: Path,
    accelerator: Accelerator,
    validate: Callable[[nn.Module], dict[str, float]] | None = None,
    progress: OnProgress | None = None,
) -> tuple[nn.Module, Clock]:
    """Train ``network`` by ``recipe`` and return its averaged (EMA) copy and the clock.

    ``loss_terms(network, step)`` returns the weighted terms of one batch; everything random in it
    is derived from the step, so a resumed run sees the batches it would have seen. The state is
    written to ``folder/state.pt`` every ``save_every`` steps and resumed from there. Raises
    RedegError naming the term that is not finite.
    """
    network = network.to(accelerator.device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    optimizer = torch.optim.Adam(
        network.parameters(), lr=recipe.learning_rate, betas=recipe.betas, fused=True
    )
    ema = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema))
    clock = Clock()
    state_path = folder / "state.pt"
    if state_path.exists():
        state = torch.load(state_path, map_location=accelerator.device, weights_only=True)
        network.load_state_dict(state["network"])
        ema.load_state_dict(state["ema"])
        optimizer.load_state_dict(state["optimizer"])
        clock = Clock(state["step"], state["seconds"])
    model, optimizer = accelerator.prepare(network, optimizer)

    log_path = folder / "log.jsonl"
    smooth: dict[str, float] = {}
    started, before = time.monotonic(), clock.seconds
    while (share := clock.share(recipe.steps, recipe.minutes)) < 1:
        # Learning rate: linear warm-up, then half a cosine down to 1 %.
        warm = min(1.0, (clock.step + 1) / max(1, recipe.warm_up))
        rate = recipe.learning_rate * warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * share)))
        for group in optimizer.param_groups:
            group["lr"] = rate

        terms = loss_terms(model, clock.step)
        for name, value in terms.items():
            if not torch.isfinite(value):
                raise RedegError(
                    f"step {clock.step}: the loss term {name!r} is {value.item()}; the last good "
                    f"state is {state_path}; a lower learning_rate usually helps"
                )
        total = torch.stack(list(terms.values())).sum()
        optimizer.zero_grad(set_to_none=True)
        accelerator.backward(total)
        accelerator.clip_grad_norm_(model.parameters(), recipe.clip)
        optimizer.step()
        clock.step += 1
        # A plain copy at first, or the average would remember the initial weights.
        if clock.step < 100:
            ema.n_averaged.zero_()
        ema.update_parameters(accelerator.unwrap_model(model))

        for name, value in terms.items():
            smooth[name] = 0.98 * smooth.get(name, value.item()) + 0.02 * value.item()
        clock.seconds = before + time.monotonic() - started
        done = clock.share(recipe.steps, recipe.minutes) >= 1
        row: dict[str, float] = {}
        if validate and (done or clock.step % recipe.validate_every == 0):
            row = validate(ema.module)
        if done or row or clock.step % 50 == 0:
            row = {"step": clock.step, "seconds": round(clock.seconds), "lr": rate, **smooth, **row}
            with log_path.open("a", encoding="utf-8") as log:
                log.write(json.dumps({k: float(f"{v:.6g}") for k, v in row.items()}) + "\n")
        if accelerator.is_main_process and (done or clock.step % recipe.save_every == 0):
            _save_state(state_path, accelerator.unwrap_model(model), ema, optimizer, clock)
        if progress:
            text = " ".join(f"{name} {value:.4f}" for name, value in smooth.items())
            progress(round(1000 * clock.share(recipe.steps, recipe.minutes)), 1000, text)
    return ema.module, clock


def save_trained(
    network: nn.Module,
    recipe: RestorerRecipe | ReDegNetRecipe,
    folder: Path,
    clock: Clock,
    figures: dict[str, float],
) -> Path:
    """Write the weights in float16 with the recipe, the time and the figures; return the file."""
    path = folder / f"{recipe.name}.safetensors"
    notes = {
        "recipe": recipe.model_dump_json(exclude={"data", "validation"}),
        "steps": str(clock.step),
        "minutes": f"{clock.seconds / 60:.1f}",
        "figures": json.dumps(figures),
    }
    tensors = network.state_dict()
    save_network(path, recipe.architecture, recipe.config, tensors, notes=notes, half=True)
    return path


def _save_state(
    path: Path,
    network: nn.Module,
    ema: nn.Module,
    optimizer: torch.optim.Optimizer,
    clock: Clock,
) -> None:
    with atomic_path(path) as temporary:
        torch.save(
            {
                "network": network.state_dict(),
                "ema": ema.state_dict(),
                "optimizer": optimizer.state_dict(),
                "step": clock.step,
                "seconds": clock.seconds,
            },
            temporary,
        )
