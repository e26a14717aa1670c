"""Arrays with a header in one file."""

from pathlib import Path

import numpy as np
import pytest

from redeg_cli.errors import InputError
from redeg_cli.io.arrays import read_arrays, read_header, write_arrays


def test_what_is_written_is_read_and_the_same_content_is_the_same_file(tmp_path: Path) -> None:
    arrays = {"a": np.arange(6.0).reshape(2, 3), "name": np.array(["ñ", "b"])}
    for name in ("x", "y"):
        write_arrays(tmp_path / f"{name}.npz", arrays, {"kind": "test", "n": 2})
    assert (tmp_path / "x.npz").read_bytes() == (tmp_path / "y.npz").read_bytes()
    found, header = read_arrays(tmp_path / "x.npz", "pool")
    assert header == {"kind": "test", "n": 2} == read_header(tmp_path / "x.npz")
    assert np.array_equal(found["a"], arrays["a"])
    assert found["name"].tolist() == ["ñ", "b"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("none.npz", "pool .*none.npz does not exist"),
        ("folder", "is a folder"),
        ("text.npz", "not a pool .not an .npz file"),
        ("plain.npz", "not a pool"),
        ("cut.npz", "not a pool"),
    ],
)
def test_anything_else_is_one_line(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.npz").write_text("text")
    np.savez(tmp_path / "plain.npz", a=np.zeros(3))
    write_arrays(tmp_path / "whole.npz", {"a": np.random.default_rng(0).random(500)}, {})
    (tmp_path / "cut.npz").write_bytes((tmp_path / "whole.npz").read_bytes()[:900])
    with pytest.raises(InputError, match=words) as raised:
        read_arrays(tmp_path / name, "pool")
    assert "\n" not in str(raised.value)
    assert read_header(tmp_path / name) == {}
