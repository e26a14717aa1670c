"""A fine-tuning on its way: which of its weights are kept, and when it ends."""

import math
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch

from redeg_cli.finetune import checked as checked_module
from redeg_cli.finetune.checked import Check, Checked
from redeg_cli.finetune.choose import Score
from redeg_cli.finetune.consistency import Consistency
from redeg_cli.finetune.summary import Choice, choose, verdict

CPU = torch.device("cpu")


@dataclass
class Tuned:
    """A tuning that does nothing but count; its figure at a step is given."""

    figures: dict[int, float]
    photo: dict[int, float] = field(default_factory=dict)
    """How consistent the photo is at a step."""
    done: int = 0
    stretches: list[int] = field(default_factory=list)

    @property
    def restorer(self) -> "Tuned":
        return self

    def run(self, steps: int, _device: Any, on_progress: Any) -> None:
        self.done += steps
        self.stretches.append(steps)
        on_progress(steps, steps)

    @property
    def state(self) -> dict[str, int]:
        return {"step": self.done}


@pytest.fixture(autouse=True)
def _given_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    def score(tuned: Tuned, *_: object) -> Score:
        figure = tuned.figures[max(step for step in tuned.figures if step <= tuned.done)]
        return Score(figure, figure)

    def consistent(tuned: Tuned, *_: object) -> Consistency | None:
        if not tuned.photo:
            return None
        step = max(step for step in tuned.photo if step <= tuned.done)
        return Consistency(tuned.photo[step], 1.0)

    monkeypatch.setattr(checked_module, "score", score)
    monkeypatch.setattr(checked_module, "consistency", consistent)


def checked(tuned: Tuned) -> Checked:
    return Checked(tuned, None, [], torch.zeros(1), CPU)  # pyright: ignore[reportArgumentType]


def test_it_goes_on_to_the_end_and_says_how_far_it_is() -> None:
    tuned = Tuned({step: float(step) for step in range(401)})
    fitting, said, told = checked(tuned), [], []
    best = fitting.run(400, lambda done, total, _text="": told.append((done, total)), said.append)
    assert best == fitting.best == fitting.checks[-1]
    assert best.steps == 400
    assert fitting.best_state == {"step": 400}
    assert tuned.stretches == [50] * 8
    assert said == []
    assert told[-1] == (400, 400)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_it_ends_when_it_gets_no_better_and_keeps_the_best() -> None:
    fitting, said = checked(Tuned({0: 2.0, 500: 9.0, 700: 3.0})), []
    best = fitting.run(4000, say=said.append)
    assert (best.score.psnr, best.steps) == (9.0, 500)
    assert fitting.best_state == {"step": 500}
    assert fitting.tuning.done == 500 + checked_module.PATIENCE * 500
    assert said == ["fine-tuning got no better after 500 steps"]


def test_short_runs_are_checked_less_often() -> None:
    tuned = Tuned({step: float(step) for step in range(101)})
    checked(tuned).run(100)
    assert tuned.stretches == [40, 40, 20]


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_very_few_steps(steps: int) -> None:
    tuned = Tuned({0: 1.0})
    assert checked(tuned).run(steps).steps == tuned.done == steps


def test_weights_are_kept_by_the_faces_and_the_photo_together() -> None:
    """The faces get worse by 1 dB, the photo better by 3: the last weights are the best."""
    faces = {step: 30 - step / 400 for step in range(401)}
    photo = {step: 40 + 3 * step / 400 for step in range(401)}
    assert checked(Tuned(faces, photo)).run(400).steps == 400


def test_of_checks_that_are_as_good_the_last_is_kept() -> None:
    level = {0: 30.0, 200: 33.0, 250: 32.9, 300: 32.85, 350: 32.8, 400: 32.75}
    assert checked(Tuned(level)).run(400).steps == 400
    # A slow fall is measured from the best one, not from step to step.
    falling = {0: 30.0, 100: 33.0, 150: 32.4, 200: 31.8, 250: 31.2, 300: 30.6, 350: 30.0}
    assert checked(Tuned(falling)).run(400).steps == 150


def unasked() -> float:
    raise AssertionError("where all or nothing of it is taken, dirt is not looked for")


def test_it_is_chosen_by_the_check_that_is_nearest_to_the_faces() -> None:
    """The score of the weights that are kept does not count."""
    faces = {step: 33 - step / 100 for step in range(401)}
    photo = {step: 40 + step / 10 for step in range(401)}
    fitting = checked(Tuned(faces, photo))
    kept = fitting.run(400)
    nearest = fitting.nearest
    assert (kept.steps, kept.score.psnr) == (400, 29.0)
    assert (nearest.steps, nearest.score.psnr) == (50, 32.5)
    assert choose("adapted", nearest, Score(31.7, 31.4), unasked) == Choice("adapted", 1.0)
    # Of the other figure and of this one.
    for general in (Score(31.7, 31.6), Score(32.1, 31.4), Score(36.5, 31.4), Score(31.7, 38.5)):
        assert choose("omega", nearest, general, lambda: 0.9) == Choice("omega", 0.5, 0.9)
    for general in (Score(36.6, 31.4), Score(31.7, 38.6)):
        assert choose("adapted", nearest, general, unasked) == Choice("general", 0.0)
    told = verdict(Choice("adapted", 1.0), nearest, kept, Score(31.7, 31.4))
    # What is kept, and what it was chosen by.
    assert "-2.70 dB on held-out parts after 400 steps" in told
    assert "after 50 steps: +0.80 dB" in told
    told = verdict(Choice("adapted", 1.0), nearest, nearest, Score(31.7, 31.4))
    assert told == "chosen: fine-tuned, +0.80 dB on held-out parts"


def test_half_of_it_is_not_taken_where_it_leaves_dirt() -> None:
    fitting = checked(Tuned({0: 30.0}))
    kept, general = fitting.run(400), Score(30.0, 30.0)
    chosen = choose("omega", fitting.nearest, general, lambda: 1.1)
    assert chosen == Choice("general", 0.0, 1.1)
    told = verdict(chosen, fitting.nearest, kept, general)
    assert told.startswith("the general restorer is kept: fine-tuning changed")
    assert "flat parts of the faces have 1.1 dB more fine detail" in told
    chosen = choose("omega", fitting.nearest, general, lambda: -0.3)
    assert verdict(chosen, fitting.nearest, kept, general).startswith("chosen: half-way")


def test_a_tuning_that_diverges_ends_and_is_not_kept() -> None:
    fitting, said = checked(Tuned({0: 30.0, 150: math.nan})), []
    best = fitting.run(400, say=said.append)
    assert best is not None
    assert best.steps == 100
    assert fitting.best_state == {"step": 100}
    assert [check.steps for check in fitting.checks] == [50, 100]
    assert fitting.nearest is not None
    assert said == ["fine-tuning diverged, within 150 steps"]
    # In the photo alone.
    assert checked(Tuned({0: 30.0}, {0: 40.0, 200: math.nan})).run(400) == Check(
        150, Score(30, 30), Consistency(40.0, 1.0)
    )


def test_a_tuning_that_diverges_at_once_leaves_the_general_restorer() -> None:
    fitting = checked(Tuned({0: math.nan}))
    assert fitting.run(400) is None
    assert fitting.best_state is None
    chosen = choose("adapted", fitting.nearest, Score(31.7, 31.4), unasked)
    assert chosen == Choice("general", 0.0)
    assert verdict(chosen, fitting.nearest, fitting.best, Score(31.7, 31.4)).startswith(
        "the general restorer is kept"
    )
