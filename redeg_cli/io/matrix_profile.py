"""Colour profiles made of three curves and a matrix, applied in floating point.

Pillow's colour engine takes 8 bits only; nearly all RGB profiles (Adobe RGB, Display P3, ProPhoto)
are of this kind and simple enough to be applied directly. Source: ICC.1:2010, sections 8.3.3
(the model), 10.5 and 10.15 (curves), 10.30 (XYZ); IEC 61966-2-1 (sRGB).
"""

import struct
from collections.abc import Callable

import numpy as np

_Curve = Callable[[np.ndarray], np.ndarray]

# The sRGB primaries as XYZ columns, adapted to the profile white D50 (the sRGB v2 profile's tags).
_SRGB_D50 = np.array(
    [[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]]
)
# Parameters used by each type of parametric curve (ICC.1:2010 table 65).
_PARAMETER_COUNTS = (1, 3, 4, 5, 7)


def matrix_to_srgb(rgb: np.ndarray, icc: bytes) -> np.ndarray | None:
    """Return (H, W, 3) colours of profile ``icc`` in sRGB, float32 in [0, 1], clipped.

    None when the profile is damaged or not made of curves and a matrix.
    """
    try:
        tags = _tags(icc)
        if b"A2B0" in tags or icc[16:20] != b"RGB " or icc[20:24] != b"XYZ ":
            return None
        curves = [_curve(tags[name]) for name in (b"rTRC", b"gTRC", b"bTRC")]
        columns = [_xyz(tags[name]) for name in (b"rXYZ", b"gXYZ", b"bXYZ")]
    except (KeyError, ValueError, IndexError, struct.error):
        return None
    matrix = (np.linalg.inv(_SRGB_D50) @ np.stack(columns, axis=1)).astype(np.float32)
    # Row by row: the float64 of a whole large scan would not fit into memory.
    out = np.empty(rgb.shape, np.float32)
    for row, target in zip(rgb, out, strict=True):
        linear = np.stack([curve(row[:, i]) for i, curve in enumerate(curves)], axis=1)
        target[:] = _encode(np.clip(linear @ matrix.T, 0.0, 1.0))
    return out if np.isfinite(out).all() else None


def _encode(linear: np.ndarray) -> np.ndarray:
    """Apply the sRGB transfer function to linear values in [0, 1]."""
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def _tags(icc: bytes) -> dict[bytes, bytes]:
    (count,) = struct.unpack_from(">I", icc, 128)
    if count > 200:
        raise ValueError("not a tag table")
    tags = {}
    for index in range(count):
        name, start, size = struct.unpack_from(">4sII", icc, 132 + 12 * index)
        tags[name] = icc[start : start + size]
    return tags


def _xyz(data: bytes) -> np.ndarray:
    if data[:4] != b"XYZ ":
        raise ValueError("not a colour")
    return np.array(struct.unpack_from(">3i", data, 8)) / 65536.0


def _curve(data: bytes) -> _Curve:
    if data[:4] == b"curv":
        (count,) = struct.unpack_from(">I", data, 8)
        if count == 0:
            return lambda x: x
        if count == 1:
            gamma = struct.unpack_from(">H", data, 12)[0] / 256.0
            return lambda x: x**gamma
        table = np.frombuffer(data, ">u2", count, 12).astype(np.float64) / 65535.0
        places = np.linspace(0.0, 1.0, count)
        return lambda x: np.interp(x, places, table)
    if data[:4] == b"para":
        (kind,) = struct.unpack_from(">H", data, 8)
        count = _PARAMETER_COUNTS[kind]
        values = [v / 65536.0 for v in struct.unpack_from(f">{count}i", data, 12)]
        return _parametric(kind, values)
    raise ValueError("not a curve")


def _parametric(kind: int, values: list[float]) -> _Curve:
    """Return Y = (aX + b)^g + e where X >= d, and Y = cX + f below."""
    g, a, b, c, d, e, f = [*values, *[0.0] * (7 - len(values))]
    if kind == 0:
        a = 1.0
    elif kind in (1, 2):
        # Below -b/a the curve is constant: 0 in type 1, c in type 2 (where c is also added above).
        e = f = c if kind == 2 else 0.0
        c, d = 0.0, -b / a if a else 0.0
    return lambda x: np.where(x >= d, np.maximum(a * x + b, 0.0) ** g + e, c * x + f)
