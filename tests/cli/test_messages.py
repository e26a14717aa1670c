"""Lines for a stderr that is not there or takes nothing, a stdout that is full, and who asked for
quiet."""

import io
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from redeg_cli.cli import common, messages
from redeg_cli.cli.training import training_view
from redeg_cli.errors import InputError

PROGRAM = """
import sys
from redeg_cli.cli.app import COMMANDS, Entry, main
from redeg_cli.cli import common, messages
from redeg_cli.errors import InputError

def work(item, on_progress):
    on_progress(1, 2)
    messages.warn(f"{item} is odd")
    if item == "b":
        raise InputError("b is empty")

def batch(as_json: common.JsonOption = False):
    report = None if as_json else messages.emit_path
    outcome = common.run_batch(["a", "b", "c"], work, str, report=report)
    if as_json:
        messages.emit_json({"done": outcome.done, "failed": [name for name, _ in outcome.failed]})
    outcome.finish()

COMMANDS["batch"] = Entry("__main__", "batch", "Work.")
sys.argv = ["redeg", *sys.argv[1:]]
main()
"""
FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full")


def batch(*arguments: str, redirect: str = "", **streams: object) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", PROGRAM, *arguments]
    if redirect:
        command = ["sh", "-c", f'exec "$@" {redirect}', "sh", *command]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
    environment = os.environ | {"PYTHONPATH": str(Path.cwd())}
    return subprocess.run(command, text=True, env=environment, check=False, **streams)


class Refusing(io.StringIO):
    """Takes nothing."""

    def write(self, _text: str) -> int:
        raise BrokenPipeError(32, "Broken pipe")


@pytest.mark.skipif(os.name != "posix", reason="a shell's redirections")
@pytest.mark.parametrize("redirect", ["2>&-", pytest.param("2>/dev/full", marks=needs_full)])
def test_a_batch_is_done_whatever_becomes_of_stderr(redirect: str) -> None:
    done = batch("--debug", "batch", "--json", redirect=redirect)
    assert (json.loads(done.stdout), done.returncode) == ({"done": 2, "failed": ["b"]}, 1)


def test_a_batch_is_done_when_nobody_reads_stderr() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = batch("batch", stderr=writer)
    os.close(writer)
    assert (done.stdout, done.returncode) == ("a\nc\n", 1)


@needs_full
def test_a_full_disk_behind_stdout_is_told_and_the_work_goes_on() -> None:
    with FULL.open("wb") as full:
        done = batch("batch", stdout=full)
    assert done.stderr.splitlines() == [
        "warning: a is odd",
        "error: cannot write to stdout: No space left on device",
        "warning: b is odd",
        "warning: c is odd",
        "error: b is empty",
        "1 of 3 failed",
    ]
    assert done.returncode == 1


@needs_full
def test_a_result_that_could_not_be_written_is_a_failure() -> None:
    command = [sys.executable, "-m", "redeg_cli", "models", "list", "--json"]
    with FULL.open("wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.stderr == "error: cannot write to stdout: No space left on device\n"
    assert done.returncode == 1


def test_a_message_that_is_not_taken_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Refusing())
    outcome = common.run_batch(["a"], lambda item, _: messages.tell(item), str)
    assert outcome.failed == []


def test_without_stderr_nothing_goes_to_stdout(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    messages.set_debug(True)
    messages.tell("a line")
    messages.report_error(InputError("a.png is empty"))
    with common.progress("making", every_seconds=0) as on_progress:
        on_progress(1, 4)
    with training_view(10, None, 1) as (on_progress, _):
        on_progress(1, 4)
    common.run_batch(["a"], lambda *_: 1 / 0, str).tell_failures()
    assert capsys.readouterr().out == ""


def test_quiet_and_debug_hold_in_threads() -> None:
    for on in (True, False):
        messages.set_quiet(on)
        messages.set_debug(on)
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(messages.is_quiet).result() is on
            assert pool.submit(messages.debug_on).result() is on


@needs_full
@pytest.mark.parametrize("command", ["degraders", "degraders bsrgan", "models list"])
def test_a_list_for_a_full_stdout_is_one_line(command: str) -> None:
    with FULL.open("w", encoding="utf-8") as full:
        told = subprocess.run(
            [sys.executable, "-m", "redeg_cli", *command.split()],
            **{"stdout": full, "stderr": subprocess.PIPE, "text": True, "check": False},
        )
    assert told.returncode == 1
    assert told.stderr == "error: cannot write to stdout: No space left on device\n"
