"""What a resume keeps of a manifest."""

import tracemalloc
from dataclasses import asdict
from pathlib import Path

from redeg_cli.io.manifest import ManifestWriter, read_manifest
from redeg_cli.run.finished import read_known, read_rows, tidy
from redeg_cli.run.jobs import Settings

SETTINGS = asdict(Settings("bsrgan", 4, False, 0))


def write(path: Path, names: list[str], **more: object) -> None:
    with ManifestWriter(path, append=True) as writer:
        for name in names:
            row = {"lq": f"{name}.png", "hq": f"/hq/{name}.png", "name": name, "variant": 0}
            writer.write({**row, **SETTINGS, "status": "ok", **more})


def test_a_row_takes_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "manifest.jsonl"
    write(path, [str(n) for n in range(2000)], record={"kernel": [i / 7 for i in range(300)]})
    assert path.stat().st_size > 2000 * 5000
    tracemalloc.start()
    known, count = read_known(path)
    peak = tracemalloc.get_traced_memory()[1]
    tidy(path, list(reversed(known)), {})
    whole = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == len(known) == 2000
    assert peak < 2000 * 700
    assert whole < 2000 * 1500
    assert len({id(each.settings) for each in known.values()}) == 1


def test_a_failure_does_not_hide_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "manifest.jsonl"
    write(path, ["a", "b"])
    write(path, ["b"], status="replacing")
    write(path, ["c"], status="failed", message="old")
    write(path, ["a", "b", "c"], status="failed", message="new")
    assert [each.status for each in read_known(path)[0].values()] == ["ok", "replacing", "failed"]
    tidy(path, ["a.png", "b.png", "c.png"], {})
    assert [row.get("message") for row in read_manifest(path)] == [None, None, "new"]


def test_the_last_row_of_each_counts_and_is_put_in_order(tmp_path: Path) -> None:
    path = tmp_path / "manifest.jsonl"
    write(path, ["b", "other", "a"], status="failed")
    write(path, ["a", "b"], size=[3, 4])
    known, count = read_known(path)
    assert (list(known), count) == (["b.png", "other.png", "a.png"], 5)
    assert [each.status for each in known.values()] == ["ok", "failed", "ok"]
    rows = list(read_rows(path, known.values()))
    assert rows == [read_manifest(path)[index] for index in (4, 1, 3)]
    tidy(path, ["a.png", "b.png", "never made"], {"b.png": {"hq": "/moved"}})
    assert read_manifest(path) == [rows[1], rows[2], rows[0] | {"hq": "/moved"}]
    before = path.stat().st_ino
    tidy(path, ["a.png", "b.png"], {})
    assert path.stat().st_ino == before
