"""A fine-tuning that is checked on its way: its best weights are kept, and it ends in time."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from redeg_cli.degrade.base import Degrader
from redeg_cli.finetune.choose import HeldOut, Score, score
from redeg_cli.finetune.consistency import Consistency, consistency
from redeg_cli.finetune.resume import EVERY, Resumed
from redeg_cli.finetune.tune import State, Tuning
from redeg_cli.progress import OnProgress, no_progress

CHECKS = 8
"""How often it is checked, at most."""
APART = 40
"""Steps between two checks, at least. A short run is not ended while its rate is still high: there
are fewer than ``PATIENCE`` of them left then."""
PATIENCE = 5
"""Checks in a row that are worse than the best one after which it ends."""
TOLERANCE = 0.5
"""dB within which a later check is as good: its learning rate is lower, so its weights scatter
less. From one check to the next it changes by up to 0.6 dB while the photo still gets better."""


@dataclass(frozen=True)
class Check:
    """A fine-tuning after some of its steps."""

    steps: int
    score: Score
    consistency: Consistency | None


def read_check(table: dict[str, Any]) -> Check:
    """Return the check of what ``dataclasses.asdict`` made of one."""
    again = table["consistency"]
    found = None if again is None else Consistency(**again)
    return Check(table["steps"], Score(**table["score"]), found)


@dataclass
class Checked:
    """What is tuned, by what it is checked, and what came of it."""

    tuning: Tuning
    degrader: Degrader
    """By which the photo's consistency is judged."""
    held_out: Sequence[HeldOut]
    parts: Tensor
    """Parts of the photo for the consistency check, (B, 3, s, s)."""
    device: torch.device
    seed: int = 0
    checks: list[Check] = field(default_factory=list)
    """Without that of weights that are no numbers any more."""
    best: Check | None = None
    """The one that is kept: the last that is as good as the best. None if there is none."""
    best_state: State | None = None
    highest: float = -math.inf
    """The best figure."""
    worse: int = 0
    """Checks since the last that was as good as the best."""

    def run(
        self,
        steps: int,
        on_progress: OnProgress = no_progress,
        say: Callable[[str], None] = lambda _: None,
        resumed: Resumed | None = None,
    ) -> Check | None:
        """Tune for ``steps`` at most and return the best check, whose weights are ``best_state``.

        It ends when it gets no better, and when it diverges: None if it did so before any check.
        With ``resumed`` it goes on from where it was stopped, and ends the same.
        """
        every = max(APART, -(-steps // CHECKS))
        if resumed is not None and resumed.load(self):
            say(f"carrying on after {self.tuning.done} steps of fine-tuning")
        while self.tuning.done < steps and self.worse < PATIENCE:
            before = self.tuning.done
            due = min(steps, before - before % every + every)

            def within(done: int, total: int, text: str = "", before: int = before) -> None:
                del total
                on_progress(before + done, steps, text)

            self.tuning.run(min(EVERY, due - before), self.device, within)
            if self.tuning.done == due:
                check = self._check()
                if not math.isfinite(_figure(check)):
                    say(f"fine-tuning diverged, within {self.tuning.done} steps")
                    return self.best
                self.checks.append(check)
                self.worse = 0 if self._keep(check) else self.worse + 1
            if resumed is not None:
                resumed.save(self)
        if self.tuning.done < steps:
            say(f"fine-tuning got no better after {self.tuning.done - self.worse * every} steps")
        return self.best

    @property
    def nearest(self) -> Check | None:
        """The check at which the restorer came nearest to the smoothed faces.

        By it the tuning is compared with the general restorer: as it gets sharper than the
        restored faces are, it moves away from them, however near it comes to the truth.
        """
        return max(self.checks, key=lambda check: check.score.smooth_psnr, default=None)

    def _check(self) -> Check:
        restorer = self.tuning.restorer
        found = score(restorer, self.held_out, self.device)
        again = consistency(restorer, self.degrader, self.parts, self.device, self.seed)
        return Check(self.tuning.done, found, again)

    def _keep(self, check: Check) -> bool:
        """Remember a check that is as good as the best, with its weights; return whether it is."""
        if _figure(check) < self.highest - TOLERANCE:
            return False
        self.highest = max(self.highest, _figure(check))
        self.best, self.best_state = check, self.tuning.state
        return True


def _figure(check: Check) -> float:
    """Return what weights are kept by: the faces' held-out parts, and the photo.

    The restored faces alone mislead: they are soft, and on newsprint the figure falls from the
    first check on, while the photo outside of them gets better up to 0.4 dB, which the photo's
    consistency follows; so they count half. In both together the last of the best checks is the
    truly best one, or within 0.1 dB of it, on newsprint and on a photographed screen.
    """
    photo = 0.0 if check.consistency is None else check.consistency.smooth_psnr
    return check.score.smooth_psnr / 2 + photo
