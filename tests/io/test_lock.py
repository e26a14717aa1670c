"""A folder is one process's at a time, whatever becomes of that process."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from redeg_cli.errors import OutputError
from redeg_cli.io.lock import file_lock, folder_lock

fcntl = pytest.importorskip("fcntl", reason="these are POSIX's locks")


def test_the_second_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "out"
    for _ in range(2):
        with folder_lock(folder):
            with (
                pytest.raises(OutputError, match=f"another redeg is at work in {folder}"),
                folder_lock(folder),
            ):
                pass
            with folder_lock(tmp_path):  # another folder is free
                pass
        assert not folder.exists()


def test_a_file_is_locked_apart_from_its_neighbours(tmp_path: Path) -> None:
    file = tmp_path / "new" / "pool.npz"
    with file_lock(file):
        with pytest.raises(OutputError, match=f"at work on {file}"), file_lock(file):
            pass
        with file_lock(file.with_name("other.npz")), folder_lock(file.parent):
            pass
    assert list(file.parent.iterdir()) == []


def test_windows_locks_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a module of its own, which raises PermissionError; an open file is not deleted there."""
    opened: set[int] = set()

    def locking(handle: int, mode: int, count: int) -> None:
        assert (mode, count) == (3, 1)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PermissionError(13, "Permission denied") from None
        opened.add(handle)

    def close(handle: int) -> None:
        opened.discard(handle)
        os_close(handle)

    def unlink(path: Path) -> None:
        assert not any(os.path.samestat(os.fstat(handle), path.stat()) for handle in opened)
        os.unlink(path)

    os_close = os.close
    monkeypatch.setitem(sys.modules, "msvcrt", SimpleNamespace(locking=locking, LK_NBLCK=3))
    monkeypatch.setattr("redeg_cli.io.lock.fcntl", None)
    monkeypatch.setattr("redeg_cli.io.lock.os.close", close)
    monkeypatch.setattr(Path, "unlink", unlink)
    for _ in range(2):
        with folder_lock(tmp_path / "out"):
            with pytest.raises(OutputError, match="another redeg"), folder_lock(tmp_path / "out"):
                pass
            with folder_lock(tmp_path):
                pass
        assert not (tmp_path / "out").exists()


def test_a_killed_process_locks_no_more(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from redeg_cli.io.lock import folder_lock\n"
        "with folder_lock(pathlib.Path(sys.argv[1])): print(1, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(OutputError, match="another redeg"), folder_lock(tmp_path):
            pass
        process.kill()
        process.wait()
    with folder_lock(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="cannot write to"), folder_lock(tmp_path / "file"):
        pass


def test_a_folder_that_gets_no_file_is_gone_again(tmp_path: Path) -> None:
    for name in ("kept", "given"):
        (tmp_path / name).mkdir()
    (tmp_path / "given" / "a").write_text("x")
    for folder in (tmp_path / "new" / "deep", tmp_path / "kept", tmp_path / "given"):
        with folder_lock(folder):
            assert folder.exists()
    with folder_lock(tmp_path / "filled" / "deep"):
        (tmp_path / "filled" / "deep" / "b").write_text("y")
    assert {path.name for path in tmp_path.iterdir()} == {"kept", "given", "filled"}
