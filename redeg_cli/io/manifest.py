"""Manifests: one JSON object per line, written as work goes on."""

import json
import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from redeg_cli.errors import DiskFullError, InputError, OutputError
from redeg_cli.io.files import to_plain

_BLOCK = 1 << 16
"""How much of a file's end is read at a time, in bytes."""


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
        line = encode_row(row)
        try:
            with self._lock:
                self._file.write(line)
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


def encode_row(row: Mapping[str, Any]) -> bytes:
    """Return the line of one row (values as ``to_plain`` takes them), with its end."""
    line = json.dumps(to_plain(row), ensure_ascii=False, allow_nan=False) + "\n"
    # Of a file's name that is not UTF-8, the bytes that are none become JSON's \udcxx.
    return line.encode("utf-8", "backslashreplace")


def read_manifest(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a manifest; a half-written last line is left out.

    Raises InputError for a missing file and for any other line that is not a JSON object.
    """
    return [row for _, row in scan_manifest(path)]


def scan_manifest(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (offset of its line in bytes, row) one after the other. See ``read_manifest``."""
    path = Path(path)
    offset = 0
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                row = _parse(line)
                if row is not None:
                    yield offset, row
                elif line.strip() and line.endswith(b"\n"):
                    raise InputError(
                        f"{path} line {number} is not a JSON object: is it a manifest? If one line "
                        "is damaged, delete it: what it stands for is made again"
                    )
                offset += len(line)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: give the path of a manifest (.jsonl)") from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None


def read_row(file: BinaryIO, offset: int) -> dict[str, Any]:
    """Return the row whose line begins at ``offset``, as ``scan_manifest`` found it."""
    file.seek(offset)
    return json.loads(file.readline())


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def _repair(path: Path) -> None:
    """End the file with a whole line: complete the last one, or cut it off when it is torn."""
    with path.open("r+b") as file:
        end = start = file.seek(0, os.SEEK_END)
        last = b""
        while start and b"\n" not in last:
            file.seek(max(0, start - _BLOCK))
            last = file.read(start - file.tell()) + last
            start = max(0, start - _BLOCK)
        last = last.rpartition(b"\n")[2]
        if not last:
            return
        if _parse(last) is not None:
            file.seek(end)
            file.write(b"\n")
        else:
            file.truncate(end - len(last))
