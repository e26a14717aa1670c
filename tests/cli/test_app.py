"""The command itself: help, version, exit codes and errors."""

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import typer
from PIL import Image

from redeg_cli import __version__
from redeg_cli.cli import app as app_module
from redeg_cli.cli import common, messages
from redeg_cli.cli.app import COMMANDS, Entry
from redeg_cli.errors import InputError, ModelChoiceError, RecipeError


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Put a command ``fail`` into the table that raises what it is given."""

    def put(error: BaseException) -> None:
        def fail(as_json: common.JsonOption = False) -> None:
            del as_json
            raise error

        monkeypatch.setattr(sys.modules[__name__], "fail_command", fail, raising=False)
        monkeypatch.setitem(COMMANDS, "fail", Entry(__name__, "fail_command", "Fail."))

    return put


def test_help_names_every_command_with_its_help(redeg: Callable) -> None:
    result = redeg("--help")
    assert result.exit_code == 0
    for name in COMMANDS:
        [line] = [text for text in result.stdout.splitlines() if text.startswith(f"  {name} ")]
        assert len(line.split()) > 3
        assert line.endswith(".")
        assert not line.endswith("...")
    assert {"restore", "models", "doctor"} <= set(COMMANDS)


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_has_a_help_page(redeg: Callable, name: str) -> None:
    for option in ("--help", "-h"):
        result = redeg(name, option)
        assert result.exit_code == 0, result.output
        assert f"Usage: redeg {name}" in result.stdout


def test_no_arguments_show_the_help(redeg: Callable) -> None:
    assert "Usage: redeg" in redeg().output


def test_version(redeg: Callable) -> None:
    assert redeg("--version").stdout == f"redeg {__version__}\n"


def test_python_m_redeg_cli_is_redeg_and_loads_no_torch() -> None:
    code = (
        "import runpy, sys; sys.argv = ['redeg', '--help']\n"
        "try:\n    runpy.run_module('redeg_cli', run_name='__main__')\n"
        "except SystemExit as end:\n    print(end.code, {'torch', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        check=True,
    )
    assert "Usage: redeg [OPTIONS]" in done.stdout
    assert done.stdout.splitlines()[-1] == "0 set()"


@pytest.mark.parametrize(
    "arguments", [("restor",), ("--nonsense",), ("restore",), ("restore", "a.png", "--bad")]
)
def test_wrong_usage_is_code_two_on_stderr(redeg: Callable, arguments: tuple[str, ...]) -> None:
    result = redeg(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "Usage: redeg" in result.stderr


def test_a_mistyped_command_gets_a_hint(redeg: Callable) -> None:
    assert "Did you mean 'restore'?" in redeg("restor").stderr


def test_a_users_mistake_is_one_line_and_code_one(redeg: Callable, failing: Callable) -> None:
    failing(InputError("a.png is not\na picture"))
    result = redeg("fail")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr == "error: a.png is not a picture\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("restore", "here.png", "-o", "out", "--device", "gpu"),
        ("restore", "here.png", "-o", "out", "--precision", "fp8"),
        ("restore", "here.png", "-o", "out", "--model", "nonsense"),
        ("restore", "here.png", "-o", "out", "--model", "nowhere.pth"),
        ("restore", "here.png", "-o", "out", "--scale", "3"),
        ("restore", "here.png", "-o", "out", "--texture", "2"),
        ("restore", "here.png", "-o", "out", "--model", "redegnet-lite"),
        ("restore", "here.png", "-o", "out", "--model", "f2n-compact-perceptual", "--texture", "1"),
        ("synthesize", "here.png", "-o", "out", "--degrader", "nonsense"),
        ("degraders", "nonsense"),
        ("models", "info", "nonsense"),
        ("models", "download", "nonsense"),
        ("train", "restorer", "--recipe", "nonsense", "-o", "out"),
        ("train", "restorer", "--recipe", "f2n", "--set", "nonsense=1", "-o", "out"),
        ("evaluate", "restore", "--lq", ".", "--model", "bicubic", "--metric", "nonsense"),
    ],
    ids=" ".join,
)
def test_a_wrong_value_of_an_option_is_wrong_usage(
    redeg: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (64, 64)).save("here.png")
    result = redeg(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert "rror: " in result.stderr
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (InputError("a.png is not\na picture"), 1, "a.png is not a picture"),
        (ModelChoiceError("no model is called 'x'"), 2, "no model is called 'x'"),
        (RecipeError("unknown key 'x'"), 2, "unknown key 'x'"),
        (ZeroDivisionError("oops"), 1, "unexpected ZeroDivisionError: oops"),
        (typer.BadParameter("give a folder"), 2, "Invalid value: give a folder"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_with_json_an_error_is_told_as_json_too(
    redeg: Callable, failing: Callable, error: BaseException, code: int, told: str
) -> None:
    failing(error)
    plain, result = redeg("fail"), redeg("fail", "--json")
    assert plain.exit_code == result.exit_code == code
    assert plain.stdout == ""
    assert json.loads(result.stdout)["error"].startswith(told)
    assert result.stderr == plain.stderr
    assert told in result.stderr


def test_with_json_a_mistyped_command_or_option_is_told_as_json(redeg: Callable) -> None:
    for arguments in (("restor", "--json"), ("restore", "--json", "a.png", "--bad")):
        result = redeg(*arguments)
        assert result.exit_code == 2
        assert json.loads(result.stdout)["error"].startswith("No such ")


def test_with_json_a_batch_of_which_nothing_is_left_is_told_as_json(
    redeg: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(as_json: common.JsonOption = False) -> None:
        del as_json
        failed = [("a.png", "a.png is empty"), ("b.png", "too small")]
        common.Outcome(0, failed).finish()

    monkeypatch.setattr(sys.modules[__name__], "fail_command", fail, raising=False)
    monkeypatch.setitem(COMMANDS, "fail", Entry(__name__, "fail_command", "Fail."))
    result = redeg("fail", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout) == {"error": "a.png is empty; b.png: too small"}


def test_with_json_a_result_that_was_written_stays_the_only_one(
    redeg: Callable, tiny_model: Path, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(b"nothing")
    Image.new("RGB", (16, 16)).save(tmp_path / "in" / "b.png")
    options = ("--model", tiny_model, "--device", "cpu", "--json")
    result = redeg("restore", tmp_path / "in", "-o", tmp_path / "out", *options)
    assert result.exit_code == 1
    assert [row["status"] for row in json.loads(result.stdout)["photos"]] == ["failed", "done"]


def test_quiet_leaves_notes_and_progress_out_and_nothing_else(
    redeg: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(item: str, on_progress: Callable) -> None:
        on_progress(1, 2)
        if item == "bad":
            raise InputError("bad is empty")

    def command() -> None:
        messages.say("a note")
        messages.warn("a warning")
        with common.progress("listing", every_seconds=0) as on_progress:
            on_progress(1, 2)
        common.run_batch(["good", "bad"], work, str, report=messages.emit_path).finish()

    monkeypatch.setattr(sys.modules[__name__], "fail_command", command, raising=False)
    monkeypatch.setitem(COMMANDS, "fail", Entry(__name__, "fail_command", "Fail."))
    loud = redeg("fail")
    assert loud.stderr.startswith("a note\nwarning: a warning\nlisting: 50%")
    for option in ("-q", "--quiet"):
        result = redeg(option, "fail")
        assert (result.exit_code, result.stdout) == (1, "good\n")
        told = ["warning: a warning", "error: bad is empty", "1 of 2 failed"]
        assert result.stderr.splitlines() == told
    assert redeg("fail").stderr == loud.stderr


def test_debug_shows_the_traceback(
    redeg: Callable, failing: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(InputError("a.png is not a picture"))
    result = redeg("--debug", "fail")
    assert result.exit_code == 1
    assert "Traceback" in result.stderr
    assert result.stderr.endswith("error: a.png is not a picture\n")
    assert "Traceback" not in redeg("fail").stderr
    monkeypatch.setenv("REDEG_DEBUG", "1")
    assert "Traceback" in redeg("fail").stderr


def test_ctrl_c_is_one_word_and_code_130(redeg: Callable, failing: Callable) -> None:
    failing(KeyboardInterrupt())
    result = redeg("fail")
    assert result.exit_code == 130
    assert result.stderr == "interrupted\n"


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate 20.00 GiB"),
        MemoryError("Unable to allocate 20 GiB"),
    ],
)
def test_too_little_memory_is_no_fault_of_ours(
    redeg: Callable, failing: Callable, error: Exception
) -> None:
    failing(error)
    result = redeg("fail")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: too little memory: take smaller pictures")
    assert "20" in result.stderr
    assert "unexpected" not in result.stderr


def test_a_fault_of_ours_is_one_line_that_says_so(redeg: Callable, failing: Callable) -> None:
    failing(ZeroDivisionError("oops\nagain"))
    result = redeg("fail")
    assert result.exit_code == 1
    told = "error: unexpected ZeroDivisionError: oops again (redeg --debug shows where)\n"
    assert (result.stdout, result.stderr) == ("", told)
    shown = redeg("--debug", "fail")
    assert shown.exit_code == 1
    assert "Traceback" in shown.stderr
    assert "in fail\n" in shown.stderr


def test_what_typer_handles_is_left_to_it(redeg: Callable, failing: Callable) -> None:
    failing(typer.BadParameter("no such thing"))
    assert redeg("fail").exit_code == 2
    failing(typer.Exit(7))
    assert redeg("fail").exit_code == 7
    failing(typer.Abort())
    assert "Aborted" in redeg("fail").stderr
    failing(BrokenPipeError(errno.EPIPE, "Broken pipe"))
    result = redeg("fail")
    assert (result.exit_code, result.stderr) == (1, "")


def test_names_that_are_no_utf8_reach_stdout_as_they_are() -> None:
    code = (
        "import os, sys; from redeg_cli.cli import app, messages\n"
        "app.app = lambda **_: messages.emit_path(os.fsdecode(b'caf\\xe9.png'))\n"
        "app.main()"
    )
    done = subprocess.run(
        [sys.executable, "-X", "utf8", "-c", code],
        capture_output=True,
        cwd=Path(app_module.__file__).parents[2],
        check=False,
    )
    assert done.stderr == b""
    assert done.stdout.rstrip() == b"caf\xe9.png"


def test_json_holds_only_what_json_can(capsys: pytest.CaptureFixture[str]) -> None:
    messages.emit_json({"path": Path("a") / "ñ.png", "bad": [float("nan"), 1.5], "none": None})
    text = capsys.readouterr().out
    assert json.loads(text) == {"path": "a/ñ.png", "bad": [None, 1.5], "none": None}
    assert "ñ" in text


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_a_pipe_gets_utf8_whatever_the_code_page(encoding: str) -> None:
    for arguments in (["degraders"], ["build-noise", "--help"], ["--help"]):
        done = subprocess.run(
            [sys.executable, "-m", "redeg_cli", *arguments],
            capture_output=True,
            env=os.environ | {"PYTHONIOENCODING": encoding},
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.decode("utf-8")
