"""HQ images: which are taken, and the tone they get."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image

from redeg_cli.errors import InputError, RedegError
from redeg_cli.finetune import images
from redeg_cli.finetune.images import embedded_files, load_hq, tone_range, toned_store
from redeg_cli.io.images import read_rgb, write_rgb

FULL = (np.zeros(3), np.ones(3))
Scene = Callable[..., np.ndarray]


@pytest.fixture
def folder(tmp_path: Path, scene: Scene) -> Path:
    write_rgb(tmp_path / "hq" / "large.png", scene(64, 80))
    write_rgb(tmp_path / "hq" / "sub" / "small.png", scene(20, 90))
    return tmp_path / "hq"


def test_the_embedded_photographs_are_there() -> None:
    names = [path.name for path in embedded_files()]
    assert "astronaut.png" in names
    assert "china.jpg" in names
    assert len(set(names)) == len(names) >= 6


def test_without_embedded_photographs_the_option_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "_SCIKIT_IMAGE", ("nowhere.png",))
    monkeypatch.setattr(images, "_SCIKIT_LEARN", ())
    with pytest.raises(RedegError, match="--hq-dir"):
        embedded_files()


def test_embedded_photographs_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = [path for path in embedded_files() if path.name == "astronaut.png"]
    monkeypatch.setattr(images, "embedded_files", lambda: wanted)
    (image,), source = load_hq(None, 96)
    np.testing.assert_array_equal(image.permute(1, 2, 0).numpy(), skimage.data.astronaut())
    assert "1 embedded" in source


def test_small_images_are_left_out_and_folders_recursed(folder: Path, scene: Scene) -> None:
    (image,), source = load_hq(folder, 32)
    assert image.dtype == torch.uint8
    expected = (scene(64, 80) * 255).round().transpose(2, 0, 1)
    np.testing.assert_array_equal(image.numpy(), expected)
    assert source == f"1 images of {folder}; 1 under 32 px left out"
    both, source = load_hq(folder, 16)
    assert [image.shape for image in both] == [(3, 64, 80), (3, 20, 90)]
    assert source == f"2 images of {folder}"


@pytest.mark.parametrize(("files", "loaded"), [(3, 3), (4, 4), (5, 3), (7, 4), (8, 4), (9, 3)])
def test_no_more_files_are_read_than_the_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: int, loaded: int
) -> None:
    for index in range(files):
        write_rgb(tmp_path / f"{index}.png", np.full((16, 16, 3), index / 10))
    monkeypatch.setattr(images, "MOST_FILES", 4)
    found, source = load_hq(tmp_path, 16)
    assert len(found) == loaded
    more = "" if loaded == files else f", evenly spread over its {files}"
    assert source == f"{loaded} images of {tmp_path}{more}"
    # In the order of the folder.
    assert [int(image[0, 0, 0]) for image in found] == sorted(int(image.min()) for image in found)


def test_a_folder_without_a_large_image_is_one_line(folder: Path) -> None:
    with pytest.raises(InputError, match=r"no image of at least 96 px.*--hq-dir") as error:
        load_hq(folder, 96)
    assert str(folder) in str(error.value)
    assert "\n" not in str(error.value)


def test_images_take_the_tone_of_the_photo(folder: Path, scene: Scene) -> None:
    black, white = np.array([0.2, 0.1, 0.05]), np.array([0.9, 0.85, 0.7])
    (image,) = toned_store(load_hq(folder, 32)[0], (black, white), gray=False).groups[0]
    wanted = black + (white - black) * ((scene(64, 80) * 255).round() / 255)
    assert np.abs(image.permute(1, 2, 0).numpy() / 255 - wanted).max() < 0.6 / 255


def test_gray_photos_get_gray_images(folder: Path) -> None:
    (image,) = toned_store(load_hq(folder, 32)[0], FULL, gray=True).groups[0]
    assert torch.equal(image[0], image[1])
    assert torch.equal(image[0], image[2])


def test_very_large_images_are_shrunk(
    folder: Path, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "LARGEST", 40)
    (image,), _ = load_hq(folder, 30)
    assert image.shape == (3, 32, 40)
    mean = scene(64, 80).mean((0, 1))
    assert np.abs(image.float().mean((1, 2)).numpy() / 255 - mean).max() < 0.01


def test_large_jpegs_are_decoded_small(
    tmp_path: Path, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Much the same comes out, on its side too."""
    picture = scene(330, 500)
    upright = Image.fromarray((picture * 255).round().astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    upright.rotate(90, expand=True).save(tmp_path / "a.jpg", quality=95, exif=exif)
    upright.save(tmp_path / "b.jpg", quality=95)
    monkeypatch.setattr(images, "LARGEST", 100)
    read: list[tuple[int, ...]] = []

    def read_and_tell(path: Path, enough: int) -> np.ndarray:
        rgb = read_rgb(path, enough)
        read.append(rgb.shape)
        return rgb

    monkeypatch.setattr(images, "read_rgb", read_and_tell)
    found, _ = load_hq(tmp_path, 30)
    assert read == [(83, 125, 3)] * 2
    wanted = cv2.resize(picture, (100, 66), interpolation=cv2.INTER_AREA)
    for image in found:
        assert image.shape == (3, 66, 100)
        assert np.abs(image.permute(1, 2, 0).numpy() / 255 - wanted).mean() < 0.02


def test_of_a_large_folder_a_bounded_part_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for index in range(16):
        write_rgb(tmp_path / f"{index}.png", np.full((20, 20, 3), index / 16))
    monkeypatch.setattr(images, "MOST_BYTES", 4 * 20 * 20 * 3)
    told: list[tuple[int, int]] = []
    found, source = load_hq(tmp_path, 16, lambda done, total, _text="": told.append((done, total)))
    assert [round(float(image.max()) / 255 * 16) for image in found] == [0, 4, 8, 12]
    assert source == f"4 images of {tmp_path}, evenly spread over its 16"
    assert [done / total for done, total in told] == [0, 0.25, 0.5, 0.75]


def test_what_cannot_be_read_is_left_out_and_told(folder: Path) -> None:
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff broken")
    (folder / "empty.png").touch()
    found, source = load_hq(folder, 32)
    assert len(found) == 1
    assert "; 1 under 32 px left out; 2 could not be read and left out: " in source
    assert "broken.jpg" in source
    with pytest.raises(InputError, match=r"no image of at least 96 px.*\(2 could not be read: "):
        load_hq(folder, 96)


def test_the_tone_range_is_that_of_the_picture_not_of_its_dots() -> None:
    ramp = np.linspace(0.2, 0.8, 256, dtype=np.float32)
    photo = np.stack([np.tile(ramp, (256, 1))] * 3, 2)
    photo[..., 2] *= 0.5
    dotted = photo + 0.15 * (np.indices((256, 256)).sum(0) % 2 * 2 - 1)[..., None]
    for picture in (photo, dotted.astype(np.float32)):
        black, white = tone_range(picture)
        np.testing.assert_allclose(black, [0.2, 0.2, 0.1], atol=0.02)
        np.testing.assert_allclose(white, [0.8, 0.8, 0.4], atol=0.02)


def test_a_flat_photo_has_a_range_too() -> None:
    black, white = tone_range(np.full((40, 70, 3), 0.95, np.float32))
    assert (white - black > 0).all()
    assert (white <= 1).all()
    assert (black >= 0).all()
