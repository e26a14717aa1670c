"""Names from files of anywhere, which must not lead out of a folder."""

from pathlib import PurePosixPath, PureWindowsPath

import pytest

from redeg_cli.io import files
from redeg_cli.io.files import stays_inside


@pytest.mark.parametrize("name", ["a.png", "lq/a.png", "a..b/c", "..a.png"])
def test_names_inside(name: str) -> None:
    assert stays_inside(name)


@pytest.mark.parametrize("name", ["../a.png", "lq/../../a.png", "/etc/passwd"])
@pytest.mark.parametrize("flavour", [PurePosixPath, PureWindowsPath])
def test_names_outside(name: str, flavour: type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "PurePath", flavour)
    assert not stays_inside(name)


@pytest.mark.parametrize("name", ["..\\a.png", "C:\\a.png", "C:a.png", "\\\\host\\share\\a.png"])
def test_windows_has_more_ways_out(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "PurePath", PureWindowsPath)
    assert not stays_inside(name)
    monkeypatch.setattr(files, "PurePath", PurePosixPath)
    assert stays_inside(name)  # a file may be called so there
