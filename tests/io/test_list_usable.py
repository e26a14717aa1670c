"""What of the inputs is a photo: not the results of an earlier run, and not the masks."""

import os
from pathlib import Path

import pytest

from redeg_cli.errors import InputError
from redeg_cli.io.listing import list_usable


def make(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


def names(*inputs: Path, output: Path, masks: Path | None = None) -> list[str]:
    return [item.name for item in list_usable(inputs, output, masks)[0]]


def test_results_are_left_out_unless_they_are_given(tmp_path: Path) -> None:
    make(tmp_path, "1.png", "out/1.png", "out/2.png", "outer/3.png")
    out = tmp_path / "out"
    assert names(tmp_path, output=out) == ["1.png", "outer/3.png"]
    assert names(tmp_path / "*.png", tmp_path / "out*", output=out)[1:] == [
        "out/1.png",
        "2.png",
        "3.png",
    ]
    assert names(out, output=out) == ["1.png", "2.png"]
    assert names(out / "1.png", output=out) == ["1.png"]


def test_results_change_no_name(tmp_path: Path) -> None:
    make(tmp_path, "x/a.png", "y/b.png")
    first = names(tmp_path / "x", tmp_path / "y", output=tmp_path / "x" / "out")
    make(tmp_path, "x/out/b.png", "y/out/b.png")
    again = names(tmp_path / "x", tmp_path / "y", output=tmp_path / "x" / "out")
    assert again == [*first, "out/b.png"]


@pytest.mark.parametrize("linked", [False, True])
def test_masks_in_the_folder_of_photos(tmp_path: Path, linked: bool) -> None:
    make(tmp_path, "album/1.jpg", "album/deep/2.jpg", "elsewhere/1.png")
    masks, output = tmp_path / "album" / "masks", tmp_path / "out"
    if linked:
        masks.symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    else:
        make(masks, "1.png", "deep/2.png")
    assert names(tmp_path / "album", output=output, masks=masks) == ["1.jpg", "deep/2.jpg"]
    shell = [tmp_path / "album" / name for name in ("1.jpg", "deep", "masks")]
    assert names(*shell, output=output, masks=masks) == ["1.jpg", "2.jpg"]
    assert names(tmp_path / "album", output=output) != ["1.jpg", "deep/2.jpg"]


def test_one_mask_beside_its_photo(tmp_path: Path) -> None:
    make(tmp_path, "1.jpg", "mask.png")
    assert names(tmp_path, output=tmp_path / "out", masks=tmp_path / "mask.png") == ["1.jpg"]


def test_masks_above_the_photos(tmp_path: Path) -> None:
    make(tmp_path, "1.png", "photos/1.jpg")
    assert names(tmp_path / "photos", output=tmp_path / "out", masks=tmp_path) == ["1.jpg"]


def test_nothing_but_results_or_masks(tmp_path: Path) -> None:
    make(tmp_path, "out/1.png", "painted/2.png")
    out, masks = tmp_path / "out", tmp_path / "painted"
    told = f"all images given lie in the output folder {out} or --mask {masks}: give the photos"
    with pytest.raises(InputError) as caught:
        list_usable([tmp_path], out, masks)
    assert str(caught.value) == told
    with pytest.raises(InputError, match=f"none.png does not exist.*; {told[:50]}"):
        list_usable([tmp_path / "none.png", tmp_path], out, masks)


def test_unusable_inputs_are_told(tmp_path: Path) -> None:
    make(tmp_path, "1.png")
    (tmp_path / "empty").mkdir()
    listed, unusable = list_usable([tmp_path / "empty", tmp_path / "1.png"], tmp_path / "out")
    assert [each.name for each in listed] == ["1.png"]
    assert [(given, "holds no images" in why) for given, why in unusable] == [
        (str(tmp_path / "empty"), True)
    ]
    with pytest.raises(InputError, match=r"empty holds no images.*; .*2\.png does not exist"):
        list_usable([tmp_path / "empty", tmp_path / "2.png"], tmp_path / "out")


def test_each_folder_is_walked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "a/1.png", "b/2.png")
    scan, asked = os.scandir, []

    def count(path: str):
        asked.append(Path(path).name)
        return scan(path)

    monkeypatch.setattr("os.scandir", count)
    assert names(tmp_path / "a", tmp_path / "b", output=tmp_path / "out") == ["1.png", "2.png"]
    assert asked == ["a", "b"]
