"""HEIC and AVIF, which phones take photos in, written by pillow-heif and Pillow."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms
from pillow_heif import from_pillow

from redeg_cli.errors import InputError
from redeg_cli.io.images import image_size, read_photo, write_photo

SUFFIXES = (".heic", ".avif")


def picture(mode: str = "RGB") -> Image.Image:
    """Return 96x64 px of soft colours; the left third is transparent where ``mode`` has alpha."""
    rows, columns = np.mgrid[:64, :96] / 96
    colours = np.stack([rows, columns, 1 - rows], axis=2)
    image = Image.fromarray((colours * 255).round().astype(np.uint8)).convert(mode)
    if mode.endswith("A"):
        alpha = np.full((64, 96), 255, np.uint8)
        alpha[:, :32] = 0
        image.putalpha(Image.fromarray(alpha))
    return image


def encoded(image: Image.Image, suffix: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    if suffix == ".heic":
        from_pillow(image).save(buffer, quality=95, **options)
    else:
        image.save(buffer, "AVIF", quality=95, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
def test_colours_gray_and_transparency(tmp_path: Path, mode: str, suffix: str) -> None:
    image = picture(mode)
    path = tmp_path / f"a{suffix}"
    path.write_bytes(encoded(image, suffix))
    photo = read_photo(path)
    true = np.asarray(image.convert("RGB")).astype(np.float32) / 255
    opaque = slice(40, None) if mode == "RGBA" else slice(None)
    assert np.abs(photo.rgb - true)[:, opaque].mean() < 0.01
    assert image_size(path) == (64, 96)
    assert photo.bit_depth == 8
    if suffix == ".heic":  # Pillow's encoder of AVIF makes RGB of L
        assert photo.gray == (mode == "L")
    if mode == "RGBA":
        assert photo.alpha is not None
        assert (photo.alpha[:, :24].max(), photo.alpha[:, 40:].min()) == (0, 1)
    else:
        assert photo.alpha is None


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_turned_photo_comes_upright_once(tmp_path: Path, suffix: str) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Phone"
    path = tmp_path / f"a{suffix}"
    path.write_bytes(encoded(picture(), suffix, exif=exif.tobytes()))
    photo = read_photo(path)
    upright = np.rot90(np.asarray(picture()).astype(np.float32) / 255, -1)
    assert photo.rgb.shape == (96, 64, 3)
    assert image_size(path) == (96, 64)
    assert np.abs(photo.rgb - upright).mean() < 0.01
    write_photo(tmp_path / "out.jpg", photo)
    with Image.open(tmp_path / "out.jpg") as out:
        assert (out.getexif()[0x010F], out.getexif()[0x0112], out.size) == ("Phone", 1, (64, 96))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_profile_is_told(tmp_path: Path, suffix: str) -> None:
    """A profile that is in the file is read; sRGB's changes nothing."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    paths = [tmp_path / f"{name}{suffix}" for name in ("with", "without")]
    paths[0].write_bytes(encoded(picture(), suffix, icc_profile=srgb))
    paths[1].write_bytes(encoded(picture(), suffix))
    photo, plain = map(read_photo, paths)
    assert photo.metadata.icc is not None
    assert plain.metadata.icc is None
    np.testing.assert_array_equal(photo.rgb, plain.rgb)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_truncated_phone_photos_are_refused(tmp_path: Path, suffix: str) -> None:
    data = encoded(picture(), suffix)
    for part in (0.1, 0.5, 0.9):
        (tmp_path / f"b{suffix}").write_bytes(data[: int(len(data) * part)])
        with pytest.raises(InputError, match=rf"b\{suffix} is .*damaged") as caught:
            read_photo(tmp_path / f"b{suffix}")
        assert "\n" not in str(caught.value)


def test_animation_says_that_it_has_more(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    buffer = io.BytesIO()
    picture().save(buffer, "AVIF", save_all=True, append_images=[picture().rotate(180)])
    (tmp_path / "a.avif").write_bytes(buffer.getvalue())
    assert read_photo(tmp_path / "a.avif").pages == 2
    assert "frame 1 of 2" in caplog.text
