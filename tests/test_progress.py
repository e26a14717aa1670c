"""The ready-made callbacks: for notebooks and scripts, and for work of several parts."""

import pytest

from redeg_cli.progress import Parts, no_progress, tqdm_progress


def test_tqdm_draws_on_stderr_and_ends(capsys: pytest.CaptureFixture[str]) -> None:
    on_progress = tqdm_progress("restoring")
    for done in range(4):
        on_progress(done, 3, f"tile {done}")
    told = capsys.readouterr()
    assert told.out == ""
    assert "restoring" in told.err
    assert "100%" in told.err
    assert "3/3" in told.err
    assert "tile 3" in told.err
    assert told.err.endswith("\n")


def test_tqdm_follows_a_total_that_changes(capsys: pytest.CaptureFixture[str]) -> None:
    on_progress = tqdm_progress()
    on_progress(0, 1)
    on_progress(2, 4)
    on_progress(4, 4)
    on_progress(0, 2)  # a second run through the same callback
    told = capsys.readouterr().err
    assert "2/4" in told
    assert "4/4" in told
    assert "0/2" in told


def test_no_progress_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    no_progress(1, 2, "text")
    assert capsys.readouterr() == ("", "")


def test_parts_are_one_whole_by_the_time_they_take() -> None:
    told: list[tuple[int, int, str]] = []
    parts = Parts(lambda *seen: told.append(seen), {"reading": 1, "work": 3})
    parts.enter("reading")
    parts.within(1, 2)
    parts.enter("work")
    parts.within(2, 3, "two of them")
    parts.finish()
    assert told == [
        (0, 1000, "reading"),
        (125, 1000, "reading"),
        (250, 1000, "work"),
        (750, 1000, "two of them"),
        (1000, 1000, "done"),
    ]
