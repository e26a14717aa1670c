"""Which faces are dropped, and that each gets its own reason."""

from dataclasses import replace

import numpy as np
import pytest

from redeg_cli.faces import align
from redeg_cli.faces.detectors import Face
from redeg_cli.faces.select import select_faces
from redeg_cli.faces.turns import turned_back


def made(
    x: float = 100, y: float = 100, size: float = 60, *, angle: float = 0, squeeze: float = 1
) -> Face:
    """A mean face; ``squeeze`` narrows its landmarks as a turn of the head does."""
    points = (align.template() - 255.5) * size / 286 * [squeeze, 1]
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    points = points @ np.array([[cos, sin], [-sin, cos]]) + [x, y]
    return Face((x - size / 2, y - size / 2, x + size / 2, y + size / 2), 0.9, points)


@pytest.mark.parametrize(
    ("face", "reason"),
    [
        (made(size=20), "too small: 20.0 px"),
        (made(x=10), "edge"),
        (made(angle=70), "turned by 70 degrees"),
        (made(squeeze=0.2), "in profile"),
        (made(squeeze=-1), "turned by 180"),
        (Face((70, 70, 130, 130), 0.9, made().landmarks[[0, 1, 2, 4, 3]]), "cannot be"),
    ],
)
def test_reasons(face: Face, reason: str) -> None:
    kept, dropped = select_faces([face, made(x=300, y=300)], (400, 400))
    assert [other.box for other in kept] == [made(x=300, y=300).box]
    assert reason in dropped[0][1]


def test_nose_aside_is_a_profile() -> None:
    landmarks = made().landmarks
    landmarks[2, 0] += 0.5 * (landmarks[1, 0] - landmarks[0, 0])
    _, dropped = select_faces([Face((70, 70, 130, 130), 0.9, landmarks)], (400, 400))
    assert "profile" in dropped[0][1]


def test_order_and_overlap() -> None:
    small, large, other = made(size=40), made(size=60), made(x=250, size=50)
    kept, dropped = select_faces([small, other, large], (400, 400))
    assert kept == [large, other]
    assert dropped == [(small, "overlaps a larger face")]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"confirmed": 0.3}, "not sure to be a face: a closer look scores 0.30"),
        ({"confirmed": 0.9, "resolution": 6.2}, "too blurred: it holds the detail of a face of 6"),
    ],
)
def test_what_a_closer_look_tells(change: dict[str, float], reason: str) -> None:
    good = replace(made(), confirmed=0.9, resolution=20.0)
    assert select_faces([good], (400, 400)) == ([good], [])
    _, [(_, found)] = select_faces([replace(good, **change)], (400, 400))
    assert reason in found


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_the_angle_is_that_of_the_photo_set_upright(turn: int) -> None:
    """A photo that lies on its side has its faces at 90 degrees: none is dropped for it."""
    found = turned_back(made(), turn, (400, 300))
    assert select_faces([found], (400, 300)) == ([found], [])
    _, [(_, reason)] = select_faces([replace(found, turn=0)], (400, 300))
    assert "degrees in the picture" in reason
    _, [(_, reason)] = select_faces([turned_back(made(angle=60), turn, (400, 300))], (400, 300))
    assert "turned by 60 degrees" in reason


def test_a_face_at_the_edge_by_its_landmarks() -> None:
    """The detector fits its box to what is left of a face; its landmarks give it away."""
    cut = made(x=12)
    boxed = replace(cut, box=(0.0, cut.box[1], cut.box[2], cut.box[3]))
    _, [(_, reason)] = select_faces([boxed], (400, 400))
    assert reason == "cut by the picture's edge"
