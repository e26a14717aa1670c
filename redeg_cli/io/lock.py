"""One process at a time in a folder, or at a file."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from redeg_cli.errors import OutputError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_NAME = ".redeg.lock"


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Have a folder, which is made if need be, for this process alone while the block runs.

    Raises OutputError when another process has it, or it cannot be written. The lock goes with
    the process, killed or not. Nothing is locked on Windows and where the file system has no locks.
    """
    with _lock(folder / _NAME, f"in {folder}: wait for it, or give another folder"):
        yield


@contextmanager
def file_lock(file: Path) -> Iterator[None]:
    """Have a file that is to be written, and what lies beside it under its name, as ``folder_lock``
    has a folder."""
    name = f".{file.name}{_NAME}"
    with _lock(file.parent / name, f"on {file}: wait for it, or give another file"):
        yield


@contextmanager
def _lock(path: Path, where: str) -> Iterator[None]:
    if fcntl is None:
        yield
        return
    handle = _locked(path, where)
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()  # while it is still ours: see ``_is_still``
        os.close(handle)


def _locked(path: Path, where: str) -> int:
    assert fcntl is not None
    folder = path.parent
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise OutputError(f"cannot write to {folder}: {error.strerror or error}") from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise OutputError(f"another redeg is at work {where}") from None
        except OSError:
            return handle  # a file system without locks
        if _is_still(path, handle):
            return handle
        os.close(handle)


def _is_still(path: Path, handle: int) -> bool:
    """Return whether the locked file has its name: who had it before may just have removed it."""
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False
