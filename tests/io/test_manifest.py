"""Manifests survive a crash at any byte."""

import os
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from redeg_cli.errors import DiskFullError, InputError, OutputError
from redeg_cli.io.manifest import ManifestWriter, read_manifest

ROWS = [{"name": "ä.png", "scale": 4}, {"name": "b\n.png", "text": "写真 {}"}, {"n": 3}]


def write(path: Path, rows: list[dict], append: bool = False) -> None:
    with ManifestWriter(path, append=append) as writer:
        for row in rows:
            writer.write(row)


def test_rows_come_back_and_are_readable_at_once(tmp_path: Path) -> None:
    path = tmp_path / "new" / "manifest.jsonl"
    with ManifestWriter(path) as writer:
        for count, row in enumerate(ROWS, start=1):
            writer.write(row)
            assert read_manifest(path) == ROWS[:count]
    assert path.read_bytes().count(b"\n") == 3
    write(path, ROWS[:1])
    assert read_manifest(path) == ROWS[:1]
    write(path, ROWS[1:], append=True)
    assert read_manifest(path) == ROWS


def test_a_crash_at_any_byte_loses_the_torn_row_only(tmp_path: Path) -> None:
    write(tmp_path / "whole", ROWS)
    data = (tmp_path / "whole").read_bytes()
    ends = [index for index, byte in enumerate(data) if byte == 10]
    for cut in range(len(data) + 1):
        path = tmp_path / "cut"
        path.write_bytes(data[:cut])
        whole = sum(cut >= end for end in ends)  # a row without its newline yet is whole
        assert read_manifest(path) == ROWS[:whole]
        write(path, [{"after": 1}], append=True)
        assert read_manifest(path) == [*ROWS[:whole], {"after": 1}]


def test_numpy_values_and_numbers_json_cannot_hold(tmp_path: Path) -> None:
    write(tmp_path / "m", [{"psnr": np.float32("inf"), "n": np.int64(2), "p": Path("a")}])
    assert read_manifest(tmp_path / "m") == [{"psnr": None, "n": 2, "p": "a"}]


def test_a_name_that_is_not_utf_8_comes_back(tmp_path: Path) -> None:
    row = {"lq": os.fsdecode(b"caf\xe9 \xc3\xa9.png")}
    write(tmp_path / "m", [row])
    assert (tmp_path / "m").read_text("utf-8") == '{"lq": "caf\\udce9 é.png"}\n'
    assert read_manifest(tmp_path / "m") == [row]


def test_what_is_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_manifest(tmp_path / "gone")
    (tmp_path / "text").write_text('{"a": 1}\n\n[2]\n{"b": 1}\n')
    with pytest.raises(InputError, match="line 3 is not a JSON object"):
        read_manifest(tmp_path / "text")
    with pytest.raises(InputError, match="cannot read"):
        read_manifest(tmp_path)
    with pytest.raises(OutputError, match="cannot write"):
        ManifestWriter(tmp_path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_is_told_and_hides_nothing() -> None:
    full = Path("/dev/full")
    writer = ManifestWriter(full)
    with pytest.raises(DiskFullError, match="cannot write /dev/full: No space left"):
        writer.write({"a": 1})
    with pytest.raises(DiskFullError, match="cannot write /dev/full: No space left"):
        writer.close()  # the row is still to be written
    with pytest.raises(ZeroDivisionError):
        fail_after_a_row(full)


def fail_after_a_row(path: Path) -> None:
    with ManifestWriter(path) as writer:
        with suppress(DiskFullError):
            writer.write({"a": 1})
        raise ZeroDivisionError
