"""The race: which candidate goes on, which of its weights are kept, and when it ends."""

from dataclasses import dataclass, field
from typing import Any

import pytest
import torch

from redeg_cli.finetune import race as race_module
from redeg_cli.finetune.choose import Score
from redeg_cli.finetune.consistency import Consistency
from redeg_cli.finetune.race import Race
from redeg_cli.finetune.summary import Choice, choose, verdict

CPU = torch.device("cpu")


@dataclass
class Tuned:
    """A tuning that does nothing but count; its figure at a step is given."""

    figures: dict[int, float]
    photo: dict[int, float] = field(default_factory=dict)
    """How consistent the photo is at a step."""
    done: int = 0
    restorer: Any = None
    degrader: Any = None
    stretches: list[int] = field(default_factory=list)

    def run(self, steps: int, _device: Any, on_progress: Any) -> None:
        self.done += steps
        self.stretches.append(steps)
        self.restorer = self
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

    monkeypatch.setattr(race_module, "score", score)
    monkeypatch.setattr(race_module, "consistency", consistent)


def run(steps: int, **figures: dict[int, float]) -> tuple[Race, list[str], list[tuple[int, int]]]:
    race = Race({k: Tuned(v) for k, v in figures.items()}, [], torch.zeros(1), CPU)  # pyright: ignore
    said: list[str] = []
    told: list[tuple[int, int]] = []
    race.run(steps, lambda done, total, _text="": told.append((done, total)), said.append)
    return race, said, told


def test_the_better_one_goes_on_to_the_end() -> None:
    race, said, told = run(
        400, omega={0: 1.0, 300: 500.0}, adapted={step: 2.0 + step for step in range(401)}
    )
    omega, adapted = race.tunings["omega"], race.tunings["adapted"]
    assert (omega.done, adapted.done) == (100, 400)
    assert race.best is not None
    assert (race.best.method, race.best.steps) == ("adapted", 400)
    assert race.best_state == {"step": 400}
    assert said == []
    assert told[-1] == (500, 500)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_it_ends_when_it_gets_no_better_and_keeps_the_best() -> None:
    race, said, _ = run(4000, omega={0: 1.0}, adapted={0: 2.0, 500: 9.0, 700: 3.0})
    assert race.best is not None
    assert race.best.score.psnr == 9.0
    assert race.best_state == {"step": race.best.steps}
    assert race.best.steps in (588, 589)  # the first check after 500
    assert race.tunings["adapted"].done == race.best.steps + race_module.PATIENCE * 488
    assert said == [f"fine-tuning got no better after {race.best.steps} steps"]


def test_one_candidate_alone_needs_no_first_stretch() -> None:
    race, _, told = run(400, omega={step: float(step) for step in range(401)})
    assert race.tunings["omega"].stretches == [50] * 8  # pyright: ignore[reportAttributeAccessIssue]
    assert told[-1] == (400, 400)


def test_short_runs_are_checked_less_often() -> None:
    race, _, told = run(100, omega={step: float(step) for step in range(101)})
    assert race.tunings["omega"].stretches == [40, 40, 20]  # pyright: ignore[reportAttributeAccessIssue]
    assert told[-1] == (100, 100)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_very_few_steps(steps: int) -> None:
    race, _, _ = run(steps, omega={0: 1.0}, adapted={0: 2.0})
    assert race.tunings["adapted"].done == steps


def test_weights_are_kept_by_the_faces_and_the_photo_together() -> None:
    """The faces get worse by 1 dB, the photo better by 3: the last weights are the best."""
    faces = {step: 30 - step / 400 for step in range(401)}
    photo = {step: 40 + 3 * step / 400 for step in range(401)}
    tuned = Tuned(faces, photo)
    race = Race({"adapted": tuned}, [], torch.zeros(1), CPU)  # pyright: ignore
    assert race.run(400).steps == 400


def test_of_two_candidates_the_one_that_the_faces_prefer_goes_on() -> None:
    """Each is consistent with a degradation of its own: that does not compare them."""
    ahead, behind = Tuned({0: 30.0}, {0: 40.0}), Tuned({0: 29.0}, {0: 60.0})
    race = Race({"omega": behind, "adapted": ahead}, [], torch.zeros(1), CPU)  # pyright: ignore
    assert race.run(400).method == "adapted"


def test_of_checks_that_are_as_good_the_last_is_kept() -> None:
    level = {0: 30.0, 200: 33.0, 250: 32.9, 300: 32.85, 350: 32.8, 400: 32.75}
    race = Race({"adapted": Tuned(level)}, [], torch.zeros(1), CPU)  # pyright: ignore
    assert race.run(400).steps == 400
    # A slow fall is measured from the best one, not from step to step.
    falling = {0: 30.0, 100: 33.0, 150: 32.4, 200: 31.8, 250: 31.2, 300: 30.6, 350: 30.0}
    race = Race({"adapted": Tuned(falling)}, [], torch.zeros(1), CPU)  # pyright: ignore
    assert race.run(400).steps == 150


def test_the_nearest_check_is_of_the_candidate_that_is_kept() -> None:
    """The other candidate's score, and that of the weights that are kept, do not count."""
    faces = {step: 33 - step / 100 for step in range(401)}
    photo = {step: 40 + step / 10 for step in range(401)}
    tunings = {"omega": Tuned({0: 20.0}), "adapted": Tuned(faces, photo)}
    race = Race(tunings, [], torch.zeros(1), CPU)  # pyright: ignore
    kept = race.run(400)
    assert (kept.steps, kept.score.psnr) == (400, 29.0)
    assert (race.nearest.method, race.nearest.steps) == ("adapted", 100)
    assert choose(race.nearest, Score(31.2, 30.9)) == Choice("adapted", 1.0)
    # Of the other figure and of this one.
    for general in (Score(31.2, 31.1), Score(31.6, 30.9), Score(38.0, 30.9), Score(31.2, 38.0)):
        assert choose(race.nearest, general) == Choice("adapted", 0.5)
    for general in (Score(38.1, 30.9), Score(31.2, 38.1)):
        assert choose(race.nearest, general) == Choice("general", 0.0)
    assert "+0.80 dB" in verdict(Choice("adapted", 1.0), race.nearest, Score(31.2, 30.9))
