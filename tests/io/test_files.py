"""Files appear whole or not at all."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from redeg_cli.errors import OutputError
from redeg_cli.io.files import (
    atomic_path,
    ensure_writable,
    replace_file,
    to_plain,
    write_json,
    write_text,
)


def test_the_file_appears_at_the_end_only(tmp_path: Path) -> None:
    target = tmp_path / "new" / "ä.png"
    with atomic_path(target) as temporary:
        assert temporary.parent == target.parent
        assert temporary.suffix == ".png"
        temporary.write_bytes(b"whole")
        assert not target.exists()
    assert target.read_bytes() == b"whole"
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_failure_leaves_the_old_file(tmp_path: Path, error: type[BaseException]) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")

    def fail() -> None:
        with atomic_path(target) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        fail()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_full_disk_is_an_output_error(tmp_path: Path) -> None:
    def fail() -> None:
        with atomic_path(tmp_path / "a.txt") as temporary:
            temporary.write_text("half")
            raise OSError(28, "No space left on device")

    with pytest.raises(OutputError, match=r"cannot write .*a\.txt: No space left"):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_windows_waits_for_who_has_the_file_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = tmp_path / "new", tmp_path / "old"
    source.touch()
    waited: list[float] = []
    refused = 3
    replace = os.replace

    def busy(a: Path, b: Path) -> None:
        if len(waited) < refused:
            raise PermissionError(13, "Access is denied")
        replace(a, b)

    with monkeypatch.context() as patch:
        patch.setattr(os, "name", "nt")
        patch.setattr(os, "replace", busy)
        patch.setattr("redeg_cli.io.files.time.sleep", waited.append)
        replace_file(source, target)
        refused = 99
        with pytest.raises(PermissionError):
            replace_file(target, source)
    assert waited[:3] == [0.05, 0.1, 0.2]
    assert sum(waited[3:]) == pytest.approx(3.15)
    assert target.exists()


def test_other_errors_of_the_block_pass_through(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "a.txt"):
        (tmp_path / "input.txt").read_text()
    with pytest.raises(OutputError, match="nothing was written"), atomic_path(tmp_path / "a.txt"):
        pass


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        write_text(tmp_path / "file" / "a.txt", "x")
    with pytest.raises(OutputError, match="is a folder"):
        write_text(tmp_path, "x")
    with pytest.raises(OutputError, match="cannot write"):
        write_text(tmp_path / "bad\0name", "x")
    if os.path.exists("/dev/null"):
        with pytest.raises(OutputError, match="not a regular file"):
            write_text(Path("/dev/null"), "x")


def test_a_long_name_has_room_for_the_temporary_file(tmp_path: Path) -> None:
    target = tmp_path / ("n" * 250 + ".txt")
    write_text(target, "x")
    assert target.read_text() == "x"


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


def test_permissions_are_the_usual_ones(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "x")
    (tmp_path / "b").write_text("x")
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


def test_ensure_writable(tmp_path: Path) -> None:
    ensure_writable(tmp_path / "a", False)
    (tmp_path / "a").write_text("")
    ensure_writable(tmp_path / "a", True)
    with pytest.raises(OutputError, match="a exists; give --overwrite to replace it"):
        ensure_writable(tmp_path / "a", False)
    with pytest.raises(OutputError, match="is a folder"):
        ensure_writable(tmp_path, True)


@pytest.mark.skipif(os.name == "nt", reason="Windows counts other units")
def test_a_name_too_long_for_the_file_system_is_refused_before_any_work(tmp_path: Path) -> None:
    suffix = "_restored.png"
    fits, over = "n" * (255 - len(suffix)) + suffix, "n" * (256 - len(suffix)) + suffix
    for folder in (tmp_path, tmp_path / "new", tmp_path / "new" / "deep"):
        ensure_writable(folder / fits, False)
        with pytest.raises(OutputError, match="a name of 256 bytes is too long"):
            ensure_writable(folder / over, False)
    with pytest.raises(OutputError, match="a name of 258 bytes is too long"):
        ensure_writable(tmp_path / ("ä" * 129) / "a.png", False)
    assert list(tmp_path.iterdir()) == []


def test_names_that_are_no_utf8_can_be_written(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.jpg")
    write_json(tmp_path / "a.json", {"photo": name, "ä": Path(name)})
    assert json.loads((tmp_path / "a.json").read_bytes()) == {"photo": name, "ä": name}
    write_text(tmp_path / "a.md", name)
    assert (tmp_path / "a.md").read_bytes() == rb"caf\udce9.jpg"


@dataclass
class Row:
    path: Path
    size: tuple[int, int]


def test_json_is_what_any_reader_accepts(tmp_path: Path) -> None:
    content = {
        "row": Row(Path("ä.png"), (3, 4)),
        "psnr": float("inf"),
        "nan": np.float32("nan"),
        "list": np.arange(3),
        "one": np.int64(1),
        "yes": np.bool_(True),
        "set": {2, 1},
        3: None,
    }
    write_json(tmp_path / "a.json", content)
    text = (tmp_path / "a.json").read_bytes().decode("utf-8")
    assert "ä" in text
    assert text.endswith("}\n")
    assert json.loads(text) == {
        "row": {"path": "ä.png", "size": [3, 4]},
        "psnr": None,
        "nan": None,
        "list": [0, 1, 2],
        "one": 1,
        "yes": True,
        "set": [1, 2],
        "3": None,
    }
    with pytest.raises(TypeError, match="object"):
        to_plain(object())
