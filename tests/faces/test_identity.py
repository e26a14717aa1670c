"""The same person or not: blur and noise pass, moved landmarks and inventions do not."""

import functools

import cv2
import numpy as np
import pytest
import skimage.data

from redeg_cli.faces.align import align_face, template
from redeg_cli.faces.detect import detect_faces
from redeg_cli.faces.detectors import load_detector
from redeg_cli.faces.identity import Identity, identity, landmarks_moved, likeness
from redeg_cli.faces.paste import face_mask

SIDE = 256
MASK = face_mask(SIDE)


@functools.lru_cache(maxsize=1)
def face() -> np.ndarray:
    photo = skimage.data.astronaut()[:250, 100:350].astype(np.float32) / 255
    aligned, _ = align_face(photo, detect_faces(photo)[0], SIDE)
    return aligned


def degraded() -> np.ndarray:
    """As a face of 40 px with noise, enlarged."""
    small = cv2.resize(face(), (72, 72), interpolation=cv2.INTER_AREA)
    small = small + np.random.default_rng(0).normal(0, 0.04, small.shape)
    return cv2.resize(small.clip(0, 1).astype(np.float32), (SIDE, SIDE))


def with_glasses() -> np.ndarray:
    out = face().copy()
    for x, y in template(SIDE)[:2].tolist():
        place = (round(x), round(y) + 2)
        cv2.ellipse(out, place, (27, 20), 0, 0, 360, (0.1, 0.1, 0.1), 5, cv2.LINE_AA)
    return out


def test_a_degraded_face_is_the_same_person() -> None:
    found = identity(degraded(), face(), MASK, load_detector("centerface"))
    assert found.moved is not None
    assert found.moved < 0.1
    assert found.likeness > 0.95
    assert found.least_likeness > 0.8
    assert found.complaint() is None


def test_invented_glasses() -> None:
    found = identity(degraded(), with_glasses(), MASK, None)
    assert found.moved is None
    assert found.complaint() is not None


def test_another_face() -> None:
    """The mirrored face has its landmarks in the same places, but its light and hair do not fit."""
    whole, least = likeness(degraded(), face()[:, ::-1], MASK)
    assert whole < 0.85
    assert least < 0.5
    complaint = Identity(0.02, whole, least).complaint()
    assert complaint is not None
    assert "another one" in complaint


@pytest.mark.parametrize("shift", [(0, 10), (10, 0)])
def test_moved_landmarks_are_measured_in_eye_distances(shift: tuple[int, int]) -> None:
    moved = np.roll(face(), shift, (0, 1))
    eyes = template(SIDE)[:2]
    expected = 10 / np.linalg.norm(eyes[1] - eyes[0])
    found = landmarks_moved(face(), moved, load_detector("centerface"))
    assert found == pytest.approx(expected, rel=0.3)
    complaint = Identity(found, 1.0, 1.0).complaint()
    assert complaint is not None
    assert "moved the landmarks by 0.1" in complaint


def test_one_place_that_differs_is_found() -> None:
    changed = face().copy()
    y, x = (round(v) for v in template(SIDE)[3][::-1])
    changed[y - 12 : y + 12, x - 12 : x + 12] = changed[y - 12 : y + 12, x - 12 : x + 12][::-1]
    whole, least = likeness(face(), changed, MASK)
    assert whole > 0.85
    assert least < whole - 0.05


def test_closed_forms() -> None:
    assert likeness(face(), face(), MASK) == pytest.approx((1, 1), abs=1e-4)
    whole, least = likeness(face(), 1 - face(), MASK)
    assert whole == pytest.approx(-1, abs=1e-4)
    assert least < -0.9
    flat = np.full((SIDE, SIDE, 3), 0.5, np.float32)
    # Two flat places are alike; nobody can be told from a flat picture as a whole.
    assert likeness(flat, flat, MASK) == pytest.approx((0, 1), abs=1e-3)
    assert likeness(face(), flat, MASK)[0] == pytest.approx(0, abs=1e-3)


def test_without_a_face_there_are_no_landmarks() -> None:
    flat = np.full((SIDE, SIDE, 3), 0.5, np.float32)
    assert landmarks_moved(face(), flat, load_detector("centerface")) is None
