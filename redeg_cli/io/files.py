"""Files written whole or not at all."""

import dataclasses
import errno
import json
import math
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from redeg_cli.errors import DiskFullError, OutputError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS})
_DISK_ERRORS = _FULL | {errno.EIO}

_PATIENCE = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
"""Seconds between attempts to replace a file that another program has open."""
_HIDDEN = ".redeg-"
"""How the names of temporary files begin."""


@contextmanager
def atomic_path(path: Path, durable: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; it becomes ``path`` when the block ends well.

    The temporary file has the suffix of ``path`` (encoders choose the format by it) and a hidden
    name. Missing parent folders are made. After any exception, KeyboardInterrupt too, it is
    deleted and ``path`` is as it was. What is not ``durable`` may be empty or cut off after a power
    cut: for files of which somebody knows how long they are. Raises OutputError when the place
    cannot be written, DiskFullError when nothing can be written there any more.
    """
    if "\0" in str(path):
        raise OutputError(f"cannot write {str(path)!r}: the name holds a null character")
    # A link stays a link: the file it points to is the one replaced.
    target = Path(os.path.realpath(path))
    # These take names that are too long for a file: it is told when it is written.
    if os.path.isdir(target):
        raise OutputError(f"{path} is a folder, not a file: give a file name")
    if os.path.exists(target) and not os.path.isfile(target):
        raise OutputError(f"{path} is not a regular file: give another name")
    temporary = target.parent / f"{_HIDDEN}{secrets.token_hex(6)}{target.suffix}"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        if not temporary.exists():
            raise OutputError(f"cannot write {path}: nothing was written")
        if durable:
            flush_to_disk(temporary)
        replace_file(temporary, target)
        if durable:
            flush_to_disk(target.parent)
    except OSError as error:
        if _is_about(error, temporary, target):
            kind = DiskFullError if error.errno in _FULL else OutputError
            raise kind(f"cannot write {path}: {error.strerror or error}") from error
        raise
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def replace_file(source: Path, target: Path) -> None:
    """Give a file the name of another, or a free one, as ``os.replace`` does.

    On Windows a virus scanner, an indexer or a viewer may have either open for a moment: it is
    tried for three seconds.
    """
    for seconds in _PATIENCE if os.name == "nt" else ():
        try:
            os.replace(source, target)
        except PermissionError:
            time.sleep(seconds)
        else:
            return
    os.replace(source, target)


def link_or_copy(source: Path, path: Path) -> None:
    """Make ``path`` a hard link to the file ``source``, or a copy of it where there can be none.

    Whole or not at all (see ``atomic_path`` for one that is not durable), and replacing what is
    there. Raises OutputError.
    """
    with atomic_path(path, durable=False) as temporary:
        try:
            os.link(os.path.realpath(source), temporary)
        except OSError:  # another file system, or one without links, or too many of them
            shutil.copyfile(source, temporary)


def flush_to_disk(path: Path) -> None:
    """Make ``path`` (a file or a folder) survive a power cut, where the system allows it."""
    try:
        handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    except OSError:
        return  # Windows opens no folders; a read-only file cannot be flushed.
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno in _DISK_ERRORS:
            raise
    finally:
        os.close(handle)


def remove_leftovers(path: Path) -> None:
    """Remove temporary files for ``path`` that a killed process left in its folder.

    Only for a folder that one run has for itself: another's file under way would go too.
    """
    for leftover in path.parent.glob(f"{_HIDDEN}*{path.suffix}"):
        with suppress(OSError):
            leftover.unlink()


def stays_inside(name: str) -> bool:
    """Return whether a name, from a file of anywhere, leads to no place outside of the folder that
    it is put in."""
    path = PurePath(name)  # of this system: on Windows with drives and backslashes
    return not (path.drive or path.root or ".." in path.parts)


def ensure_writable(path: Path, overwrite: bool) -> None:
    """Raise OutputError when ``path`` exists and may not be replaced, or is a folder, or when its
    name or that of a folder to be made is too long."""
    path = Path(path)
    # Not Path's own, which raise for a name that is too long or in a folder that is closed.
    if os.path.isdir(path):
        raise OutputError(f"{path} is a folder, not a file: give a file name")
    if os.path.lexists(path) and not overwrite:
        raise OutputError(f"{path} exists; give --overwrite to replace it")
    _refuse_long_names(path)


def _refuse_long_names(path: Path) -> None:
    made = [path.name]
    folder = path.absolute().parent
    while not os.path.isdir(folder) and folder != folder.parent:
        made.append(folder.name)
        folder = folder.parent
    for name in made:
        try:
            os.lstat(folder / name)  # the file system knows what is too long for it
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                raise OutputError(
                    f"cannot write {path}: a name of {len(os.fsencode(name))} bytes is too long, "
                    "give a shorter one"
                ) from None


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8, whole or not at all. Raises OutputError."""
    with atomic_path(Path(path)) as temporary:
        # Of a file's name that is not UTF-8, the bytes that are none become \udcxx, in JSON too.
        temporary.write_bytes(text.encode("utf-8", "backslashreplace"))


def write_json(path: Path, obj: Any) -> None:
    """Write ``obj`` as indented JSON (see ``to_plain``), whole or not at all.

    Raises OutputError.
    """
    text = json.dumps(to_plain(obj), ensure_ascii=False, indent=2, allow_nan=False)
    write_text(path, text + "\n")


def to_plain(obj: Any) -> Any:
    """Return ``obj`` as plain JSON values.

    Paths become strings, dataclasses become objects, NumPy values become numbers and lists, and
    numbers that JSON cannot hold (NaN, infinities) become null. Raises TypeError for the rest.
    """
    if obj is None or isinstance(obj, str | bool):
        return obj
    if isinstance(obj, np.generic):
        return to_plain(obj.item())
    if isinstance(obj, int):
        return int(obj)
    if isinstance(obj, float):
        return float(obj) if math.isfinite(obj) else None
    if isinstance(obj, np.ndarray):
        return to_plain(obj.tolist())
    if isinstance(obj, Path):
        return str(obj)
    if dataclasses.is_dataclass(obj) and not isinstance(obj, type):
        return {f.name: to_plain(getattr(obj, f.name)) for f in dataclasses.fields(obj)}
    if isinstance(obj, Mapping):
        return {str(key): to_plain(value) for key, value in obj.items()}
    if isinstance(obj, list | tuple):
        return [to_plain(value) for value in obj]
    if isinstance(obj, set | frozenset):
        return [to_plain(value) for value in sorted(obj)]
    raise TypeError(f"{type(obj).__name__} cannot be written as JSON")


def _is_about(error: OSError, temporary: Path, target: Path) -> bool:
    """Tell a failure of this write from an OSError the caller's own code raised in the block."""
    if error.errno in _DISK_ERRORS:
        return True
    ours = {str(temporary), str(target), *map(str, target.parents)}
    return any(str(name) in ours for name in (error.filename, error.filename2) if name is not None)
