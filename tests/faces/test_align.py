"""Alignment: known similarities, OpenCV's and SciPy's grids, the way there and back."""

import cv2
import numpy as np
import pytest
import scipy.ndimage
from unaligned import unalign

from redeg_cli.faces import align
from redeg_cli.faces.detectors import Face


def turned(angle: float, zoom: float, shift: tuple[float, float]) -> np.ndarray:
    cos, sin = zoom * np.cos(np.radians(angle)), zoom * np.sin(np.radians(angle))
    return np.array([[cos, -sin, shift[0]], [sin, cos, shift[1]]])


def waves(height: int, width: int) -> np.ndarray:
    """A smooth colour picture that differs everywhere."""
    y, x = np.mgrid[:height, :width].astype(np.float64)
    channels = [np.sin(x / 9 + y / 23), np.cos(y / 8 - x / 31), np.sin((x + y) / 13)]
    return (0.5 + 0.4 * np.stack(channels, axis=-1)).astype(np.float32)


def face_at(matrix: np.ndarray) -> Face:
    """The face whose photo -> aligned matrix is ``matrix``."""
    landmarks = align.transform(align.invert(matrix), align.template())
    low, high = landmarks.min(0), landmarks.max(0)
    return Face((*low.tolist(), *high.tolist()), 1.0, landmarks)


@pytest.mark.parametrize("angle", [-170.0, -30.0, 0.0, 12.5, 90.0])
def test_similarity_finds_the_known_one(angle: float) -> None:
    wanted = turned(angle, 2.7, (-31.0, 88.5))
    points = np.random.default_rng(3).uniform(0, 300, (5, 2))
    found = align.similarity(points, align.transform(wanted, points))
    np.testing.assert_allclose(found, wanted, atol=1e-9)


def test_similarity_is_the_least_squares_one() -> None:
    rng = np.random.default_rng(5)
    source = rng.uniform(0, 100, (5, 2))
    target = align.transform(turned(20, 1.5, (4, 5)), source) + rng.normal(0, 3, (5, 2))
    # The same problem as a linear system in (a, b, tx, ty), solved by NumPy.
    one, zero = np.ones(5), np.zeros(5)
    rows_x = np.stack([source[:, 0], -source[:, 1], one, zero], 1)
    rows_y = np.stack([source[:, 1], source[:, 0], zero, one], 1)
    answer, *_ = np.linalg.lstsq(
        np.vstack([rows_x, rows_y]), np.concatenate([target[:, 0], target[:, 1]]), rcond=None
    )
    a, b, tx, ty = answer
    np.testing.assert_allclose(align.similarity(source, target), [[a, -b, tx], [b, a, ty]])


def test_template_keeps_its_place_at_any_size() -> None:
    """Pixel centre p of 512 stands at (p + 1/2) / 2 - 1/2 of 256."""
    np.testing.assert_allclose(align.template(256), (align.template() - 0.5) / 2)
    assert align.template()[0].tolist() == [192.98138, 239.94708]


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_finer_grid_is_the_grid_of_resize(scale: int) -> None:
    picture = waves(40, 48)
    wanted = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    found = align.warp(picture, align.finer_grid(scale), (40 * scale, 48 * scale))
    # OpenCV's warp rounds places to 1/32 pixel.
    assert np.abs(found - wanted).max() < 3e-3


def test_warp_agrees_with_scipy() -> None:
    picture = waves(64, 80)
    matrix = turned(25, 1.8, (20.0, -15.0))
    found = align.warp(picture, matrix, (96, 96))
    back = align.invert(matrix)
    y, x = np.mgrid[:96, :96].astype(np.float64)
    places = align.transform(back, np.stack([x.ravel(), y.ravel()], 1))
    inside = ((places > 3) & (places < [76, 60])).all(1).reshape(96, 96)
    assert inside.mean() > 0.3
    for channel in range(3):
        wanted = scipy.ndimage.map_coordinates(
            picture[..., channel], [places[:, 1], places[:, 0]], order=3
        ).reshape(96, 96)
        assert np.abs(found[..., channel] - wanted)[inside].max() < 6e-3


def test_shrinking_averages_instead_of_aliasing() -> None:
    board = (np.indices((240, 240)).sum(0) % 2).astype(np.float32)
    picture = np.repeat(board[..., None], 3, axis=-1)
    small = align.warp(picture, turned(0, 0.25, (-0.375, -0.375)), (60, 60))
    assert np.abs(small[2:-2, 2:-2] - 0.5).max() < 0.02
    # One pixel in four, as a plain warp takes them, sees only one colour of the board.
    assert picture[::4, ::4].std() == 0


def test_shrinking_keeps_the_place() -> None:
    picture = waves(256, 256)
    wanted = cv2.resize(picture, (64, 64), interpolation=cv2.INTER_AREA)
    found = align.warp(picture, align.invert(align.finer_grid(4)), (64, 64))
    assert np.abs(found - wanted)[1:-1, 1:-1].max() < 2e-3


def test_picture_larger_than_opencv_takes() -> None:
    picture = np.zeros((40, 40_000, 3), np.float32)
    picture[:, 39_000:] = 1
    out = align.warp(picture, np.array([[1.0, 0, -38_990], [0, 1.0, 0]]), (40, 20))
    assert out[:, :8].max() < 1e-3
    assert out[:, 12:].min() > 0.999


def test_outside_is_mirrored() -> None:
    picture = waves(60, 60)
    matrix = np.array([[4.0, 0, 200.0], [0, 4.0, 150.0]])
    aligned, found = align.align_face(picture, face_at(matrix))
    np.testing.assert_allclose(found, matrix, atol=1e-9)
    # Column 200 is the photo's first pixel centre: equal on both sides of it.
    np.testing.assert_allclose(aligned[:, 200 - 80], aligned[:, 200 + 80], atol=2e-3)
    assert aligned.shape == (512, 512, 3)
    assert aligned.dtype == np.float32


@pytest.mark.parametrize(("angle", "zoom"), [(0.0, 4.0), (30.0, 3.1), (-25.0, 1.3), (8.0, 0.8)])
def test_there_and_back(angle: float, zoom: float) -> None:
    photo = waves(300, 330)
    centre = np.array([160.0, 150.0])
    matrix = turned(angle, zoom, (0, 0))
    matrix[:, 2] = 255.5 - matrix[:, :2] @ centre
    aligned, found = align.align_face(photo, face_at(matrix))
    back, mask = unalign(aligned, found, (300, 330))
    known = cv2.erode(mask, np.ones((5, 5)), borderType=cv2.BORDER_CONSTANT, borderValue=0) > 0
    assert back.shape == photo.shape
    assert set(np.unique(mask)) <= {0.0, 1.0}
    area = min((512 / zoom) ** 2, 300 * 330)
    assert mask.sum() == pytest.approx(area, rel=0.25 if zoom < 1.5 else 0.03)
    assert np.abs(back - photo)[known].max() < 0.01
    assert np.abs(back[mask == 0]).max(initial=0) == 0


def test_a_square_far_outside_leaves_no_footprint() -> None:
    matrix = np.array([[1.0, 0, 5000.0], [0, 1.0, 0.0]])
    x0, _, x1, _ = align.footprint(matrix, 64, (20, 30), 2)
    assert x1 <= x0
