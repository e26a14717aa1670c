"""Manifests: one JSON object per line, written as work goes on."""

import json
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from redeg_cli.errors import DiskFullError, InputError, OutputError
from redeg_cli.io.files import to_plain


class ManifestWriter:
    """Writes rows to a manifest; each is on disk (for readers of the file) when ``write`` ends.

    Several threads may write at a time.
    With ``append`` the rows go behind those already there, and a last line that was torn by a
    crash is taken off first; without, a file of that name is emptied. Raises OutputError.
    """

    def __init__(self, path: Path, append: bool = False) -> None:
        self.path = Path(path)
        self._lock = threading.Lock()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if append and self.path.exists():
                _repair(self.path)
            self._file = self.path.open("ab" if append else "wb")
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror or error}") from error

    def write(self, row: Mapping[str, Any]) -> None:
        """Write one row (values as ``to_plain`` takes them).

        Raises DiskFullError: without its rows there is no use in going on.
        """
        line = json.dumps(to_plain(row), ensure_ascii=False, allow_nan=False) + "\n"
        try:
            with self._lock:
                self._file.write(line.encode("utf-8"))
                self._file.flush()
        except OSError as error:
            raise self._full(error) from error

    def close(self) -> None:
        """Close the file; closing twice is fine. Raises DiskFullError."""
        try:
            self._file.close()
        except OSError as error:  # of what an earlier write left behind
            raise self._full(error) from error

    def _full(self, error: OSError) -> DiskFullError:
        return DiskFullError(f"cannot write {self.path}: {error.strerror or error}")

    def __enter__(self) -> "ManifestWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.close()
        except DiskFullError:
            if error is None:  # else that one tells what came first
                raise


def read_manifest(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a manifest; a half-written last line is left out.

    Raises InputError for a missing file and for any other line that is not a JSON object.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: give the path of a manifest (.jsonl)") from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None
    *lines, last = content.split(b"\n")
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        row = _parse(line)
        if row is None:
            raise InputError(f"{path} line {number} is not a JSON object: is it a manifest?")
        rows.append(row)
    row = _parse(last)
    return rows if row is None else [*rows, row]


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def _repair(path: Path) -> None:
    """End the file with a whole line: complete the last one, or cut it off when it is torn."""
    content = path.read_bytes()
    kept, newline, last = content.rpartition(b"\n")
    if not last:
        return
    with path.open("r+b") as file:
        if _parse(last) is not None:
            file.seek(0, 2)
            file.write(b"\n")
        else:
            file.truncate(len(kept) + len(newline))
