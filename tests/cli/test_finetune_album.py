"""``redeg finetune`` on several photos, and what is left of it when it fails."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from safetensors import safe_open

from redeg_cli.errors import OutputError
from redeg_cli.finetune import album as album_module
from redeg_cli.finetune import checked as checked_module
from redeg_cli.io.images import read_rgb, write_rgb
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
    assert {path.name for path in weights.parent.iterdir()} == LEARNED
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
    other = finetune(place.photo, "-o", tmp_path / "out", "--seed", 1)  # of another tuning
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


def test_an_album_gets_one_restorer(
    finetune: Callable, place: SimpleNamespace, tmp_path: Path
) -> None:
    for folder in ("a", "b"):
        (tmp_path / "album" / folder).mkdir(parents=True)
    (tmp_path / "album" / "a" / "one.png").write_bytes(place.photo.read_bytes())
    empty = (place.folder / "empty.png").read_bytes()
    (tmp_path / "album" / "b" / "one.png").write_bytes(empty)
    result = finetune(tmp_path / "album", "-o", tmp_path / "out", "--json")
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    # A photo without a face is restored with what the others tell.
    assert [len(photo["faces"]) for photo in told["photos"]] == [1, 0]
    assert told["files"]["restored"] == ["a_one_restored.png", "b_one_restored.png"]
    assert read_rgb(tmp_path / "out" / "b_one_restored.png").shape == (200, 200, 3)
    assert "2 photos, to be restored by one restorer" in result.stderr
    assert "using one.png: face of" in result.stderr
    boxed = finetune(tmp_path / "album", "-o", tmp_path / "no", "--face-box", "1,2,30,40")
    assert boxed.exit_code == 2
    assert "--region belong to one photo, 2 were given" in boxed.stderr


def test_of_an_album_bad_photos_and_results_are_left_out(
    finetune: Callable, place: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The results lie in the album's folder by default: they are no photos of the next run."""
    album = tmp_path / "album"
    album.mkdir()
    whole = place.photo.read_bytes()
    (album / "one.png").write_bytes(whole)
    (album / "cut.png").write_bytes(whole[: len(whole) // 2])
    (album / "text.png").write_text("not a picture")
    write_rgb(album / "tiny.png", np.zeros((31, 40, 3)))
    monkeypatch.chdir(album)
    for more in ((), ("--overwrite",)):
        result = finetune(".", "--json", *more)
        assert result.exit_code == 1, result.stderr
        told = json.loads(result.stdout)
        assert [photo["name"] for photo in told["photos"]] == ["one.png"]
        assert sorted(Path(name).name for name, _ in told["failed"]) == [
            *("cut.png", "text.png", "tiny.png")
        ]
        assert result.stderr.count("left out: ") == 3
        assert "tiny.png is 40x31 pixels: at least 32x32 are needed" in result.stderr
        assert "3 of 4 failed" in result.stderr
        assert {path.name for path in (album / "album_restored").iterdir()} == {
            *LEARNED,
            *("before_after.png", "index.html", "summary.json"),
            "one_restored.png",
        }
