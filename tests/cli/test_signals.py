"""What a scheduler or a closed terminal sends ends a command as Ctrl-C does."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import signal
import sys
import time
from pathlib import Path

from redeg_cli.cli.app import COMMANDS, Entry, main
from redeg_cli.io.files import atomic_path


def write():
    with atomic_path(Path("out.png")) as temporary:
        temporary.write_bytes(b"half of it")
        print("under way", flush=True)
        input()  # until it is stopped, or told to go on
        temporary.write_bytes(b"all of it")


if sys.argv[1:] == ["as in a terminal"]:  # the tests themselves may run under nohup
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
COMMANDS["write"] = Entry("__main__", "write", "Write a file.")
sys.argv = ["redeg", "write"]
main()
"""


def start(folder: Path, nohup: bool) -> subprocess.Popen:
    python = [sys.executable, "-c", PROGRAM]
    process = subprocess.Popen(
        ["nohup", *python] if nohup else [*python, "as in a terminal"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(Path.cwd())},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "under way\n"
    return process


@pytest.mark.skipif(os.name != "posix", reason="signals are those of POSIX")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_command_that_is_stopped_leaves_no_half_written_file(tmp_path: Path, name: str) -> None:
    process = start(tmp_path, nohup=False)
    assert len(list(tmp_path.iterdir())) == 1
    process.send_signal(getattr(signal, name))
    _, told = process.communicate()
    assert (process.returncode, told) == (130, "interrupted\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="signals are those of POSIX")
def test_under_nohup_a_closed_terminal_stops_nothing(tmp_path: Path) -> None:
    process = start(tmp_path, nohup=True)
    process.send_signal(signal.SIGHUP)
    _, told = process.communicate("go on\n")
    assert process.returncode == 0, told
    assert (tmp_path / "out.png").read_bytes() == b"all of it"


SWALLOWED = """
import os
import signal
import sys

from redeg_cli.cli.app import COMMANDS, Entry, main


def work():
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    except KeyboardInterrupt:
        pass  # as it happens in the middle of an import
    raise RecursionError("half of it was imported")


COMMANDS["work"] = Entry("__main__", "work", "Work.")
sys.argv = ["redeg", "work"]
main()
"""


@pytest.mark.skipif(os.name != "posix", reason="signals are those of POSIX")
def test_what_fails_after_a_signal_was_swallowed_is_interrupted() -> None:
    environment = os.environ | {"PYTHONPATH": str(Path.cwd())}
    command = [sys.executable, "-c", SWALLOWED]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "interrupted\n")
