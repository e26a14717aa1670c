"""Registered pairs of files: RealSR's layout, and hr/ beside lr/."""

from pathlib import Path

import pytest

from redeg_cli.errors import InputError, PairError
from redeg_cli.io.registered_pairs import find_registered


def make(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


def told(folder: Path, scale: int = 4) -> tuple[list[tuple[str, str]], list[str]]:
    pairs, problems = find_registered([folder], scale)
    names = [tuple(p.relative_to(folder).as_posix() for p in (each.lq, each.hq)) for each in pairs]
    return names, problems  # pyright: ignore[reportReturnType]


def test_realsr(tmp_path: Path) -> None:
    """Cameras and scales in folders of their own, as it is published."""
    make(
        tmp_path, *(f"Canon/Train/4/Canon_{n}_{end}.png" for n in (2, 10) for end in ("HR", "LR4"))
    )
    make(tmp_path, *(f"Canon/Train/2/Canon_2_{end}.png" for end in ("HR", "LR2")))
    make(tmp_path, "Nikon/Train/4/Nikon_001_HR.png", "Nikon/Train/4/Nikon_001_LR4.png")
    names, problems = told(tmp_path)
    assert names == [
        ("Canon/Train/4/Canon_2_LR4.png", "Canon/Train/4/Canon_2_HR.png"),
        ("Canon/Train/4/Canon_10_LR4.png", "Canon/Train/4/Canon_10_HR.png"),
        ("Nikon/Train/4/Nikon_001_LR4.png", "Nikon/Train/4/Nikon_001_HR.png"),
    ]
    assert problems == []
    assert told(tmp_path, 2)[0] == [
        ("Canon/Train/2/Canon_2_LR2.png", "Canon/Train/2/Canon_2_HR.png")
    ]


@pytest.mark.parametrize(("hr", "lr"), [("hr", "lr"), ("HR", "LR"), ("gt", "lq"), ("hq", "lr")])
def test_two_folders(tmp_path: Path, hr: str, lr: str) -> None:
    make(tmp_path, f"{hr}/a.png", f"{hr}/n/b.tif", f"{lr}/a.jpg", f"{lr}/n/b.png", f"{lr}/c.png")
    names, problems = told(tmp_path)
    assert names == [(f"{lr}/a.jpg", f"{hr}/a.png"), (f"{lr}/n/b.png", f"{hr}/n/b.tif")]
    assert len(problems) == 1
    assert problems[0].endswith("c.png has no HQ of its name")


def test_what_has_no_partner_is_named(tmp_path: Path) -> None:
    make(tmp_path, "a_HR.png", "a_LR4.png", "b_HR.png", "c_LR4.png", "d.png")
    names, problems = told(tmp_path)
    assert names == [("a_LR4.png", "a_HR.png")]
    assert [Path(problem.split(" ")[0]).name for problem in problems] == [
        *("d.png", "b_HR.png", "c_LR4.png")
    ]


@pytest.mark.parametrize(
    ("names", "error", "message"),
    [
        ((), InputError, "holds no images"),
        (("hr/a.png", "lr/note.txt"), InputError, "lr holds no images"),
        (("hr/a.png", "lr/b.png"), PairError, r"holds no pair \(.*a.png has no LQ of its name\)"),
        (("a.png", "b.png"), PairError, "wanted hr/ and lr/ with equal names, or NAME_HR.png"),
        (("a_HR.png", "a_LR2.png", "a_LR3.png"), PairError, "no LQ of scale 4, only of 2, 3"),
    ],
)
def test_errors(tmp_path: Path, names: tuple, error: type[Exception], message: str) -> None:
    make(tmp_path, *names)
    with pytest.raises(error, match=message):
        find_registered([tmp_path], 4)


def test_what_is_no_folder(tmp_path: Path) -> None:
    make(tmp_path, "a.png")
    for name, message in (("a.png", "is a file"), ("none", "does not exist")):
        with pytest.raises(InputError, match=message):
            find_registered([tmp_path / name], 4)
