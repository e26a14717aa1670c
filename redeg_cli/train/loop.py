"""The training loop, the same for every network: one visible ``while``."""

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedDataParallelKwargs, broadcast
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from redeg_cli.device import autocast_dtype
from redeg_cli.errors import RedegError
from redeg_cli.io.checkpoints import save_tensors
from redeg_cli.models import save_network
from redeg_cli.progress import OnProgress
from redeg_cli.train.journal import Journal
from redeg_cli.train.losses import Terms
from redeg_cli.train.recipes import Recipe
from redeg_cli.train.state import Clock, Keeper, TrainingState
from redeg_cli.train.stopping import StopRequest

Watch = Callable[[Clock], None]


_PLACES = {"data", "validation", "faces", "pairs", "pool", "vgg19"}
"""Keys of recipes that name folders and files: they stay out of weights that are shared."""


@dataclass(frozen=True)
class Player:
    """A network with an optimiser of its own. The players of a run take turns within each step."""

    name: str
    network: nn.Module
    terms: Callable[[nn.Module, int], Terms]
    """Returns the weighted loss terms of one step; their sum is what is minimised. Everything
    random in it is derived from the step, so that a resumed run sees the batches it would have
    seen. It is given the network as it is distributed."""
    learning_rate: float


def make_accelerator(precision: str, cpu: bool) -> Accelerator:
    """Return an Accelerator; ``auto`` is bfloat16 where the device has it natively."""
    found = None if cpu else PartialState().device
    device = found or torch.device("cpu")
    mixed = "bf16" if autocast_dtype(device, precision) == torch.bfloat16 else "no"
    # The first Accelerator of a process settles the precision of all: a later run may want another.
    AcceleratorState._reset_state()
    # A step at one scale leaves the last layers of the others out.
    some_unused = DistributedDataParallelKwargs(find_unused_parameters=True)
    return Accelerator(mixed_precision=mixed, cpu=cpu, kwargs_handlers=[some_unused])


def fit(
    players: Sequence[Player],
    recipe: Recipe,
    folder: Path,
    accelerator: Accelerator,
    *,
    validate: Callable[[nn.Module], dict[str, float]] | None = None,
    samples: Callable[[nn.Module], torch.Tensor] | None = None,
    keeper: Keeper | None = None,
    progress: OnProgress | None = None,
    watch: Watch | None = None,
) -> tuple[nn.Module, Clock]:
    """Train the players by ``recipe``; return the first one's averaged (EMA) copy and the clock.

    ``validate`` and ``samples`` (a picture (3, H, W) in [0, 1]) are given that copy. The state is
    written to ``folder/state.pt`` every ``save_every`` steps, and at SIGINT and SIGTERM; it is
    taken up from there. A run ends before its steps are done when its validation has not become
    better for as long as the recipe's ``patience``. ``watch`` is called after each step. Raises
    RedegError naming the term that is not finite, and KeyboardInterrupt once the state of a run
    that was asked to stop is written.
    """
    for player in players:
        player.network.to(accelerator.device)
        for tensor in player.network.parameters():
            if recipe.channels_last and tensor.ndim == 4:  # modulated weights have five dimensions
                tensor.data = tensor.data.contiguous(memory_format=torch.channels_last)
    optimizers = [
        torch.optim.Adam(
            player.network.parameters(), lr=player.learning_rate, betas=recipe.betas, fused=True
        )
        for player in players
    ]
    ema = AveragedModel(players[0].network, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema))
    state = TrainingState(
        folder / "state.pt",
        {player.name: player.network for player in players},
        {player.name: each for player, each in zip(players, optimizers, strict=True)},
        ema,
        keeper,
        accelerator.process_index,
        accelerator.num_processes,
    )
    clock = state.load(accelerator.device)
    # In place and after the average was copied: names in the state stay, the average stays plain.
    for player in players if recipe.compile else ():
        player.network.compile()
    models = [accelerator.prepare(player.network) for player in players]
    turns = list(zip(players, models, map(accelerator.prepare, optimizers), strict=True))

    main = accelerator.is_main_process
    started, before = time.monotonic(), clock.seconds
    over = 0 < recipe.patience <= clock.stale
    with Journal(folder, clock.step, main) as journal, StopRequest() as stop:
        while not over and (share := clock.share(recipe.steps, recipe.minutes)) < 1:
            # Learning rate: linear warm-up, then half a cosine down to 1 %, or none.
            part = min(1.0, (clock.step + 1) / max(1, recipe.warm_up))
            if recipe.schedule == "cosine":
                part *= 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * share))
            terms: Terms = {}
            for player, model, optimizer in turns:
                for group in optimizer.param_groups:
                    group["lr"] = player.learning_rate * part
                own = player.terms(model, clock.step)
                optimizer.zero_grad(set_to_none=True)
                accelerator.backward(torch.stack(list(own.values())).sum())
                accelerator.clip_grad_norm_(model.parameters(), recipe.clip)
                optimizer.step()
                terms |= {name: value.detach() for name, value in own.items()}

            # Each process has the terms of its own rows: their mean is that of the whole batch.
            values = accelerator.reduce(torch.stack(list(terms.values())), "mean")
            assert isinstance(values, torch.Tensor)
            for name, value in zip(terms, values.tolist(), strict=True):
                if not math.isfinite(value):
                    raise RedegError(
                        f"step {clock.step}: the loss term {name!r} is {value}; the last good "
                        f"state is {state.path}; a lower learning_rate usually helps"
                    )
                past = clock.smooth.get(name, float(value))
                clock.smooth[name] = 0.98 * past + 0.02 * value
            clock.step += 1
            # A plain copy at first, or the average would remember the initial weights.
            if clock.step < 100:
                ema.n_averaged.zero_()
            ema.update_parameters(players[0].network)

            clock.seconds = before + time.monotonic() - started
            stopping = _agree(accelerator, clock, stop)
            over = 0 < recipe.patience <= clock.stale
            done = over or clock.share(recipe.steps, recipe.minutes) >= 1
            figures: dict[str, float] = {}
            if main and validate and (done or clock.step % recipe.validate_every == 0):
                figures = validate(ema.module)
                if recipe.patience and not done:
                    clock.judge(figures, recipe.watched)
                if samples:
                    journal.picture("samples", samples(ema.module), clock.step)
            if done or figures or clock.step % 50 == 0:
                rate = players[0].learning_rate * part
                head = {"seconds": round(clock.seconds), "lr": rate}
                journal.row(clock.step, head | clock.smooth | figures)
            if done or stopping or clock.step % recipe.save_every == 0:
                state.save(clock)
            if stopping and not done:
                raise KeyboardInterrupt
            if watch:
                watch(clock)
            if progress:
                text = " ".join(f"{name} {value:.4f}" for name, value in clock.smooth.items())
                progress(round(1000 * clock.share(recipe.steps, recipe.minutes)), 1000, text)
    return ema.module, clock


def _agree(accelerator: Accelerator, clock: Clock, stop: StopRequest) -> bool:
    """Return whether the run is to stop; processes go by the time, the signals and the validations
    of the first."""
    if accelerator.num_processes == 1:
        return stop.wanted
    mine = [clock.seconds, float(stop.wanted), float(clock.stale)]
    told = torch.tensor(mine, device=accelerator.device)
    agreed = broadcast(told)
    assert isinstance(agreed, torch.Tensor)
    clock.seconds, clock.stale = float(agreed[0]), int(agreed[2])
    return bool(agreed[1])


def save_trained(
    network: nn.Module,
    recipe: Recipe,
    folder: Path,
    clock: Clock,
    figures: dict[str, float],
) -> Path:
    """Write the weights in float16 with the recipe, the time and the figures; return the file.

    Of several processes the first one writes, and all wait for it.
    """
    path = folder / f"{recipe.name}.safetensors"
    notes = {
        "recipe": recipe.model_dump_json(exclude=_PLACES),
        "steps": str(clock.step),
        "minutes": f"{clock.seconds / 60:.1f}",
        "figures": json.dumps(figures),
    }
    tensors = network.state_dict()
    processes = PartialState()
    if processes.is_main_process and recipe.architecture == "spandrel":
        # Without an architecture of redeg's, it is recognised by its layout again.
        plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        save_tensors(path, plain, notes, half=True)
    elif processes.is_main_process:
        save_network(path, recipe.architecture, recipe.config, tensors, notes=notes, half=True)
    processes.wait_for_everyone()
    return path
