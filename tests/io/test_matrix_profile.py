"""Curve-and-matrix profiles in floating point, against Pillow's colour engine at 8 bits."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from redeg_cli.io.colour_profile import srgb_profile
from redeg_cli.io.matrix_profile import matrix_to_srgb


def parametric(kind: int, *values: float) -> bytes:
    numbers = b"".join(struct.pack(">i", round(value * 65536)) for value in values)
    return b"para" + bytes(4) + struct.pack(">HH", kind, 0) + numbers


def table(values: np.ndarray) -> bytes:
    samples = np.rint(values * 65535).astype(">u2").tobytes()
    return b"curv" + bytes(4) + struct.pack(">I", len(values)) + samples


CURVES = {
    "identity": b"curv" + bytes(8),
    "gamma": b"curv" + bytes(4) + struct.pack(">IH", 1, round(1.8 * 256)),
    "table": table(np.linspace(0, 1, 300) ** 2.4),
    "type 0": parametric(0, 2.0),
    "type 1": parametric(1, 2.0, 1.1, -0.1),
    "type 2": parametric(2, 2.0, 1.0, -0.1, 0.05),
    "type 3": parametric(3, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045),
    "type 4": parametric(4, 2.0, 0.9, 0.0, 0.2, 0.2, 0.05, 0.02),
}


def profile(curve: bytes) -> bytes:
    """Make a minimal profile with wide primaries (Display P3 adapted to D50)."""

    def xyz(*values: float) -> bytes:
        return b"XYZ " + bytes(4) + b"".join(struct.pack(">i", round(v * 65536)) for v in values)

    tags = {
        b"rXYZ": xyz(0.51512, 0.24120, -0.00105),
        b"gXYZ": xyz(0.29198, 0.69225, 0.04189),
        b"bXYZ": xyz(0.15710, 0.06657, 0.78407),
        b"wtpt": xyz(0.9642, 1.0, 0.8249),
        **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve),
    }
    listing, body = struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        listing += name + struct.pack(">II", 132 + 12 * len(tags) + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    white = b"".join(struct.pack(">i", round(v * 65536)) for v in (0.9642, 1.0, 0.8249))
    head = b"lcms" + bytes.fromhex("04000000") + b"mntrRGB XYZ " + bytes(12) + b"acsp"
    head = (head + bytes(28) + white).ljust(124, b"\x00")
    return struct.pack(">I", 128 + len(listing) + len(body)) + head + listing + body


@pytest.mark.parametrize("name", CURVES)
def test_every_kind_of_curve_agrees_with_littlecms(name: str) -> None:
    icc = profile(CURVES[name])
    samples = np.random.default_rng(4).integers(60, 230, (40, 40, 3), dtype=np.uint8)
    expected = ImageCms.profileToProfile(
        Image.fromarray(samples),
        ImageCms.ImageCmsProfile(io.BytesIO(icc)),
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="RGB",
    )
    converted = matrix_to_srgb(samples.astype(np.float32) / 255, icc)
    assert converted is not None
    assert converted.dtype == np.float32
    difference = np.abs(converted * 255 - np.asarray(expected))
    # Where colours leave sRGB the engine's 8-bit path steps coarsely near black: a few samples.
    assert np.mean(difference <= 1.0) > 0.98
    assert np.mean(difference) < 0.4


def test_srgb_is_left_as_it_is() -> None:
    values = np.random.default_rng(4).random((20, 20, 3), dtype=np.float32)
    converted = matrix_to_srgb(values, srgb_profile())
    assert converted is not None
    # Profile tags of the same primaries differ in the fourth digit; near black that shows most.
    np.testing.assert_allclose(converted, values, atol=2e-3)


def test_damaged_and_other_profiles_are_not_applied() -> None:
    values = np.full((2, 2, 3), 0.5, np.float32)
    good = profile(CURVES["gamma"])
    assert matrix_to_srgb(values, good) is not None
    for bad in (b"", b"no profile", good[:150], good[:260], good.replace(b"RGB XYZ", b"RGB Lab")):
        assert matrix_to_srgb(values, bad) is None
    assert matrix_to_srgb(values, profile(b"what" + bytes(20))) is None
    assert matrix_to_srgb(values, profile(parametric(9, 1.0))) is None
