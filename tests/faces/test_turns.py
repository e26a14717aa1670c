"""Photos on their side: found upright, told in the photo's own coordinates."""

import functools
from dataclasses import replace

import numpy as np
import pytest
import skimage.data

from redeg_cli.faces.align import align_face
from redeg_cli.faces.detect import detect_faces, select_faces
from redeg_cli.faces.detectors import Face
from redeg_cli.faces.turns import find_upright, turn_note, turned, turned_back

PHOTO = skimage.data.astronaut()[:240, 120:320].astype(np.float32) / 255
TURNS = [90, 180, 270]


@functools.lru_cache(maxsize=1)
def upright() -> Face:
    (face,) = detect_faces(PHOTO)
    return face


def made(score: float = 0.9, confirmed: float = 0.9, angle: float = 0.0) -> Face:
    points = np.array([[30.0, 40], [50, 40], [40, 50], [33, 60], [47, 60]])
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    points = (points - 40) @ np.array([[cos, sin], [-sin, cos]]) + 40
    return Face((20, 20, 60, 70), score, points, confirmed=confirmed)


@pytest.mark.parametrize("turn", [0, *TURNS])
def test_coordinates_come_back(turn: int) -> None:
    """A pixel that is marked in the photo is marked where the turned picture shows it."""
    photo = np.zeros((5, 9, 3), np.float32)
    photo[1, 6] = 1
    row, column = np.argwhere(turned(photo, turn)[..., 0])[0].tolist()
    points = np.tile([[float(column), float(row)]], (5, 1))
    face = Face((column, row, column + 1, row + 1), 0.9, points)
    back = turned_back(face, turn, (5, 9))
    assert back.box == (6, 1, 7, 2)
    np.testing.assert_array_equal(back.landmarks, np.tile([[6.0, 1.0]], (5, 1)))
    assert back.turn == turn


def test_a_clockwise_turn_brings_the_left_edge_to_the_top() -> None:
    photo = np.zeros((4, 6, 3), np.float32)
    photo[:, 0] = 1
    assert turned(photo, 90)[0].all()
    assert turned(photo, 90).shape == (6, 4, 3)


@pytest.mark.parametrize("turn", TURNS)
def test_a_photo_on_its_side(turn: int) -> None:
    lying = turned(PHOTO, 360 - turn)
    before = lying.copy()
    (face,) = detect_faces(lying)
    np.testing.assert_array_equal(lying, before)
    assert face.turn == turn
    assert abs(face.tilt) < 10
    # Where the upright photo has them, seen in the photo that lies.
    points = turned_back(replace(face, turn=0), 360 - turn, PHOTO.shape[:2]).landmarks
    assert np.abs(points - upright().landmarks).max() < 1.5
    assert select_faces([face], lying.shape[:2]) == ([face], [])
    aligned, _ = align_face(lying, face, 128)
    reference, _ = align_face(PHOTO, upright(), 128)
    assert np.abs(aligned - reference).mean() < 0.02
    note = turn_note([face])
    assert note is not None
    assert f"turned {turn} degrees" in note
    assert ("upside down" in note) == (turn == 180)


def test_an_upright_photo_is_searched_once() -> None:
    seen: list[tuple[int, ...]] = []

    def search(picture: np.ndarray) -> list[Face]:
        seen.append(picture.shape)
        return [made()]

    faces, turn = find_upright(PHOTO, search)
    assert (len(faces), turn, seen) == (1, 0, [PHOTO.shape])
    assert turn_note(faces) is None
    assert turn_note([]) is None


def test_sideways_faces_tell_which_turn_to_try_first() -> None:
    found = iter([[made(0.6, 0.9, -90)], [made(), made()]])
    seen: list[tuple[int, ...]] = []

    def search(picture: np.ndarray) -> list[Face]:
        seen.append(picture.shape)
        return next(found)

    faces, turn = find_upright(PHOTO, search)
    assert turn == 90
    assert [face.turn for face in faces] == [90, 90]
    assert len(seen) == 2


@pytest.mark.parametrize("unsure", [made(0.7, 0.0), made(0.7, 0.3), made(0.9, 0.9, 40)])
def test_what_is_not_sure_is_looked_at_in_all_turns(unsure: Face) -> None:
    seen: list[tuple[int, ...]] = []

    def search(picture: np.ndarray) -> list[Face]:
        seen.append(picture.shape)
        return [unsure] if len(seen) == 1 else []

    faces, turn = find_upright(PHOTO, search)
    assert (faces, turn) == ([unsure], 0)
    assert len(seen) == 4


def test_a_false_alarm_in_a_wrong_turn_is_not_taken() -> None:
    found = iter([[], [made(0.9, 0.0)], [], []])
    assert find_upright(PHOTO, lambda _: next(found)) == ([], 0)


def test_no_face_in_any_turn() -> None:
    assert detect_faces(np.full((96, 128, 3), 0.5, np.float32)) == []
