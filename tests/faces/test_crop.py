"""The pair around a face: on the JPEG grid, and registered far below a pixel."""

import cv2
import numpy as np
import pytest
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st

from redeg_cli.errors import NoFaceError
from redeg_cli.faces import align, crop
from redeg_cli.faces.detectors import Face


def face(x: float, y: float, size: float, angle: float = 0.0) -> Face:
    """The mean face, ``size`` pixels wide, centred at (x, y), turned by ``angle`` degrees."""
    points = (align.template() - 255.5) * size / 286
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    points = points @ np.array([[cos, sin], [-sin, cos]]) + [x, y]
    return Face((x - size / 2, y - 0.6 * size, x + size / 2, y + 0.7 * size), 0.9, points)


def tone(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return 0.5 + 0.2 * np.sin(x / 5.3 + 0.4) + 0.2 * np.cos(y / 4.7 + x / 19)


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
@pytest.mark.parametrize("angle", [0.0, 27.0])
def test_region_stands_where_the_photo_stands(scale: int, angle: float) -> None:
    """Closed form: pixel i of the region is the photo's place (i + 1/2) / s - 1/2."""
    y, x = np.mgrid[:200, :220].astype(np.float64)
    photo = np.repeat(tone(x, y)[..., None], 3, -1).astype(np.float32)
    there = face(103.7, 96.2, 60, angle)
    aligned, matrix = align.align_face(photo, there)
    box = crop.face_region(there, (200, 220), scale)
    region, valid = crop.restored_region(aligned, matrix, box, scale)
    height, width = (box[3] - box[1]) * scale, (box[2] - box[0]) * scale
    assert region.shape == (height, width, 3)
    assert valid.min() == 1
    i, j = np.mgrid[:height, :width]
    places = ((j + 0.5) / scale - 0.5 + box[0], (i + 0.5) / scale - 0.5 + box[1])
    error = region[..., 0] - tone(*places)
    assert np.abs(error).max() < 0.01
    # How far the region lies off, in pixels of its own grid: the error explained by the slopes.
    slopes = np.stack([g.ravel() for g in np.gradient(tone(*places))], 1)
    shift, *_ = np.linalg.lstsq(slopes, error.ravel(), rcond=None)
    assert np.abs(shift).max() < 0.02


@pytest.mark.parametrize("scale", [2, 4])
def test_region_of_a_real_face_is_registered(scale: int) -> None:
    photo = skimage.data.astronaut().astype(np.float32) / 255
    there = face(226, 118, 88, 3)
    aligned, matrix = align.align_face(photo, there)
    x0, y0, x1, y1 = box = crop.face_region(there, photo.shape[:2], scale)
    region, _ = crop.restored_region(aligned, matrix, box, scale)
    lq = photo[y0:y1, x0:x1]
    wanted = cv2.resize(lq, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    window = cv2.createHanningWindow((region.shape[1], region.shape[0]), cv2.CV_64F)
    (dx, dy), _ = cv2.phaseCorrelate(
        region.mean(-1).astype(np.float64), wanted.mean(-1).astype(np.float64), window
    )
    assert np.hypot(dx, dy) < 0.1
    assert np.abs(region - wanted).mean() < 2e-3


@settings(max_examples=60, deadline=None)
@given(
    x=st.floats(0.1, 0.9),
    y=st.floats(0.1, 0.9),
    size=st.floats(30, 160),
    angle=st.floats(-30, 30),
    height=st.integers(180, 400),
    width=st.integers(180, 400),
)
def test_region_lies_on_the_jpeg_grid_inside_the_photo(
    x: float, y: float, size: float, angle: float, height: int, width: int
) -> None:
    there = face(x * width, y * height, size, angle)
    try:
        x0, y0, x1, y1 = crop.face_region(there, (height, width), 4)
    except NoFaceError:
        assert x < 0.25 or x > 0.75 or y < 0.25 or y > 0.75 or size < 40
        return
    assert x0 % 16 == 0
    assert y0 % 16 == 0
    assert (x1 - x0) % 8 == 0
    assert (y1 - y0) % 8 == 0
    assert 0 <= x0 < x1 <= width
    assert 0 <= y0 < y1 <= height


def test_region_covers_the_face() -> None:
    x0, y0, x1, y1 = crop.face_region(face(150, 150, 80), (300, 300), 2)
    assert x1 - x0 == pytest.approx(1.6 * 80, abs=24)
    assert x0 < 110 < 190 < x1
    assert y0 < 115 < 190 < y1


def test_turned_face_keeps_the_region_within_the_square() -> None:
    there = face(150, 150, 80, 30)
    _, matrix = align.align_face(np.zeros((300, 300, 3), np.float32), there)
    box = crop.face_region(there, (300, 300), 2)
    _, valid = crop.restored_region(np.zeros((512, 512, 3), np.float32), matrix, box, 2)
    assert valid.min() == 1
    _, wide = crop.restored_region(np.zeros((512, 512, 3), np.float32), matrix, (0, 0, 300, 300), 2)
    assert 0.1 < wide.mean() < 0.5


def test_too_small_a_face_is_refused_in_one_line() -> None:
    with pytest.raises(NoFaceError, match=r"scale 1; at least 32 px") as caught:
        crop.face_region(face(100, 100, 16), (200, 200), 1)
    assert "\n" not in str(caught.value)


def test_sharpness_of_scale_counts_aligned_pixels() -> None:
    matrix = align.similarity(face(100, 100, 286 / 3).landmarks, align.template())
    assert crop.sharpness_of_scale(matrix, 1) == pytest.approx(3)
    assert crop.sharpness_of_scale(matrix, 4) == pytest.approx(0.75)
