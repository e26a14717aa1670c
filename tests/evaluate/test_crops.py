"""LQ crops of Ωs: the place in the notes is the place in the picture."""

import base64
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from redeg_cli.evaluate.crops import Crops, Place, find_picture, lq_places, read_crops
from redeg_cli.io.images import write_rgb
from redeg_cli.omega.extract import AlignedPair, extract_many


class Ramp:
    """Instead of DegNet: Ω is the mean red and green of the LQ it is given."""

    def extract(self, hq: torch.Tensor, lq: torch.Tensor, scale: int) -> torch.Tensor:
        del hq, scale
        omega = torch.zeros(len(lq), 512)
        omega[:, :2] = lq.mean((2, 3))[:, :2]
        return omega


def ramp(height: int, width: int) -> np.ndarray:
    """Red grows to the right and green downwards, so a mean colour tells a place."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return np.stack([x / (width - 1), y / (height - 1), 0 * x], 2)


def decoded(uri: str) -> np.ndarray:
    head, data = uri.split(",")
    assert head == "data:image/webp;base64"
    picture = Image.open(io.BytesIO(base64.b64decode(data, validate=True)))
    return np.asarray(picture.convert("RGB")) / 255


def crops_of(
    names: Sequence[str],
    notes: Sequence[str],
    folder: Path,
    scale: int = 1,
    max_bytes: int = 10**6,
) -> Crops:
    return read_crops(names, notes, [scale] * len(names), [folder], max_bytes)


@pytest.mark.parametrize(("scale", "native"), [(1, True), (2, True), (2, False)])
def test_the_crop_is_what_the_omega_was_read_off(tmp_path: Path, scale: int, native: bool) -> None:
    shape = (480, 640)
    picture = ramp(*shape)
    write_rgb(tmp_path / "lq" / "a.png", picture[::scale, ::scale] if native else picture)
    lq = torch.from_numpy(picture).permute(2, 0, 1)[None]
    pair = AlignedPair(lq, lq, scale)
    net = Ramp()
    omegas, notes = extract_many(net, pair, 8, 1, torch.device("cpu"))  # pyright: ignore[reportArgumentType]
    crops = crops_of(["a.png"] * 8, notes, tmp_path, scale)
    assert (crops.missing, crops.unreadable) == ([], [])
    for uri, omega in zip(crops.pictures, omegas, strict=True):
        seen = decoded(uri)
        assert 64 <= max(seen.shape) <= 128
        # The middle of a ramp is its mean.
        assert np.abs(seen.mean((0, 1))[:2] - omega[:2]).max() < 0.02


def test_faces_of_photos_lie_in_their_region(tmp_path: Path) -> None:
    write_rgb(tmp_path / "photo.png", ramp(200, 300))
    how = ("whole", "crop at 64,0 of 128 px, turned 90°")
    notes = [f"{note}; region at 96,32 of 80x64 px" for note in how]
    assert lq_places(notes, 4, (200, 300)) == [Place(96, 32, 80, 64), Place(112, 32, 32, 32)]
    crops = crops_of(["photo.png face 1"] * 2, notes, tmp_path, 4)
    expected = ramp(200, 300)[32:64, 112:144]
    assert np.abs(decoded(crops.pictures[1]) - expected).max() < 0.06


def test_places_stay_in_the_picture() -> None:
    (place,) = lq_places(["crop at 900,900 of 256 px"], 1, (64, 48))
    assert place == Place(47, 63, 1, 1)
    assert lq_places(["", "fitted to the photo"], 4, (64, 48)) == [Place(0, 0, 48, 64)] * 2


def test_a_crop_keeps_its_pixels_until_it_is_too_large(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).random((200, 200, 3)).astype(np.float32)
    write_rgb(tmp_path / "a.png", noise)
    middle = decoded(crops_of(["a.png"], ["whole"], tmp_path).pictures[0])
    assert middle.shape == (128, 128, 3)
    gray = np.array([0.299, 0.587, 0.114])
    expected = noise[36:164, 36:164]
    correlation = np.corrcoef((middle @ gray).ravel(), (expected @ gray).ravel())[0, 1]
    assert correlation > 0.95
    for limit, side in ((6000, 64), (1500, 32), (100, 0)):
        uri = crops_of(["a.png"], ["whole"], tmp_path, max_bytes=limit).pictures[0]
        assert len(uri) <= limit
        assert (len(decoded(uri)) if uri else 0) == side


def test_all_crops_together_stay_under_the_limit(tmp_path: Path) -> None:
    write_rgb(tmp_path / "a.png", np.random.default_rng(0).random((200, 200, 3)))
    crops = crops_of(["a.png"] * 20, ["whole"] * 20, tmp_path, max_bytes=40_000)
    assert all(crops.pictures)
    assert sum(map(len, crops.pictures)) <= 40_000


def test_pictures_are_looked_for_where_pairs_and_photos_lie(tmp_path: Path) -> None:
    for name in ("blur/lq/a.png", "photos/p.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    picture = tmp_path / "blur" / "lq" / "a.png"
    assert find_picture("blur/lq/a.png", [tmp_path]) == picture
    assert find_picture("a.png", [tmp_path / "photos", tmp_path / "blur"]) == picture
    assert find_picture("a.png", [tmp_path / "blur" / "lq"]) == picture
    assert find_picture("blur/lq/a.png", [tmp_path / "blur"]) == picture
    assert find_picture("p.jpg face 2", [tmp_path / "photos"]) == tmp_path / "photos" / "p.jpg"
    for no_file in ("b.png", "", "b\0.png", "b" * 300):
        assert find_picture(no_file, [tmp_path]) is None
    for outside in (str(picture), "../blur/lq/a.png"):
        assert find_picture(outside, [tmp_path / "photos"]) is None


def test_missing_and_damaged_pictures_are_named(tmp_path: Path) -> None:
    write_rgb(tmp_path / "a.png", ramp(40, 40))
    (tmp_path / "b.png").write_text("no picture")
    crops = crops_of(["a.png", "b.png", "c.png", "c.png"], ["whole"] * 4, tmp_path)
    assert [bool(uri) for uri in crops.pictures] == [True, False, False, False]
    assert crops.missing == ["c.png"]
    ((name, message),) = crops.unreadable
    assert name == "b.png"
    assert str(tmp_path / "b.png") in message
