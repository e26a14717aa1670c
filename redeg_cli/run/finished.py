"""What the manifest of an output folder says is made already.

A row holds a record of some kilobytes and a set may have millions of rows: of each only what a
resume compares is kept in memory, and where the row lies in the file.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from sys import intern
from typing import Any, NamedTuple

from redeg_cli.io.files import atomic_path
from redeg_cli.io.manifest import encode_row, read_row, scan_manifest
from redeg_cli.run.jobs import Settings

Row = dict[str, Any]

FAILED = "failed"
"""Status of an LQ that could not be made."""
_SETTINGS = [each.name for each in fields(Settings)]


class Known(NamedTuple):
    """What is kept of one LQ's row."""

    offset: int
    """Of its line in the manifest, in bytes."""
    status: str
    settings: Row
    """Those of the run that made it; one object for all rows that agree."""
    name: str
    variant: int
    hq: str
    hq_digest: str
    hq_bytes: int
    hq_mtime_ns: int
    size: list[int] | None
    tile: int | None
    """That the run began with: the same for all rows of a run, whatever the memory allowed."""
    lq_bytes: int | None
    """Size of the file as it was written; older rows do not say."""
    pair: str | None
    """The file of the HQ beside it, in a set of pairs."""
    pair_bytes: int | None


def read_known(manifest: Path) -> tuple[dict[str, Known], int]:
    """Return what the last row of each LQ says (``says_more``), in the order in which the LQs first
    came, and how many rows the manifest has. A file that is not there has none."""
    known: dict[str, Known] = {}
    shared: dict[str, Row] = {}
    count = 0
    if not manifest.exists():
        return known, count
    for offset, row in scan_manifest(manifest):
        count += 1
        lq = row.get("lq")
        if not isinstance(lq, str):
            continue  # a row of something else
        status = intern(str(row.get("status")))
        if not says_more(status, known[lq].status if lq in known else None):
            continue
        settings = {name: row.get(name) for name in _SETTINGS}
        settings = shared.setdefault(json.dumps(settings), settings)
        rest = (row.get(name) for name in Known._fields[3:])
        known[lq] = Known(offset, status, settings, *rest)  # pyright: ignore
    return known, count


def says_more(status: object, before: object) -> bool:
    """Return whether a row of some status counts after one of the status ``before`` of the same LQ.

    To make an LQ anew and fail leaves what is there, and what is known of it.
    """
    return status != FAILED or before in (None, FAILED)


def read_rows(manifest: Path, known: Iterable[Known]) -> Iterator[Row]:
    """Yield the whole rows."""
    with manifest.open("rb") as file:
        for each in known:
            yield read_row(file, each.offset)


def tidy(manifest: Path, order: Sequence[str], changes: Mapping[str, Row]) -> None:
    """Leave one row per LQ in a manifest: those of ``order`` last and in that order.

    Row ``lq`` gets the values of ``changes[lq]``. Nothing is written when all is as it should be.
    """
    known, count = read_known(manifest)
    last = {lq: known.pop(lq) for lq in order if lq in known}
    rows = known | last
    offsets = [each.offset for each in rows.values()]
    if not changes and len(rows) == count and offsets == sorted(offsets):
        return
    with atomic_path(manifest) as temporary, temporary.open("wb") as file:
        for lq, row in zip(rows, read_rows(manifest, rows.values()), strict=True):
            file.write(encode_row(row | changes.get(lq, {})))
