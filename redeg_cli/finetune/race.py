"""The candidates of a fine-tuning: the better one is tuned to the end, checked on the way."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from redeg_cli.finetune.choose import HeldOut, Score, score
from redeg_cli.finetune.consistency import Consistency, consistency
from redeg_cli.finetune.effort import first_steps
from redeg_cli.finetune.tune import State, Tuning
from redeg_cli.progress import OnProgress, no_progress

Method = Literal["general", "omega", "adapted"]

CHECKS = 8
"""How often the one that goes on is checked, at most."""
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
    """A candidate after some of its steps."""

    method: Method
    steps: int
    score: Score
    consistency: Consistency | None


@dataclass
class Race:
    """What is raced, and what came of it."""

    tunings: Mapping[Method, Tuning]
    held_out: Sequence[HeldOut]
    parts: Tensor
    """Parts of the photo for the consistency check, (B, 3, s, s)."""
    device: torch.device
    seed: int = 0
    checks: list[Check] = field(default_factory=list)
    best: Check | None = None
    """The one that is kept: the last that is as good as the best."""
    best_state: State | None = None
    highest: float = -math.inf
    """The best figure."""

    def run(
        self,
        steps: int,
        on_progress: OnProgress = no_progress,
        say: Callable[[str], None] = lambda _: None,
    ) -> Check:
        """Tune every candidate for the first steps, then the better one; return its best check.

        ``steps`` is the longest that one may take. The one that goes on is checked as it goes; its
        best weights are kept (``best_state``), and it ends when it gets no better.
        """
        several = len(self.tunings) > 1
        first = first_steps(steps) if several else 0
        everything = first * (len(self.tunings) - 1) + steps
        before = 0

        def stretch(method: Method, count: int) -> Check:
            nonlocal before

            def within(done: int, total: int, text: str = "") -> None:
                del total
                on_progress(before + done, everything, text)

            self.tunings[method].run(count, self.device, within)
            before += count
            return self._check(method)

        found = [stretch(method, first) for method in self.tunings] if several else []
        going = max(found, key=_standing).method if found else next(iter(self.tunings))
        tuning = self.tunings[going]
        for check in found:
            if check.method == going:
                self._keep(check)
        every = max(APART, -(-(steps - tuning.done) // CHECKS))
        worse = 0
        while tuning.done < steps and worse < PATIENCE:
            check = stretch(going, min(every, steps - tuning.done))
            worse = 0 if self._keep(check) else worse + 1
        if tuning.done < steps:
            say(f"fine-tuning got no better after {tuning.done - worse * every} steps")
        assert self.best is not None
        return self.best

    @property
    def nearest(self) -> Check:
        """The check at which the kept candidate came nearest to the smoothed faces.

        By it the candidate is compared with the general restorer: as it gets sharper than the
        restored faces are, it moves away from them, however near it comes to the truth.
        """
        assert self.best is not None
        own = [check for check in self.checks if check.method == self.best.method]
        return max(own, key=_standing)

    def _check(self, method: Method) -> Check:
        tuning = self.tunings[method]
        found = score(tuning.restorer, self.held_out, self.device)
        again = consistency(tuning.restorer, tuning.degrader, self.parts, self.device, self.seed)
        check = Check(method, tuning.done, found, again)
        self.checks.append(check)
        return check

    def _keep(self, check: Check) -> bool:
        """Remember a check that is as good as the best, with its weights; return whether it is."""
        if _figure(check) < self.highest - TOLERANCE:
            return False
        self.highest = max(self.highest, _figure(check))
        self.best, self.best_state = check, self.tunings[check.method].state
        return True


def _standing(check: Check) -> float:
    """Return what a candidate is preferred to another by: to be soft is no advantage here."""
    return check.score.smooth_psnr


def _figure(check: Check) -> float:
    """Return what the weights of a candidate are kept by: the faces' held-out parts, and the photo.

    The restored faces alone mislead: they are soft, and on newsprint the figure falls from the
    first check on, while the photo outside of them gets better up to 0.4 dB, which the photo's
    consistency follows; so they count half. In both together the last of the best checks is the
    truly best one, or within 0.1 dB of it, for either candidate on newsprint and on a photographed
    screen. Candidates cannot be compared by it: each is consistent with its own degradation.
    """
    photo = 0.0 if check.consistency is None else check.consistency.smooth_psnr
    return check.score.smooth_psnr / 2 + photo
