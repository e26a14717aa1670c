"""The state of a training run: all that its next step depends on, in one file."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Protocol

import torch
from accelerate.utils import gather_object
from torch import nn

from redeg_cli.errors import OutputError, RecipeError
from redeg_cli.io.files import atomic_path, remove_leftovers
from redeg_cli.validation import did_you_mean


@dataclass
class Clock:
    """How far a run is: steps done, seconds spent (earlier sittings included), smoothed losses,
    and how its validations went."""

    step: int = 0
    seconds: float = 0.0
    smooth: dict[str, float] = field(default_factory=dict)
    best: float | None = None
    streaks: list[int] = field(default_factory=lambda: [0])
    """How many validations in a row were no better, after the start and after each best one."""
    watched: str = ""
    """The figure that they were judged by."""

    def watch(self, figure: str) -> None:
        """Judge validations by a figure from now on; if it is another one, there is no best yet."""
        if self.watched not in ("", figure):
            self.best, self.streaks = None, [0]
        self.watched = figure

    @property
    def stale(self) -> int:
        """Validations since the best one."""
        return self.streaks[-1]

    def judge(self, figures: Mapping[str, float], watched: str) -> None:
        """Note whether the watched figure is the best so far. Raises RecipeError without it."""
        if watched not in figures:
            raise RecipeError(
                f"the validation has no figure {watched!r} to be patient with"
                f"{did_you_mean(watched, figures)}: watch one of {', '.join(figures) or 'none'}"
            )
        better = self.best is None or figures[watched] > self.best
        if better:
            self.best = figures[watched]
            self.streaks.append(0)
        else:
            self.streaks[-1] += 1

    def share(self, steps: int, minutes: float | None) -> float:
        """Return the part of the run that is done, in [0, 1], by steps or time, whichever leads."""
        by_time = self.seconds / (60 * minutes) if minutes else 0.0
        return min(1.0, max(self.step / steps, by_time))


class Keeper(Protocol):
    """What else a run must remember, such as a queue of pairs."""

    def state_dict(self) -> dict[str, Any]:
        """Return tensors and plain values."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what ``state_dict`` returned."""
        ...


@dataclass(frozen=True)
class TrainingState:
    """Networks, optimisers and averages by name, and the file that keeps them."""

    path: Path
    networks: Mapping[str, nn.Module]
    optimizers: Mapping[str, torch.optim.Optimizer]
    averages: Mapping[str, nn.Module]
    keeper: Keeper | None = None
    process: int = 0
    processes: int = 1
    best: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The averages at the best validation so far, by name; empty without ``keep_best``."""

    def keep_best(self) -> None:
        """Remember the averages as they are now."""
        for name, average in self.averages.items():
            own = average.state_dict()
            self.best[name] = {key: tensor.clone() for key, tensor in own.items()}

    def take_best(self) -> None:
        """Give the averages what was remembered of them, if anything was."""
        for name, tensors in self.best.items():
            self.averages[name].load_state_dict(tensors)

    def save(self, clock: Clock) -> None:
        """Write the file, whole or not at all. Raises OutputError, for a full disk too.

        Every process calls it, since each has a keeper of its own; the first one writes.
        """
        keepers = [self.keeper.state_dict() if self.keeper else {}]
        if self.processes > 1:
            keepers = gather_object(keepers)
        if self.process:
            return
        state = {
            "networks": {name: each.state_dict() for name, each in self.networks.items()},
            "optimizers": {name: each.state_dict() for name, each in self.optimizers.items()},
            "averages": {name: each.state_dict() for name, each in self.averages.items()},
            "keepers": keepers,
            "step": clock.step,
            "seconds": clock.seconds,
            "smooth": clock.smooth,
            "best": clock.best,
            "streaks": clock.streaks,
            "watched": clock.watched,
            "best_averages": self.best,
        }
        with atomic_path(self.path) as temporary:
            try:
                torch.save(state, temporary)
            except RuntimeError as error:
                # What torch's own writer, not the system, says of a disk that is full.
                if "iostream error" in str(error) or "unexpected pos" in str(error):
                    raise OutputError(f"cannot write {self.path}: is the disk full?") from error
                raise

    def load(self, device: torch.device) -> Clock:
        """Take up what the file holds, if there is one; return how far the run is.

        Raises RecipeError for a damaged file and one that holds code, for the state of other
        networks, and for that of another number of processes where each remembers something.
        """
        remove_leftovers(self.path)
        if not self.path.exists():
            return Clock()
        found = _read(self.path, device)
        if set(found.get("networks", ())) != set(self.networks) or "averages" not in found:
            raise RecipeError(
                f"{self.path} is the state of another kind of run: give another folder with -o, "
                "or remove it"
            )
        keepers = found.get("keepers", ())
        if any(keepers) and len(keepers) != self.processes:
            raise RecipeError(
                f"{self.path} is the state of {len(keepers)} processes with a queue each, "
                f"now there are {self.processes}: carry on with as many as before"
            )
        for name, network in self.networks.items():
            network.load_state_dict(found["networks"][name])
            self.optimizers[name].load_state_dict(found["optimizers"][name])
            _lay_out(self.optimizers[name])
        for name, average in self.averages.items():
            average.load_state_dict(found["averages"][name])
        self.best.update(found.get("best_averages", {}))
        if self.keeper and any(keepers):
            self.keeper.load_state_dict(keepers[self.process])
        # States of earlier versions lack what came later.
        there = [each.name for each in fields(Clock) if each.name in found]
        return Clock(**{name: found[name] for name in there})


def _read(path: Path, device: torch.device) -> dict[str, Any]:
    try:
        found = torch.load(path, map_location=device, weights_only=True)
    except (PermissionError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # a damaged archive raises almost anything
        raise RecipeError(
            f"{path} is no state of a run, or damaged: remove it, or give another folder with -o"
        ) from error
    return found if isinstance(found, dict) else {}


def _lay_out(optimizer: torch.optim.Optimizer) -> None:
    """Lay the moments of an optimiser out in memory as their parameters are.

    They come as the run before had them, with or without channels last, and a fused step walks
    through both alike.
    """
    for parameter, moments in optimizer.state.items():
        for name, moment in moments.items():
            if torch.is_tensor(moment) and moment.shape == parameter.shape:
                moments[name] = torch.empty_like(parameter, dtype=moment.dtype).copy_(moment)
