"""Data sets as they are published are recognised by what lies in their folders."""

from pathlib import Path

import pytest

from redeg_cli.errors import InputError
from redeg_cli.evaluate.dataset import Dataset, pair_folders
from redeg_cli.evaluate.layouts import find_dataset


def make(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return root


def pairs(root: Path, dataset: Dataset) -> list[tuple[str, str]]:
    """(reference, LQ) of each sample, relative to ``root``."""

    def short(path: Path | None) -> str:
        return "" if path is None else path.relative_to(root).as_posix()

    return [(short(sample.reference), short(sample.lq)) for sample in dataset.samples]


def test_realsr_of_all_scales(tmp_path: Path) -> None:
    names = [
        f"{camera}/Test/{scale}/{camera}_00{n}_{side}.png"
        for camera in ("Canon", "Nikon")
        for scale in (2, 4)
        for n in (1, 2)
        for side in ("HR", f"LR{scale}")
    ]
    root = make(tmp_path, *names)
    with pytest.raises(InputError, match=r"scales 2, 4: say which with --scale"):
        find_dataset(root)
    dataset = find_dataset(root, 4)
    assert dataset.layout == "RealSR"
    assert dataset.problems == ()
    assert pairs(root, dataset) == [
        (f"{c}/Test/4/{c}_00{n}_HR.png", f"{c}/Test/4/{c}_00{n}_LR4.png")
        for c in ("Canon", "Nikon")
        for n in (1, 2)
    ]


def test_realsr_of_one_folder_with_all_scales(tmp_path: Path) -> None:
    sides = ("HR", "LR2", "LR3", "LR4")
    root = make(tmp_path, *(f"Nikon_00{n}_{side}.png" for n in (1, 2) for side in sides))
    dataset = find_dataset(root, 3)
    assert pairs(root, dataset)[1] == ("Nikon_002_HR.png", "Nikon_002_LR3.png")
    assert len(dataset.samples) == 2
    assert dataset.problems == ()
    with pytest.raises(InputError, match="no LQs of scale 1, only of 2, 3, 4"):
        find_dataset(root, 1)


def test_drealsr(tmp_path: Path) -> None:
    root = make(
        tmp_path / "DRealSR",
        *(f"Test_x4/test_HR/{n}_x1.png" for n in ("panasonic_102", "DSC_1")),
        *(f"Test_x4/test_LR/{n}_x4.png" for n in ("panasonic_102", "DSC_1")),
        *("Test_x2/test_HR/DSC_1_x1.png", "Test_x2/test_LR/DSC_1_x2.png"),
    )
    dataset = find_dataset(root, 4)
    assert dataset.layout == "DRealSR"
    assert dataset.problems == ()
    assert pairs(root, dataset) == [
        ("Test_x4/test_HR/DSC_1_x1.png", "Test_x4/test_LR/DSC_1_x4.png"),
        ("Test_x4/test_HR/panasonic_102_x1.png", "Test_x4/test_LR/panasonic_102_x4.png"),
    ]
    assert find_dataset(root / "Test_x4").layout == "DRealSR"  # one scale: no need to say it


def test_div2k(tmp_path: Path) -> None:
    root = make(
        tmp_path,
        *(f"DIV2K_valid_HR/080{n}.png" for n in (1, 2)),
        *(f"DIV2K_valid_LR_bicubic/X{s}/080{n}x{s}.png" for s in (2, 3, 4) for n in (1, 2)),
    )
    dataset = find_dataset(root, 4)
    assert dataset.layout == "DIV2K"
    assert dataset.problems == ()
    assert pairs(root, dataset) == [
        (f"DIV2K_valid_HR/080{n}.png", f"DIV2K_valid_LR_bicubic/X4/080{n}x4.png") for n in (1, 2)
    ]
    make(root, "DIV2K_valid_LR_unknown/X4/0801x4.png")
    with pytest.raises(InputError, match=r"several kinds .*LR_bicubic, DIV2K_valid_LR_unknown"):
        find_dataset(root, 4)


@pytest.mark.parametrize(
    ("hr", "lr"),
    [
        ("hr", "lr"),
        ("HQ", "lq"),
        ("gt", "LR_x4"),
        ("GT", "LR4"),
        ("X4/HR", "X4/LR"),
        ("HR/X4", "LR/X4"),
        ("target", "input"),
    ],
)
def test_folders_of_sides(tmp_path: Path, hr: str, lr: str) -> None:
    root = make(tmp_path, f"{hr}/00000.png", f"{hr}/n/1.png", f"{lr}/00000.jpg", f"{lr}/n/1.jpg")
    dataset = find_dataset(root)
    assert dataset.layout == "HR and LQ folders"
    assert dataset.problems == ()
    assert pairs(root, dataset) == [(f"{hr}/{n}.png", f"{lr}/{n}.jpg") for n in ("00000", "n/1")]


def test_lqs_alone(tmp_path: Path) -> None:
    root = make(tmp_path / "RealSRSet", "Lincoln.png", "dog.png", "chip.png")
    dataset = find_dataset(root)
    assert (dataset.layout, dataset.has_references) == ("LQ only", False)
    assert pairs(root, dataset) == [("", "chip.png"), ("", "dog.png"), ("", "Lincoln.png")]


def test_references_alone(tmp_path: Path) -> None:
    dataset = find_dataset(make(tmp_path, "a_HR.png", "b_HR.png"))
    assert (dataset.layout, dataset.has_lqs) == ("references", False)


def test_what_has_no_partner_is_named(tmp_path: Path) -> None:
    root = make(tmp_path, "hr/a.png", "hr/b.png", "hr/b.jpg", "lr/b.png", "lr/c.png", "readme.png")
    dataset = find_dataset(root)
    assert pairs(root, dataset) == [("hr/a.png", ""), ("hr/b.jpg", "lr/b.png")]
    text = "\n".join(dataset.problems)
    assert len(dataset.problems) == 4
    assert "readme.png is left out: neither its folder nor its name" in text
    assert "b.png is left out: b.jpg has the same name" in text
    assert "c.png has no HR" in text
    assert "a.png has no LQ" in text


def test_nothing_to_find(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    make(tmp_path / "none", "hr/a.png", "lr/b.png")
    for name, words in (
        ("gone", "does not exist"),
        ("empty", "holds no images"),
        ("none/hr/a.png", "is a file"),
        ("none", "no HR has an LQ of its name"),
    ):
        with pytest.raises(InputError, match=words):
            find_dataset(tmp_path / name)


def test_two_folders_of_any_names(tmp_path: Path) -> None:
    root = make(tmp_path, "sharp/a.png", "sharp/b.png", "small/a_x4.jpg", "small/c.jpg")
    dataset = pair_folders(root / "sharp", root / "small")
    assert pairs(root, dataset) == [("sharp/a.png", "small/a_x4.jpg"), ("sharp/b.png", "")]
    assert dataset.samples[0].stems == ("a", "a_x4")
    assert len(dataset.problems) == 2
    assert "b.png has no LQ" in dataset.problems[0]
    assert "c.jpg is left out" in dataset.problems[1]
    with pytest.raises(InputError, match="no picture of"):
        pair_folders(root / "sharp", make(tmp_path / "other", "z.png"))


def test_both_sides_in_one_folder(tmp_path: Path) -> None:
    root = make(tmp_path, *(f"Canon_00{n}_{side}.png" for n in (1, 2) for side in ("HR", "LR4")))
    dataset = pair_folders(root, root)
    assert pairs(root, dataset)[0] == ("Canon_001_HR.png", "Canon_001_LR4.png")
    assert [sample.lq for sample in pair_folders(root).samples] == [None, None]
    assert pairs(root, pair_folders(None, root))[1] == ("", "Canon_002_LR4.png")


def test_folders_without_pictures(tmp_path: Path) -> None:
    make(tmp_path, "a/x.txt", "b.png")
    for folder, words in (("a", "holds no images"), ("b.png", "is a file"), ("c", "not exist")):
        with pytest.raises(InputError, match=words):
            pair_folders(tmp_path / folder)
    with pytest.raises(InputError, match="nothing to evaluate on"):
        pair_folders()
