"""Reading and writing pictures, against Pillow, OpenCV and hand-made files."""

import io
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from redeg_cli.errors import InputError, OutputError
from redeg_cli.io.images import (
    IMAGE_SUFFIXES,
    Photo,
    check_can_write,
    image_size,
    read_photo,
    read_rgb,
    require_size,
    to_array,
    to_tensor,
    write_photo,
    write_rgb,
)


def noise(height: int = 12, width: int = 17, channels: int = 3, top: int = 255) -> np.ndarray:
    rng = np.random.default_rng(7)
    kind = np.uint8 if top == 255 else np.uint16
    return rng.integers(0, top + 1, (height, width, channels), dtype=kind)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".ppm"])
def test_lossless_files_read_as_their_samples(tmp_path: Path, suffix: str) -> None:
    samples = noise()
    Image.fromarray(samples).save(tmp_path / f"a{suffix}")
    photo = read_photo(tmp_path / f"a{suffix}")
    assert photo.rgb.dtype == np.float32
    np.testing.assert_array_equal(photo.rgb, samples.astype(np.float32) / 255)
    assert (photo.alpha, photo.gray, photo.bit_depth) == (None, False, 8)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff"])
@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("gray", [False, True])
@pytest.mark.parametrize("alpha", [False, True])
def test_lossless_round_trip(
    tmp_path: Path, suffix: str, depth: int, gray: bool, alpha: bool
) -> None:
    top = 2**depth - 1
    rgb = noise(top=top).astype(np.float32) / top
    if gray:
        rgb = np.repeat(rgb[..., :1], 3, axis=2)
    mask = noise(channels=1, top=top)[..., 0].astype(np.float32) / top if alpha else None
    path = tmp_path / f"höhe 写真{suffix}"
    write_photo(path, Photo(rgb, mask, gray, depth))
    back = read_photo(path)
    np.testing.assert_array_equal(np.rint(back.rgb * top), np.rint(rgb * top))
    assert back.bit_depth == depth
    if mask is None:
        assert back.alpha is None
    else:
        assert back.alpha is not None
        np.testing.assert_array_equal(np.rint(back.alpha * top), np.rint(mask * top))
    # 16-bit gray with alpha has no TIFF that Pillow opens: it becomes colour there.
    assert back.gray is (gray and not (depth == 16 and alpha and suffix != ".png"))


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_opencv_16_bit_files_keep_their_16_bits(tmp_path: Path, suffix: str) -> None:
    samples = noise(top=65535, channels=4)
    ok, data = cv2.imencode(suffix, samples[..., [2, 1, 0, 3]])
    assert ok
    (tmp_path / f"a{suffix}").write_bytes(data.tobytes())
    photo = read_photo(tmp_path / f"a{suffix}")
    assert photo.bit_depth == 16
    assert photo.alpha is not None
    np.testing.assert_array_equal(np.rint(photo.rgb * 65535), samples[..., :3])
    np.testing.assert_array_equal(np.rint(photo.alpha * 65535), samples[..., 3])


def test_16_bit_gray(tmp_path: Path) -> None:
    samples = noise(channels=1, top=65535)[..., 0]
    for suffix in (".png", ".tif"):
        Image.fromarray(samples).save(tmp_path / f"a{suffix}")
        photo = read_photo(tmp_path / f"a{suffix}")
        assert photo.gray
        assert photo.bit_depth == 16
        for channel in range(3):
            np.testing.assert_array_equal(np.rint(photo.rgb[..., channel] * 65535), samples)


@pytest.mark.parametrize("depth", [8, 16])
def test_tiff_where_white_is_zero(tmp_path: Path, depth: int) -> None:
    samples = noise(channels=1, top=2**depth - 1)[..., 0]
    path = tmp_path / "fax.tif"
    Image.fromarray(samples).save(path, tiffinfo={262: 0})
    with Image.open(path) as image:
        assert image.tag_v2[262] == 0  # type: ignore[attr-defined]
    stored = 2**depth - 1 - samples.astype(np.int64) if depth == 16 else samples
    photo = read_photo(path)
    top = 2**depth - 1
    np.testing.assert_array_equal(np.rint(photo.rgb[..., 0] * top), stored)


def test_gray_palette_and_bilevel(tmp_path: Path) -> None:
    samples = noise(channels=1)[..., 0]
    Image.fromarray(samples).save(tmp_path / "l.png")
    assert read_photo(tmp_path / "l.png").gray
    Image.fromarray(samples).convert("1").save(tmp_path / "1.png")
    bilevel = read_photo(tmp_path / "1.png")
    assert bilevel.gray
    assert set(np.unique(bilevel.rgb)) == {0.0, 1.0}
    palette = Image.fromarray(noise()).quantize(16)
    palette.save(tmp_path / "p.png")
    photo = read_photo(tmp_path / "p.png")
    assert not photo.gray
    np.testing.assert_array_equal(
        np.rint(photo.rgb * 255), np.asarray(palette.convert("RGB"), dtype=np.float32)
    )


def test_a_palette_of_grays_is_gray(tmp_path: Path) -> None:
    samples = noise(channels=1)[..., 0] // 64 * 64
    Image.fromarray(samples).save(tmp_path / "a.gif")
    image = Image.fromarray(samples // 64)
    image.putpalette([0, 0, 0, 64, 64, 64, 128, 128, 128, 192, 192, 192])
    image.save(tmp_path / "a.png")
    for name in ("a.gif", "a.png"):
        photo = read_photo(tmp_path / name)
        assert photo.gray
        np.testing.assert_array_equal(np.rint(photo.rgb[..., 1] * 255), samples)


def test_transparency_keeps_the_colours_under_it(tmp_path: Path) -> None:
    samples = noise(channels=4)
    samples[:4, :, 3] = 0
    Image.fromarray(samples).save(tmp_path / "a.png")
    photo = read_photo(tmp_path / "a.png")
    assert photo.alpha is not None
    np.testing.assert_array_equal(np.rint(photo.rgb * 255), samples[..., :3])
    np.testing.assert_array_equal(np.rint(photo.alpha * 255), samples[..., 3])
    write_photo(tmp_path / "b.webp", photo, quality=100)
    back = read_photo(tmp_path / "b.webp")
    assert back.alpha is not None
    np.testing.assert_array_equal(np.rint(back.alpha * 255), samples[..., 3])


def test_transparent_palette_colour(tmp_path: Path) -> None:
    image = Image.new("P", (8, 8), 0)
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.putpixel((3, 2), 1)
    image.save(tmp_path / "a.png", transparency=1)
    photo = read_photo(tmp_path / "a.png")
    assert photo.alpha is not None
    assert photo.alpha[2, 3] == 0
    assert photo.alpha.sum() == 63
    np.testing.assert_array_equal(photo.rgb[2, 3], [0, 1, 0])


def test_cmyk_jpeg(tmp_path: Path) -> None:
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(tmp_path / "a.jpg", quality=95)
    photo = read_photo(tmp_path / "a.jpg")
    np.testing.assert_allclose(photo.rgb.mean(axis=(0, 1)), [1, 0, 0], atol=0.03)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_and_reset(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "a.png"
    Image.fromarray(noise()).save(path, exif=exif)
    with Image.open(path) as image:
        upright = ImageOps.exif_transpose(image)
        expected = np.asarray(upright.convert("RGB"), dtype=np.float32)
    photo = read_photo(path)
    np.testing.assert_array_equal(np.rint(photo.rgb * 255), expected)
    assert image_size(path) == photo.rgb.shape[:2]
    write_photo(tmp_path / "b.png", photo)
    with Image.open(tmp_path / "b.png") as image:
        assert image.getexif()[0x0112] == 1
    np.testing.assert_array_equal(read_rgb(tmp_path / "b.png"), photo.rgb)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("depth", [8, 16])
def test_tiff_orientation(tmp_path: Path, orientation: int, depth: int) -> None:
    top = 2**depth - 1
    path = tmp_path / "a.tif"
    write_rgb(path, noise(top=top) / top, bit_depth=depth)
    data = path.read_bytes()
    # One more entry would move everything: the planar configuration (1 by default) makes room.
    old = struct.pack("<HHIHH", 284, 3, 1, 1, 0)
    assert data.count(old) == 1
    entries = struct.unpack_from("<H", data, 8)[0]
    table = [data[10 + 12 * i : 22 + 12 * i] for i in range(entries)]
    table[table.index(old)] = struct.pack("<HHIHH", 274, 3, 1, orientation, 0)
    table.sort(key=lambda entry: entry[:2][::-1])
    path.write_bytes(data[:10] + b"".join(table) + data[10 + 12 * entries :])
    stored = noise(top=top)
    turns: dict[int, np.ndarray] = {
        1: stored,
        2: np.fliplr(stored),
        3: np.rot90(stored, 2),
        4: np.flipud(stored),
        5: stored.swapaxes(0, 1),
        6: np.rot90(stored, -1),
        7: np.rot90(stored, 2).swapaxes(0, 1),
        8: np.rot90(stored, 1),
    }
    photo = read_photo(path)
    assert photo.bit_depth == depth
    np.testing.assert_array_equal(np.rint(photo.rgb * top), turns[orientation])
    assert image_size(path) == photo.rgb.shape[:2]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("suffix", [".ppm", ".jp2"])
def test_rarer_formats_of_16_bits_keep_them(tmp_path: Path, suffix: str, channels: int) -> None:
    samples = noise(64, 80, channels, 65535)
    path = tmp_path / (".pgm" if channels == 1 and suffix == ".ppm" else f"a{suffix}")
    lossless = [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000] if suffix == ".jp2" else []
    assert cv2.imwrite(str(path), samples[..., ::-1], lossless)
    photo = read_photo(path)
    assert (photo.bit_depth, photo.gray) == (16, channels == 1)
    wanted = np.repeat(samples, 3 // channels, 2)
    np.testing.assert_array_equal(np.rint(photo.rgb * 65535), wanted)


def test_ppm_of_less_than_16_bits_is_as_bright(tmp_path: Path) -> None:
    samples = noise(top=65535) >> 4
    header = b"P6 # a camera's\n17 12\n4095\n"
    (tmp_path / "a.ppm").write_bytes(header + samples.astype(">u2").tobytes())
    photo = read_photo(tmp_path / "a.ppm")
    assert photo.bit_depth == 16
    np.testing.assert_allclose(photo.rgb, samples / 4095, atol=1e-6)


def test_animation_gives_the_first_frame(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    for name in ("a.gif", "a.webp", "a.png"):
        options = {"lossless": True} if name == "a.webp" else {}
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], **options)
        np.testing.assert_array_equal(read_rgb(tmp_path / name)[3, 3], [1, 0, 0])


def test_one_pixel_is_read_and_refused_by_size(tmp_path: Path) -> None:
    Image.new("RGB", (1, 1), "white").save(tmp_path / "a.png")
    photo = read_photo(tmp_path / "a.png")
    assert photo.rgb.shape == (1, 1, 3)
    require_size(photo, 1, "a.png")
    with pytest.raises(InputError, match=r"^a\.png is 1x1 pixels: at least 8x8"):
        require_size(photo, 8, "a.png")


def test_transparency_is_never_lost_in_jpeg(tmp_path: Path) -> None:
    rgb = np.zeros((8, 8, 3), np.float32)
    half = Photo(rgb, alpha=np.full((8, 8), 0.5, np.float32))
    for check in (check_can_write, write_photo):
        with pytest.raises(OutputError, match="transparen"):
            check(tmp_path / "a.JPG", half)
    assert list(tmp_path.iterdir()) == []
    write_photo(tmp_path / "b.jpg", Photo(rgb, alpha=np.ones((8, 8), np.float32)))
    assert read_photo(tmp_path / "b.jpg").alpha is None


def test_tensors() -> None:
    rgb = noise().astype(np.float32) / 255
    tensor = to_tensor(rgb)
    assert tensor.shape == (1, 3, 12, 17)
    assert tensor.dtype == torch.float32
    assert float(tensor[0, 2, 5, 7]) == rgb[5, 7, 2]
    np.testing.assert_array_equal(to_array(tensor), rgb)
    np.testing.assert_array_equal(to_array(tensor[0].double() * 4 - 1), np.clip(rgb * 4 - 1, 0, 1))
    tensor.zero_()
    assert rgb.max() > 0  # the tensor does not share the array's memory
    one_column = to_tensor(np.zeros((1, 1, 3), np.float32))
    assert one_column.is_contiguous()
    with pytest.raises(ValueError, match="expected"):
        to_array(torch.zeros(2, 3, 4, 4))
    with pytest.raises(ValueError, match="expected"):
        to_tensor(np.zeros((4, 4)))


def test_suffixes_are_lower_case_and_readable(tmp_path: Path) -> None:
    assert all(suffix == suffix.lower() for suffix in IMAGE_SUFFIXES)
    for suffix in IMAGE_SUFFIXES:
        buffer = io.BytesIO()
        if suffix in (".heic", ".heif", ".hif", ".avif"):
            continue  # see test_phone_photos
        kind = Image.registered_extensions()[suffix]
        image = Image.fromarray(noise())
        (image.convert("L") if suffix == ".pgm" else image).save(buffer, format=kind)
        (tmp_path / f"a{suffix}").write_bytes(buffer.getvalue())
        assert read_rgb(tmp_path / f"a{suffix}").shape == (12, 17, 3)
