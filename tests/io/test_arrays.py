"""Arrays with a header in one file."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from redeg_cli.errors import InputError
from redeg_cli.io import arrays
from redeg_cli.io.arrays import read_arrays, read_header, write_arrays


def test_what_is_written_is_read_and_the_same_content_is_the_same_file(tmp_path: Path) -> None:
    given = {"a": np.arange(6.0).reshape(2, 3), "name": np.array(["ñ", "b"])}
    for name in ("x", "y"):
        write_arrays(tmp_path / f"{name}.npz", given, {"kind": "test", "n": 2})
    assert (tmp_path / "x.npz").read_bytes() == (tmp_path / "y.npz").read_bytes()
    found, header = read_arrays(tmp_path / "x.npz", "pool", "redeg make")
    assert header == {"kind": "test", "n": 2} == read_header(tmp_path / "x.npz")
    assert np.array_equal(found["a"], given["a"])
    assert found["name"].tolist() == ["ñ", "b"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("none.npz", "pool .*none.npz does not exist"),
        ("folder", "is a folder"),
        ("text.npz", "not a pool .not an .npz file"),
        ("plain.npz", "not a pool"),
        ("cut.npz", "not a pool .*; make one with `redeg make`"),
        ("odd.npz", "not a pool"),
    ],
)
def test_anything_else_is_one_line(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.npz").write_text("text")
    np.savez(tmp_path / "plain.npz", a=np.zeros(3))
    write_arrays(tmp_path / "whole.npz", {"a": np.random.default_rng(0).random(500)}, {})
    (tmp_path / "cut.npz").write_bytes((tmp_path / "whole.npz").read_bytes()[:900])
    # What NumPy says of an array's header that ends within a bracket is no ValueError.
    np.save(tmp_path / "header.npy", np.array("{}"))
    with zipfile.ZipFile(tmp_path / "odd.npz", "w") as odd:
        odd.writestr("header.npy", (tmp_path / "header.npy").read_bytes().replace(b"()", b"(("))
    with pytest.raises(InputError, match=words) as raised:
        read_arrays(tmp_path / name, "pool", "redeg make")
    assert "\n" not in str(raised.value)
    assert read_header(tmp_path / name) == {}


def test_a_file_that_would_fill_the_memory_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrays, "_ALWAYS", 1 << 16)
    large = {"a": np.random.default_rng(0).random(50_000, np.float32)}
    write_arrays(tmp_path / "large.npz", large, {"n": 1})
    assert read_header(tmp_path / "large.npz") == {"n": 1}
    assert len(read_arrays(tmp_path / "large.npz", "pool", "redeg make")[0]["a"]) == 50_000
    write_arrays(tmp_path / "bomb.npz", {"a": np.zeros(50_000, np.float32)}, {"n": 1})
    with pytest.raises(InputError, match=r"bomb.npz is not a pool \(its [\d,]+ bytes would unpack"):
        read_arrays(tmp_path / "bomb.npz", "pool", "redeg make")
    assert read_header(tmp_path / "bomb.npz") == {}
