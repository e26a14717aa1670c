"""What the README says is true: its commands parse, its Python runs, its main job works."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from redeg_cli.cli.app import app

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def commands() -> list[list[str]]:
    """Return the words after ``redeg`` of every indented command line."""
    lines = re.findall(r"^    (?:uv run )?redeg (.+)$", README, flags=re.MULTILINE)
    return [shlex.split(line, comments=True) for line in lines]


def test_there_are_commands() -> None:
    assert ["finetune", "examples/old_photo.jpg"] in commands()
    assert {words[0] for words in commands()} >= {"restore", "build-pool", "synthesize", "train"}


@pytest.mark.parametrize("words", commands(), ids=shlex.join)
def test_command_parses(words: list[str]) -> None:
    command = typer.main.get_command(app)
    rest = list(words)
    while hasattr(command, "get_command"):
        name = rest.pop(0)
        command = command.get_command(None, name)  # pyright: ignore[reportAttributeAccessIssue]
        assert command is not None, name
    command.make_context("redeg", rest)


def test_python_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})
    assert (tmp_path / "restored.png").is_file()


def test_main_job_with_the_embedded_weights(tmp_path: Path) -> None:
    photo = ROOT / "examples" / "old_photo.jpg"
    words = ["finetune", str(photo), "--steps", "8", "--device", "cpu", "--json", "-o", "out"]
    run = subprocess.run(
        [sys.executable, "-m", "redeg_cli", *words],
        cwd=tmp_path,
        env={"PATH": "", "PYTHONPATH": str(ROOT), "REDEG_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    summary = json.loads(run.stdout)
    (found,) = summary["photos"]
    assert len(found["faces"]) == 1
    assert len(summary["lattice"]) >= 4
    assert set(summary["held_out_scores"]) == {"general", "adapted"}
    files = summary["files"]
    single = [files[key] for key in ("page", "pool", "weights", "summary")]
    for name in (*files["restored"], *files["before_after"], *single):
        assert (tmp_path / "out" / name).stat().st_size > 0
