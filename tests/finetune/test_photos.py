"""Photos that are read when they are looked at."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from redeg_cli.errors import InputError
from redeg_cli.finetune import photos as photos_module
from redeg_cli.finetune.photos import PhotoFiles
from redeg_cli.io.images import Photo, read_photo, write_rgb


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    files = [tmp_path / f"{index}.png" for index in range(3)]
    for index, file in enumerate(files):
        write_rgb(file, np.full((20, 30 + index, 3), index / 5))
    return files


def test_only_the_last_photo_is_held(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[Path] = []

    def counted(file: Path, **how: bool) -> Photo:
        reads.append(file)
        return read_photo(file, **how)

    monkeypatch.setattr(photos_module, "read_photo", counted)
    photos = PhotoFiles()
    for file in files:
        photos.add(file)
    assert (reads, len(photos)) == (files, 3)
    for _ in range(2):
        found = list(photos)
        assert [name for name, _ in found] == ["0.png", "1.png", "2.png"]
        for (_, photo), file in zip(found, files, strict=True):
            np.testing.assert_array_equal(photo.rgb, read_photo(file).rgb)
    assert photos[2][1] is photos.source(2)
    assert reads == files + files + files
    # One photo alone is read once.
    alone = PhotoFiles()
    alone.add(files[0])
    assert [alone[0][1] is photo for _, photo in list(alone) * 2] == [True, True]
    assert len(reads) == 10


def test_photos_are_prepared_and_their_sources_kept(files: list[Path]) -> None:
    prepared: list[Path] = []

    def dark(file: Path, photo: Photo) -> Photo:
        prepared.append(file)
        return replace(photo, rgb=photo.rgb * 0)

    photos = PhotoFiles(dark)
    photos.add(files[1])
    assert photos[0][1].rgb.max() == photos[0][1].rgb.max() == 0
    assert photos.source(0).rgb.min() > 0.1
    assert prepared == [files[1]]


def test_a_file_that_changes_meanwhile_is_told(files: list[Path]) -> None:
    photos = PhotoFiles()
    for file in files:
        photos.add(file)
    write_rgb(files[0], np.zeros((20, 20, 3)))
    with pytest.raises(InputError, match=r"0.png has changed meanwhile"):
        photos.source(0)
    files[1].unlink()
    with pytest.raises(InputError, match=r"1.png"):
        photos.source(1)


def test_further_pages_are_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    page = Image.new("RGB", (40, 30))
    file = tmp_path / "a.tif"
    page.save(file, save_all=True, append_images=[page])
    write_rgb(tmp_path / "b.png", np.zeros((20, 20, 3)))
    photos = PhotoFiles()
    with caplog.at_level(logging.WARNING):
        for each in (file, tmp_path / "b.png"):
            photos.add(each)
        assert [photo.pages for _, photo in photos] == [2, 1]
    assert len(caplog.records) == 1
