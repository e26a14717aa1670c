"""``redeg finetune`` on several photos."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from redeg_cli.io.images import read_rgb, write_rgb

pytestmark = pytest.mark.usefixtures("few_steps")


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
            *("pool.npz", "f2n-finetuned.safetensors", "adapted.safetensors"),
            *("before_after.png", "index.html", "summary.json"),
            "one_restored.png",
        }
