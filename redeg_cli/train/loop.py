"""The training loop, the same for every network: one visible ``while``."""

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedDataParallelKwargs, InitProcessGroupKwargs, broadcast
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from redeg_cli.device import autocast_dtype, exact_float32, pick_device, place, process_count
from redeg_cli.errors import RedegError, UsageError
from redeg_cli.io.checkpoints import save_tensors
from redeg_cli.models import save_network
from redeg_cli.progress import OnProgress
from redeg_cli.train.journal import Journal
from redeg_cli.train.losses import Terms
from redeg_cli.train.muon import Muon
from redeg_cli.train.recipes import AnyRecipe, Recipe
from redeg_cli.train.schedule import rate_factor
from redeg_cli.train.state import Clock, Keeper, TrainingState
from redeg_cli.train.stopping import StopRequest

Watch = Callable[[Clock], None]
Averages = Mapping[str, nn.Module]
"""Averaged (EMA) copies of networks by the player's name."""


_WAIT = timedelta(hours=12)
"""How long a process waits for the others at most: while the first decodes a large set into its
cache, or validates. PyTorch's own 10 minutes on GPUs would end the run."""
_PLACES = {"data", "validation", "faces", "pairs", "held_out", "pool", "dml", "kernels", "noise"}
_PLACES |= {"vgg19", "alexnet", "cache", "init", "pseudo_restorer", "redegnet"}
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
    recipe: Recipe
    """Its learning rate and schedule, its betas, and the decay of its average."""
    keeps: str | None = None
    """Which submodule of its average the run is for ("" for all of it): those weights are written.
    None for what only helps to train, as a discriminator, which has no average."""
    some_unused: bool = False
    """Whether a step may leave parameters without a gradient."""

    def kept(self, averages: Averages) -> nn.Module | None:
        """Return what is written of this player, if anything."""
        return None if self.keeps is None else averages[self.name].get_submodule(self.keeps)


@dataclass(frozen=True)
class Course:
    """What a run trains, and how it is looked at."""

    players: Sequence[Player]
    validate: Callable[[Averages], dict[str, float]] | None = None
    """Returns the figures of a validation."""
    samples: Callable[[Averages], Mapping[str, Tensor]] | None = None
    """Returns pictures (3, H, W) in [0, 1] by name."""
    keeper: Keeper | None = None
    """What else the run must remember."""
    settle: Callable[[Averages], None] | None = None
    """Puts the last touch to the averages when the run is over, in every process alike."""
    close: Callable[[], None] = lambda: None
    """Ends what works for the run beside it."""


def make_accelerator(precision: str, device: str = "auto") -> Accelerator:
    """Return an Accelerator on a device (see ``pick_device``) of one process, or on one of several
    processes, which take the GPUs in their order.

    The precision ``auto`` is bfloat16 where the device has it natively. Raises UsageError.
    """
    exact_float32()
    if PartialState._shared_state and PartialState().num_processes == 1:
        # Of an earlier run in this process, which may have been on another device.
        AcceleratorState._reset_state(reset_partial_state=True)
    cpu = device != "auto" and _takes_cpu(device)
    waiting = InitProcessGroupKwargs(timeout=_WAIT)
    found = None if cpu else PartialState(**waiting.to_kwargs()).device
    mixed = "bf16" if autocast_dtype(found or "cpu", precision) == torch.bfloat16 else "no"
    # The first Accelerator of a process settles the precision of all: a later run may want another.
    AcceleratorState._reset_state()
    return Accelerator(mixed_precision=mixed, cpu=cpu, kwargs_handlers=[waiting])


def _takes_cpu(device: str) -> bool:
    """Make a device that of this process; return whether it is the CPU. Raises UsageError."""
    if process_count() == 1:
        wanted = pick_device(device)
        if wanted.type == "cuda":
            torch.cuda.set_device(wanted)
        return wanted.type == "cpu"
    if device not in ("cpu", "cuda"):
        raise UsageError(
            f"device {device!r} is one, and there are {process_count()} processes: each takes a "
            "GPU of its own, so leave --device out"
        )
    return device == "cpu"


def fit(
    course: Course,
    run: AnyRecipe,
    folder: Path,
    accelerator: Accelerator,
    *,
    progress: OnProgress | None = None,
    watch: Watch | None = None,
) -> tuple[Averages, Clock, dict[str, float]]:
    """Train the players of ``course``; return their averages, the clock and the last figures.

    The state is written to ``folder/state.pt`` every ``save_every`` steps, and at SIGINT and
    SIGTERM; it is taken up from there. A run ends before its steps are done when its validation has
    not become better for as long as ``patience``, and returns the averages that were the best.
    ``watch`` is called after each step. The first of several processes alone validates: the others
    have no figures. Raises RedegError naming the term that is not finite, and KeyboardInterrupt
    once the state of a run that was asked to stop is written.
    """
    players = course.players
    for player in players:
        if run.channels_last:
            place(player.network, accelerator.device)
        else:
            player.network.to(accelerator.device)
    optimizers = {player.name: _optimizer(player) for player in players}
    emas = {
        player.name: AveragedModel(
            player.network, multi_avg_fn=get_ema_multi_avg_fn(player.recipe.ema)
        )
        for player in players
        if player.keeps is not None
    }
    averages = {name: ema.module for name, ema in emas.items()}
    state = TrainingState(
        folder / "state.pt",
        {player.name: player.network for player in players},
        optimizers,
        emas,
        course.keeper,
        accelerator.process_index,
        accelerator.num_processes,
    )
    clock = state.load(accelerator.device)
    clock.watch(run.watched)
    # In place and after the averages were copied: names in the state stay, the averages plain.
    for player in players if run.compile else ():
        player.network.compile()
    models = [_distributed(player, accelerator) for player in players]
    turns = list(zip(players, models, map(accelerator.prepare, optimizers.values()), strict=True))

    main = accelerator.is_main_process
    started, before = time.monotonic(), clock.seconds
    figures: dict[str, float] = {}
    judged = run.patience or any(each.recipe.schedule == "plateau" for each in players)
    over = 0 < run.patience <= clock.stale
    with Journal(folder, clock.step, main) as journal, StopRequest() as stop:
        while not over and (share := clock.share(run.steps, run.minutes)) < 1:
            terms: Terms = {}
            rates: list[float] = []
            norms: list[Tensor] = []
            for player, model, optimizer in turns:
                rates.append(player.recipe.learning_rate * rate_factor(player.recipe, clock, share))
                for group in optimizer.param_groups:
                    group["lr"] = rates[-1]
                own = player.terms(model, clock.step)
                optimizer.zero_grad(set_to_none=True)
                accelerator.backward(torch.stack(list(own.values())).sum())
                norm = accelerator.clip_grad_norm_(model.parameters(), player.recipe.clip)
                assert isinstance(norm, Tensor)
                norms.append(norm)
                optimizer.step()
                for name, value in own.items():
                    # Of two networks' terms of one name the second has its player's name with it.
                    terms[f"{player.name}: {name}" if name in terms else name] = value.detach()

            # Each process has the terms of its own rows: their mean is that of the whole batch.
            values = accelerator.reduce(torch.stack([*terms.values(), *norms]), "mean")
            assert isinstance(values, Tensor)
            told = values.tolist()
            gradients = [f"gradient of {player.name}" for player in players]
            for name, value in zip([*terms, *gradients], told, strict=True):
                if not math.isfinite(value):
                    raise RedegError(
                        f"step {clock.step}: the loss term {name!r} is {value}; the last good "
                        f"state is {state.path}; a lower learning_rate usually helps"
                    )
            for name, value in zip(terms, told, strict=False):
                past = clock.smooth.get(name, float(value))
                clock.smooth[name] = 0.98 * past + 0.02 * value
            clock.step += 1
            # A plain copy at first, or the average would remember the initial weights.
            for player in players:
                if player.name in emas:
                    if clock.step < 100:
                        emas[player.name].n_averaged.zero_()
                    emas[player.name].update_parameters(player.network)

            clock.seconds = before + time.monotonic() - started
            stopping = _agree(accelerator, clock, stop)
            done = clock.share(run.steps, run.minutes) >= 1
            looked = main and (done or clock.step % run.validate_every == 0)
            if looked and course.validate and not done:
                figures = course.validate(averages)
                if judged:
                    clock.judge(figures, run.watched)
            if judged and clock.step % run.validate_every == 0 and not done:
                # The next step's rate, and whether there is one, is the same in all processes.
                stopping = _agree(accelerator, clock, stop) or stopping
                if run.patience and not clock.stale:
                    state.keep_best()
                over = 0 < run.patience <= clock.stale
                done = over
            if done:
                state.save(clock)  # before: a run that is carried on goes on from what was trained
                _finish(course, averages, state, over)
                if main and course.validate:
                    figures = course.validate(averages)
            elif stopping or clock.step % run.save_every == 0:
                state.save(clock)
            if looked and course.samples:
                for name, picture in course.samples(averages).items():
                    journal.picture(name, picture, clock.step)
            if looked or clock.step % 50 == 0:
                head = {"seconds": round(clock.seconds), "lr": rates[0]}
                journal.row(clock.step, head | clock.smooth | (figures if looked else {}))
            if stopping and not done:
                raise KeyboardInterrupt
            if watch:
                watch(clock)
            if progress:
                text = " ".join(f"{name} {value:.4f}" for name, value in clock.smooth.items())
                progress(round(1000 * clock.share(run.steps, run.minutes)), 1000, text)
            if done:
                return averages, clock, figures
    # The run was finished before, and its state holds no figures.
    _finish(course, averages, state, over)
    return averages, clock, course.validate(averages) if main and course.validate else {}


def _finish(course: Course, averages: Averages, state: TrainingState, over: bool) -> None:
    """Make of the averages what a finished run returns: the best ones of a run whose patience is
    over, with the last touch of the course."""
    if over:
        state.take_best()
    if course.settle:
        course.settle(averages)


def _optimizer(player: Player) -> torch.optim.Optimizer:
    recipe = player.recipe
    if recipe.optimizer == "muon":
        return Muon(player.network, recipe.learning_rate, recipe.betas)
    return torch.optim.Adam(
        player.network.parameters(), lr=recipe.learning_rate, betas=recipe.betas, fused=True
    )


def _distributed(player: Player, accelerator: Accelerator) -> nn.Module:
    """Return the network as its processes share it."""
    unused = DistributedDataParallelKwargs(find_unused_parameters=player.some_unused)
    accelerator.ddp_handler = unused  # pyright: ignore[reportAttributeAccessIssue]
    return accelerator.prepare(player.network)


def _agree(accelerator: Accelerator, clock: Clock, stop: StopRequest) -> bool:
    """Return whether the run is to stop; processes go by the time, the signals and the validations
    of the first."""
    if accelerator.num_processes == 1:
        return stop.wanted
    mine = [clock.seconds, float(stop.wanted), float(clock.stale), float(len(clock.streaks))]
    told = torch.tensor(mine, device=accelerator.device)
    agreed = broadcast(told)
    assert isinstance(agreed, Tensor)
    seconds, wanted, stale, streaks = agreed.tolist()
    clock.seconds = seconds
    if streaks > len(clock.streaks):
        clock.streaks.append(0)
    clock.streaks[-1] = int(stale)
    return bool(wanted)


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
