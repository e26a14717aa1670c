"""Places that nothing can be written to, told in one line before any work."""

import os
from pathlib import Path

import pytest

from redeg_cli.cli.outputs import check_folder, check_pool
from redeg_cli.errors import OutputError
from redeg_cli.io.files import ensure_writable


@pytest.fixture
def closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that may not be looked into; root may, so that the system is made to say no."""
    folder = tmp_path / "closed"
    folder.mkdir()
    stat, lstat, access = os.stat, os.lstat, os.access

    def refuse(path: object) -> None:
        if folder in Path(str(path)).parents:
            raise PermissionError(13, "Permission denied", str(path))

    def refused_stat(path, *args, **options):
        refuse(path)
        return stat(path, *args, **options)

    def refused_lstat(path, *args, **options):
        refuse(path)
        return lstat(path, *args, **options)

    monkeypatch.setattr(os, "stat", refused_stat)
    monkeypatch.setattr(os, "lstat", refused_lstat)
    monkeypatch.setattr(os, "access", lambda path, mode: path != folder and access(path, mode))
    return folder


def test_a_folder_that_may_not_be_looked_into(closed: Path) -> None:
    for name in ("a.npz", "b/c.npz"):
        with pytest.raises(OutputError, match=r"no permission to write in .*closed$"):
            check_folder(closed / name)
        with pytest.raises(OutputError, match=r"no permission to write in .*closed$"):
            check_pool(closed / name, overwrite=False)
        ensure_writable(closed / name, overwrite=False)


def test_a_long_name_of_a_pool_is_one_line(tmp_path: Path) -> None:
    output = tmp_path / "new" / ("n" * 252 + ".npz")
    with pytest.raises(OutputError, match="a name of 256 bytes is too long"):
        check_pool(output, overwrite=False)
    assert list(tmp_path.iterdir()) == []
