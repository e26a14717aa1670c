"""The race: which candidate goes on, which of its weights are kept, and when it ends."""

from dataclasses import dataclass, field
from typing import Any

import pytest
import torch

from redeg_cli.finetune import race as race_module
from redeg_cli.finetune.choose import Score
from redeg_cli.finetune.race import Race

CPU = torch.device("cpu")


@dataclass
class Tuned:
    """A tuning that does nothing but count; its figure at a step is given."""

    figures: dict[int, float]
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

    monkeypatch.setattr(race_module, "score", score)
    monkeypatch.setattr(race_module, "consistency", lambda *_: None)


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
    assert race.tunings["adapted"].done == race.best.steps + 3 * 488
    assert said == [f"fine-tuning got no better after {race.best.steps} steps"]


def test_one_candidate_alone_needs_no_first_stretch() -> None:
    race, _, told = run(8, omega={step: float(step) for step in range(9)})
    assert race.tunings["omega"].stretches == [1] * 8  # pyright: ignore[reportAttributeAccessIssue]
    assert told[-1] == (8, 8)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_very_few_steps(steps: int) -> None:
    race, _, _ = run(steps, omega={0: 1.0}, adapted={0: 2.0})
    assert race.tunings["adapted"].done == steps
