"""``redeg finetune`` that failed or was stopped: what is left of it, and how it is carried on."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors import safe_open

from redeg_cli.errors import OutputError
from redeg_cli.finetune import album as album_module
from redeg_cli.finetune import checked as checked_module
from redeg_cli.io.lock import folder_lock
from redeg_cli.omega.pool import load_pool

pytestmark = pytest.mark.usefixtures("few_steps")

LEARNED = {"pool.npz", "f2n-finetuned.safetensors", "adapted.safetensors"}


@pytest.mark.parametrize(
    ("error", "code"), [(KeyboardInterrupt(), 130), (MemoryError(), 1), (OutputError("full"), 1)]
)
def test_when_a_photo_fails_what_was_learned_is_kept(
    finetune: Callable,
    redeg: Callable,
    place: SimpleNamespace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    code: int,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(album_module, "restore_photo", fail)
    result = finetune(place.photo, "-o", tmp_path / "out")
    assert result.exit_code == code, result.stderr
    weights = tmp_path / "out" / "f2n-finetuned.safetensors"
    assert f"the fine-tuned restorer is {weights}: `redeg restore --model`" in result.stderr
    assert {path.name for path in weights.parent.iterdir()} == LEARNED | {"state.pt"}
    assert load_pool(tmp_path / "out" / "pool.npz").scale == 2
    with safe_open(weights, "pt") as file:
        metadata = file.metadata()
    assert (metadata["chosen"], metadata["share"]) == ("adapted", "1.0")
    redo = redeg("restore", place.photo, "--model", weights, "-o", tmp_path / "restored.png")
    assert redo.exit_code == 0, redo.stderr


def test_a_tuning_that_was_stopped_is_carried_on(
    finetune: Callable, place: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = finetune(place.photo, "-o", tmp_path / "whole")
    assert whole.exit_code == 0
    monkeypatch.setattr(checked_module, "EVERY", 2)

    def stop(_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checked_module.Checked, "_check", stop)
        stopped = finetune(place.photo, "-o", tmp_path / "out")
    state = tmp_path / "out" / "state.pt"
    assert stopped.exit_code == 130
    assert f"stopped: the same command carries on from {state}" in stopped.stderr
    assert [path.name for path in state.parent.iterdir()] == ["state.pt"]
    refused = finetune(place.photo, "-o", tmp_path / "out", "--seed", 1)  # of another tuning
    assert refused.exit_code == 1
    assert f"{state} is of another run" in refused.stderr
    other = finetune(place.photo, "-o", tmp_path / "out", "--seed", 1, "--overwrite")
    assert other.exit_code == 0
    assert "carrying on" not in other.stderr
    assert not state.exists()

    with monkeypatch.context() as patch:
        patch.setattr(checked_module.Checked, "_check", stop)
        assert finetune(place.photo, "-o", tmp_path / "again").exit_code == 130
    again = finetune(place.photo, "-o", tmp_path / "again")
    assert again.exit_code == 0, again.stderr
    assert "carrying on after 2 steps of fine-tuning" in again.stderr
    for name in ("f2n-finetuned.safetensors", "old_restored.png"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_when_the_tuning_fails_nothing_is_written(
    finetune: Callable, place: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(album_module, "choose", fail)
    result = finetune(place.photo, "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert "redeg restore" not in result.stderr
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["state.pt"]


def test_what_was_stopped_while_restoring_is_carried_on(
    finetune: Callable, place: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also with other settings of the restoring, and some results written already."""
    album, out = tmp_path / "album", tmp_path / "out"
    album.mkdir()
    for name in ("a.png", "b.png"):
        (album / name).write_bytes(place.photo.read_bytes())
    restore, restored = album_module.restore_photo, []

    def second(*arguments: Any, **options: Any) -> Any:
        restored.append(1)
        if len(restored) == 2:
            raise KeyboardInterrupt
        return restore(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(album_module, "restore_photo", second)
        stopped = finetune(album, "-o", out)
    assert stopped.exit_code == 130
    assert (out / "a_restored.png").exists()
    again = finetune(album, "-o", out, "--tile", 64)
    assert again.exit_code == 0, again.stderr
    assert "carrying on after 4 steps of fine-tuning" in again.stderr
    assert (out / "b_restored.png").exists()
    assert not (out / "state.pt").exists()
    done = finetune(album, "-o", out)
    assert done.exit_code == 1
    assert "--overwrite" in done.stderr


def test_a_state_of_something_else_is_not_replaced(
    finetune: Callable, place: SimpleNamespace, tmp_path: Path
) -> None:
    """As `redeg train` leaves one."""
    torch.save({"step": 3}, tmp_path / "state.pt")
    before = (tmp_path / "state.pt").read_bytes()
    result = finetune(place.photo, "-o", tmp_path)
    assert result.exit_code == 1
    assert "is of another run" in result.stderr
    assert (tmp_path / "state.pt").read_bytes() == before


def test_one_at_a_time_in_a_folder(
    finetune: Callable, place: SimpleNamespace, tmp_path: Path
) -> None:
    with folder_lock(tmp_path):
        result = finetune(place.photo, "-o", tmp_path)
    assert result.exit_code == 1
    assert "another redeg is at work" in result.stderr
