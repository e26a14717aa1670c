"""What is shown while a network is trained."""

import io
import sys

import pytest
from rich.console import Console

from redeg_cli.cli.training import TrainingTable, training_view
from redeg_cli.train.state import Clock


def drawn(table: TrainingTable) -> list[list[str]]:
    """Return the words of each line that has any."""
    console = Console(file=io.StringIO(), width=100)
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().replace("│", " ").replace("┃", " ").splitlines()
    return [words for line in lines if (words := line.split()) and words[0].isascii()]


def test_the_table_tells_how_far_how_fast_and_how_well() -> None:
    table = TrainingTable(steps=1000, minutes=None, images=16)
    table.on_progress(3, 8, "reading hq")
    assert drawn(table) == [["reading", "hq", "3/8"]]
    table.watch(Clock(100, 50.0, {"pixel": 0.5}))
    table.watch(Clock(110, 60.0, {"pixel": 0.25, "gradient": 1 / 3}))
    table.on_progress(110, 1000, "pixel 0.2500")  # the same again, for plain lines
    assert drawn(table) == [
        ["training"],
        ["step", "110", "of", "1000", "(11.0%)"],
        ["images/s", "16.0"],
        ["left", "8", "min"],
        ["pixel", "0.25000"],
        ["gradient", "0.33333"],
    ]


def test_time_left_goes_by_whichever_ends_first() -> None:
    table = TrainingTable(steps=1000, minutes=2, images=1)
    table.watch(Clock(10, 60.0))
    assert ["left", "60", "s"] in drawn(table)


def test_on_a_terminal_the_table_is_live(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    with training_view(10, None, 2) as (on_progress, watch):
        on_progress(1, 2, "reading hq")
        watch(Clock(5, 1.0, {"pixel": 0.5}))
    out, err = capsys.readouterr()
    assert out == ""
    assert "5 of 10 (50.0%)" in err
    assert "0.50000" in err


def test_elsewhere_there_are_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with training_view(10, None, 2) as (on_progress, watch):
        watch(Clock(5, 1.0, {"pixel": 0.5}))
        on_progress(500, 1000, "pixel 0.5000")
    assert capsys.readouterr() == ("", "")  # a line comes every half minute
