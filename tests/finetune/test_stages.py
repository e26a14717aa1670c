"""One bar over all stages: it never goes back, and steps that were done before take no time."""

from redeg_cli.finetune.stages import TEXTS, Stages


def shares(begun: int) -> dict[str, int]:
    """Return, of each stage of a tuning of 100 steps, what is told at its end."""
    told: list[int] = []
    stages = Stages(lambda done, _total, _text: told.append(done), 50, 100, 1.0, begun)
    found = {}
    for name in TEXTS:
        stages.enter(name)
        for done in range(begun if name == "tune" else 0, 101, 10):
            stages.within(done, 100)
        found[name] = told[-1]
    stages.finish()
    assert told == sorted(told)
    assert told[-1] == 1000
    return found


def test_the_tuning_takes_most_of_the_time() -> None:
    found = shares(0)
    assert found["tune"] - found["adapt"] > 700


def test_steps_that_were_done_before_take_none() -> None:
    found = shares(90)
    assert 200 < found["tune"] - found["adapt"] < 300
    assert shares(100)["tune"] == shares(100)["adapt"]
