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
    """Have a folder for this process alone while the block runs: one that is made for it, and gets
    no file, is gone after it.

    Raises OutputError when another process has it, or it cannot be written. The lock goes with
    the process, killed or not. Nothing is locked where the file system has no locks.
    """
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        with _lock(folder / _NAME, f"in {folder}: wait for it, or give another folder"):
            yield
    finally:
        for each in made:
            with suppress(OSError):
                each.rmdir()


@contextmanager
def file_lock(file: Path) -> Iterator[None]:
    """Have a file that is to be written, and what lies beside it under its name, as ``folder_lock``
    has a folder."""
    name = f".{file.name}{_NAME}"
    with _lock(file.parent / name, f"on {file}: wait for it, or give another file"):
        yield


@contextmanager
def _lock(path: Path, where: str) -> Iterator[None]:
    handle = _locked(path, where)
    try:
        yield
    finally:
        if fcntl is None:
            os.close(handle)  # Windows deletes no open file; if another process has it, it stays
        with suppress(OSError):
            path.unlink()  # while it is still ours: see ``_is_still``
        if fcntl is not None:
            os.close(handle)


def _locked(path: Path, where: str) -> int:
    folder = path.parent
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise OutputError(f"cannot write to {folder}: {error.strerror or error}") from error
        try:
            _take(handle)
        except (BlockingIOError, PermissionError):
            os.close(handle)
            raise OutputError(f"another redeg is at work {where}") from None
        except OSError:
            return handle  # a file system without locks
        if _is_still(path, handle):
            return handle
        os.close(handle)


def _take(handle: int) -> None:
    """Lock an open file. Raises BlockingIOError, on Windows PermissionError, if another has it."""
    if fcntl is not None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    else:
        import msvcrt

        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # pyright: ignore[reportAttributeAccessIssue]


def _is_still(path: Path, handle: int) -> bool:
    """Return whether the locked file has its name: who had it before may just have removed it."""
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False
