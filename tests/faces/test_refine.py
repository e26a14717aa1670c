"""A closer look: real faces pass it, an upside-down one does not; blur and noise in the detail."""

import functools
from dataclasses import replace

import cv2
import numpy as np
import pytest
import skimage.data

from redeg_cli.faces.align import similarity, template, warp
from redeg_cli.faces.detect import detect_faces
from redeg_cli.faces.detectors import Face, load_detector
from redeg_cli.faces.refine import FACE_SIDE, MARGIN, SIDE, refined
from redeg_cli.faces.sharpness import face_resolution

PHOTO = skimage.data.astronaut()[:250, 100:350].astype(np.float32) / 255


@functools.lru_cache(maxsize=1)
def found() -> Face:
    (face,) = detect_faces(PHOTO)
    return face


def crop_of(photo: np.ndarray, factor: float = 1.0) -> np.ndarray:
    points = (found().landmarks + 0.5) * factor - 0.5
    matrix = similarity(points, template(FACE_SIDE) + MARGIN)
    return np.clip(warp(photo, matrix, (SIDE, SIDE)), 0, 1)


def test_landmarks_that_are_off_are_brought_back() -> None:
    rough = replace(found(), landmarks=found().landmarks + np.array([4.0, -3.0]))
    face = refined(rough, PHOTO, load_detector("centerface"))
    assert np.abs(face.landmarks - found().landmarks).max() < 2
    assert face.confirmed is not None
    assert face.confirmed > 0.8


def test_a_face_that_stands_on_its_head_is_not_confirmed() -> None:
    middle = found().landmarks.mean(0)
    headlong = replace(found(), landmarks=2 * middle - found().landmarks)
    face = refined(headlong, np.ascontiguousarray(PHOTO), load_detector("centerface"))
    assert face.confirmed == 0


def test_landmarks_in_one_point_are_nothing_to_look_at() -> None:
    point = replace(found(), landmarks=np.full((5, 2), 100.0))
    assert refined(point, PHOTO, load_detector("centerface")).confirmed == 0


@pytest.mark.parametrize("pixels", [10, 14, 20, 28])
def test_the_detail_of_a_reduced_face_is_its_size(pixels: int) -> None:
    factor = pixels / found().size
    small = cv2.resize(PHOTO, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    height, width = small.shape[:2]
    factor = (width / PHOTO.shape[1] + height / PHOTO.shape[0]) / 2
    assert face_resolution(crop_of(small, factor), MARGIN) == pytest.approx(pixels, rel=0.3)


def test_blur_takes_detail_and_noise_counts_as_detail() -> None:
    values = [
        face_resolution(crop_of(cv2.GaussianBlur(PHOTO, (0, 0), sigma)), MARGIN)
        for sigma in (0.5, 3.0, 6.0, 12.0)
    ]
    assert values == sorted(values, reverse=True)
    assert values[0] > 30
    assert values[-1] < 6
    blurred = cv2.GaussianBlur(PHOTO, (0, 0), 6.0)
    noise = np.random.default_rng(0).normal(0, 0.1, PHOTO.shape).astype(np.float32)
    assert face_resolution(crop_of(blurred + noise), MARGIN) > 1.1 * values[2]


def test_a_flat_face_holds_nothing() -> None:
    assert face_resolution(np.full((SIDE, SIDE, 3), 128, np.uint8), MARGIN) <= 3
