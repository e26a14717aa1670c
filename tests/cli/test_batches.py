"""Batches that go on after failures, and their progress: bars, plain lines, the time left."""

import io
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import typer

from redeg_cli.cli import common, messages
from redeg_cli.cli.training import training_view
from redeg_cli.errors import InputError
from redeg_cli.progress import OnProgress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_batch_goes_on_and_names_every_failure(capsys: pytest.CaptureFixture[str]) -> None:
    worked: list[int] = []

    def work(item: int, on_progress: object) -> None:
        del on_progress
        if item == 1:
            raise InputError("one.png is\nempty")
        if item == 2:
            raise ZeroDivisionError("oops")
        worked.append(item)

    outcome = common.run_batch([0, 1, 2, 3], work, ["zero", "one.png", "two", "three"].__getitem__)
    assert worked == [0, 3]
    assert outcome.done == 2
    assert [name for name, _ in outcome.failed] == ["one.png", "two"]
    assert outcome.exit_code == 1
    with pytest.raises(typer.Exit) as caught:
        outcome.finish()
    assert caught.value.exit_code == 1
    told = capsys.readouterr()
    assert told.out == ""
    lines = told.err.splitlines()
    assert lines[0] == "error: one.png is empty"
    assert lines[1].startswith("error: two: unexpected ZeroDivisionError: oops")
    assert lines[2] == "2 of 4 failed"


def test_a_batch_without_failures_ends_quietly(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = common.run_batch(["a"], lambda _item, _progress: None, str)
    outcome.finish()
    assert (outcome.done, outcome.exit_code) == (1, 0)
    assert capsys.readouterr() == ("", "")


def test_the_bar_of_several_threads_counts_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two items of four half-way are a quarter of the work."""
    seen: list[tuple[int, int]] = []
    half_way = threading.Barrier(2)

    @contextmanager
    def watched(_title: str) -> Iterator[OnProgress]:
        yield lambda done, total, _text="": seen.append((done, total))

    def work(_item: int, on_progress: OnProgress) -> None:
        on_progress(1, 2)
        half_way.wait(timeout=10)

    monkeypatch.setattr(common, "progress", watched)
    outcome = common.run_batch([0, 1, 2, 3], work, str, threads=2)
    assert outcome.done == 4
    assert len({total for _, total in seen}) == 1
    shares = [done / total for done, total in seen]
    assert shares == sorted(shares)
    assert 0.25 in shares
    assert (shares[0], shares[-1]) == (0, 1)


def test_ctrl_c_stops_a_batch() -> None:
    worked: list[int] = []

    def work(item: int, on_progress: object) -> None:
        del on_progress
        worked.append(item)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        common.run_batch([0, 1], work, str)
    assert worked == [0]


@pytest.mark.parametrize("threads", [1, 2])
def test_the_failures_before_a_stop_are_named(
    capsys: pytest.CaptureFixture[str], threads: int
) -> None:
    def work(item: int, on_progress: object) -> None:
        del on_progress
        if item == 0:
            raise InputError("one.png is empty")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        common.run_batch([0, 1], work, str, threads=threads)
    assert capsys.readouterr().err == "error: 0: one.png is empty\n"


def test_progress_off_a_terminal_is_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with common.progress("making", every_seconds=0) as on_progress:
        on_progress(1, 4, "b.png")
        on_progress(3, 0)
    told = capsys.readouterr()
    assert told.out == ""
    first, second = told.err.splitlines()
    assert first.startswith("making: 25%, about ")
    assert first.endswith(" s left, b.png")
    assert second == "making: 3"


def test_progress_off_a_terminal_is_seldom(capsys: pytest.CaptureFixture[str]) -> None:
    with common.progress("making") as on_progress:
        for done in range(1000):
            on_progress(done, 1000)
    assert capsys.readouterr() == ("", "")


def test_progress_on_a_terminal_is_a_bar_on_stderr(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal = Terminal()
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr(sys, "stderr", terminal)
    with common.progress("making [b]") as on_progress:
        on_progress(1, 4, "name [x].png")
        messages.emit_path("result.png")
        messages.say("a line in between")
    drawn = terminal.getvalue()
    assert "making [b]" in drawn
    assert "name [x].png" in drawn
    assert "25%" in drawn
    assert "a line in between" in drawn
    # stdout is no terminal here: what is written to it must not go to the bar's terminal.
    assert "result.png" not in drawn
    assert capsys.readouterr().out == "result.png\n"


def test_progress_on_a_terminal_that_cannot_draw_is_plain_lines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = Terminal()
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr(sys, "stderr", terminal)
    with common.progress("making", every_seconds=0) as on_progress:
        on_progress(1, 4, "a.png")
    with training_view(10, None, 1) as (on_progress, _):
        on_progress(1, 4, "reading images")
    assert terminal.getvalue().startswith("making: 25%, about ")
    assert terminal.getvalue().endswith(", a.png\n")
    assert "\x1b" not in terminal.getvalue()


@pytest.mark.parametrize(
    ("seconds", "expected"), [(5, "5 s"), (89.6, "90 s"), (600, "10 min"), (7200, "2.0 h")]
)
def test_durations_read_well(seconds: float, expected: str) -> None:
    assert common.duration(seconds) == expected


def test_the_time_left_of_what_is_carried_on_is_that_of_this_sitting(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = iter([0.0, 1.0, 100.0])
    monkeypatch.setattr("redeg_cli.cli.common.time.monotonic", lambda: next(now))
    with common.progress("training", every_seconds=50) as on_progress:
        on_progress(401, 1000)  # 400 were done before
        on_progress(500, 1000)
    assert capsys.readouterr().err == "training: 50%, about 8 min left\n"


def test_the_time_left_counts_from_where_the_work_itself_began(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten seconds of reading 30 images say nothing of the steps that follow."""
    now = iter([0.0, 1.0, 10.0, 20.0, 80.0])
    monkeypatch.setattr("redeg_cli.cli.common.time.monotonic", lambda: next(now))
    with common.progress("training", every_seconds=50) as on_progress:
        on_progress(1, 30, "reading images")
        on_progress(30, 30, "reading images")
        on_progress(0, 1000)
        on_progress(100, 1000)
    assert capsys.readouterr().err == "training: 10%, about 9 min left\n"
