"""Embedded profiles: pixels come out in sRGB, against closed forms."""

import struct
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from redeg_cli.io.colour_profile import srgb_profile, to_srgb
from redeg_cli.io.images import read_photo, write_photo

# Adobe RGB (1998) and sRGB primaries as XYZ (D65), and the transfer functions of both standards.
ADOBE = np.array(
    [[0.57667, 0.18556, 0.18823], [0.29734, 0.62736, 0.07529], [0.02703, 0.07069, 0.99134]]
)
SRGB = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
BRADFORD = np.array(
    [[1.04788, 0.02292, -0.05022], [0.02959, 0.99048, -0.01707], [-0.00925, 0.01508, 0.75168]]
)


def profile(space: bytes, name: bytes = b"Test profile") -> bytes:
    """Make a minimal version 2 ICC profile: Adobe RGB primaries or gray, gamma 2.2."""

    def tag(kind: bytes, body: bytes) -> bytes:
        data = kind + bytes(4) + body
        return data + bytes(-len(data) % 4)

    def xyz(values: np.ndarray) -> bytes:
        return tag(b"XYZ ", b"".join(struct.pack(">i", round(v * 65536)) for v in values))

    curve = tag(b"curv", struct.pack(">IH", 1, round(2.19921875 * 256)))
    white = np.array([0.9642, 1.0, 0.8249])
    description = tag(b"desc", struct.pack(">I", len(name) + 1) + name + bytes(79))
    tags = [(b"desc", description), (b"cprt", tag(b"text", b"none\x00")), (b"wtpt", xyz(white))]
    if space == b"GRAY":
        tags.append((b"kTRC", curve))
    else:
        columns = (BRADFORD @ ADOBE).T
        tags += [(key, xyz(c)) for key, c in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns, strict=True)]
        tags += [(key, curve) for key in (b"rTRC", b"gTRC", b"bTRC")]
    table, body = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for key, data in tags:
        table += key + struct.pack(">II", start + len(body), len(data))
        body += data
    head = b"lcms" + bytes.fromhex("02100000") + b"mntr" + space + b"XYZ " + bytes(12) + b"acsp"
    head += bytes(28) + b"".join(struct.pack(">i", round(v * 65536)) for v in white)
    head = head.ljust(124, b"\x00")
    return struct.pack(">I", 128 + len(table) + len(body)) + head + table + body


def adobe_to_srgb(values: np.ndarray) -> np.ndarray:
    linear = values**2.19921875 @ (np.linalg.inv(SRGB) @ ADOBE).T
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def moderate(top: int) -> np.ndarray:
    """Colours inside both gamuts."""
    rng = np.random.default_rng(5)
    return rng.integers(round(0.35 * top), round(0.7 * top), (24, 24, 3))


def test_adobe_rgb_becomes_srgb(tmp_path: Path) -> None:
    samples = moderate(255).astype(np.uint8)
    Image.fromarray(samples).save(tmp_path / "a.png", icc_profile=profile(b"RGB "))
    photo = read_photo(tmp_path / "a.png")
    expected = adobe_to_srgb(samples / 255)
    assert np.abs(expected - samples / 255).max() > 10 / 255  # it makes a visible difference
    np.testing.assert_allclose(photo.rgb, expected, atol=1.6 / 255)
    assert photo.metadata.icc == srgb_profile()


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_what_is_written_says_srgb_and_is_not_converted_again(tmp_path: Path, suffix: str) -> None:
    Image.new("RGB", (16, 16), (90, 140, 120)).save(
        tmp_path / "a.png", icc_profile=profile(b"RGB ")
    )
    photo = read_photo(tmp_path / "a.png")
    write_photo(tmp_path / f"b{suffix}", photo)
    with Image.open(tmp_path / f"b{suffix}") as image:
        assert image.info["icc_profile"] == srgb_profile()
        assert to_srgb(image, srgb_profile()) is image
    back = read_photo(tmp_path / f"b{suffix}")
    np.testing.assert_allclose(back.rgb, photo.rgb, atol=2.5 / 255)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bits_are_converted_without_losing_steps(tmp_path: Path, suffix: str) -> None:
    ramp = np.repeat(np.linspace(20000, 45000, 4096).round()[None, :, None], 3, axis=2)
    colours = np.concatenate([ramp, np.resize(moderate(65535), ramp.shape)]).astype(np.uint16)
    ok, data = cv2.imencode(suffix, colours[..., ::-1])
    assert ok
    path = tmp_path / f"a{suffix}"
    path.write_bytes(data.tobytes())
    photo = read_photo(path)
    # The profile is put in by our own writer: OpenCV writes none.
    write_photo(path, replace(photo, metadata=replace(photo.metadata, icc=profile(b"RGB "))))
    photo = read_photo(path)
    assert photo.bit_depth == 16
    np.testing.assert_allclose(photo.rgb, adobe_to_srgb(colours / 65535), atol=0.7 / 255)
    assert len(np.unique(photo.rgb[0, :, 1])) > 4000


def test_gray_profile_keeps_the_picture_gray(tmp_path: Path) -> None:
    samples = np.arange(256, dtype=np.uint8).reshape(16, 16)
    Image.fromarray(samples).save(tmp_path / "a.png", icc_profile=profile(b"GRAY"))
    photo = read_photo(tmp_path / "a.png")
    assert photo.gray
    linear = (samples / 255) ** 2.19921875
    expected = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    np.testing.assert_allclose(photo.rgb[..., 0], expected, atol=1.6 / 255)
    assert np.ptp(photo.rgb, axis=2).max() == 0
    write_photo(tmp_path / "b.png", photo)
    with Image.open(tmp_path / "b.png") as image:
        assert image.mode == "L"
        assert "icc_profile" not in image.info


def test_srgb_under_any_name_changes_no_sample(tmp_path: Path) -> None:
    samples = np.random.default_rng(2).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    made = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(samples).save(tmp_path / "a.png", icc_profile=made)
    photo = read_photo(tmp_path / "a.png")
    np.testing.assert_array_equal(photo.rgb, samples.astype(np.float32) / 255)
    assert photo.metadata.icc is not None


@pytest.mark.parametrize("wrong", [b"not a profile", profile(b"CMYK"), profile(b"GRAY")])
def test_a_wrong_profile_is_ignored(tmp_path: Path, wrong: bytes) -> None:
    Image.new("RGB", (8, 8), (10, 200, 30)).save(tmp_path / "a.png", icc_profile=wrong)
    photo = read_photo(tmp_path / "a.png")
    np.testing.assert_array_equal(np.rint(photo.rgb[0, 0] * 255), [10, 200, 30])
