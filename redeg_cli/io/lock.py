"""One process at a time in a folder."""

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
    if fcntl is None:
        yield
        return
    path = folder / _NAME
    handle = _locked(path, folder)
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()  # while it is still ours: see ``_is_still``
        os.close(handle)


def _locked(path: Path, folder: Path) -> int:
    assert fcntl is not None
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
            raise OutputError(
                f"another redeg is at work in {folder}: wait for it, or give another folder"
            ) from None
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
