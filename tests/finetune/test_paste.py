"""Faces kept, blended in or restored: which are, why others are not, and with what strength."""

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest

from redeg_cli.faces.align import align_face, similarity, template
from redeg_cli.faces.detectors import Face
from redeg_cli.finetune.effort import FaceRule
from redeg_cli.finetune.paste import paste_faces
from redeg_cli.io.images import Photo, to_tensor
from redeg_cli.omega.extract import AlignedPair
from redeg_cli.omega.lattice import Lattice
from redeg_cli.omega.photo_pairs import FacePair

Scene = Callable[..., np.ndarray]
BOX = (32, 32, 112, 112)


def pair_of(photo: np.ndarray, detail: float) -> FacePair:
    """A face in BOX whose restored version has the photo's details, ``detail`` times as strong."""
    points = template(80) + np.array([32.0, 32.0])
    face = Face((45, 47, 99, 105), 0.9, points)
    aligned, matrix = align_face(photo, face, 256)
    soft = cv2.GaussianBlur(aligned, (0, 0), 6.0)
    restored = np.clip(soft + detail * (aligned - soft), 0, 1)
    tensor = to_tensor(photo[32:112, 32:112])
    return FacePair(
        face, matrix, aligned, restored, BOX, AlignedPair(tensor, tensor, 1), np.ones((80, 80)), 1.0
    )


def photo_of(rgb: np.ndarray) -> Photo:
    return Photo(rgb)


@pytest.fixture
def photo(scene: Scene) -> np.ndarray:
    fine = 0.05 * np.random.default_rng(0).normal(0, 1, (144, 144, 1)).astype(np.float32)
    return np.clip(scene(144, 144) + cv2.GaussianBlur(fine, (0, 0), 1.0)[..., None] * 3, 0, 1)


def test_the_matrix_is_the_faces(photo: np.ndarray) -> None:
    pair = pair_of(photo, 1.0)
    np.testing.assert_allclose(pair.matrix, similarity(pair.face.landmarks, template(256)))


@pytest.mark.parametrize(("rule", "strength"), [("keep", 1.0), ("blend", 0.0), ("restore", 0.0)])
def test_nothing_asked_nothing_done(photo: np.ndarray, rule: FaceRule, strength: float) -> None:
    before = photo_of(photo)
    after, names = paste_faces(before, [pair_of(photo, 2.0)], 1, None, rule, strength)
    assert names == []
    np.testing.assert_array_equal(after.rgb, photo)


def test_only_an_improvement_is_blended_in(photo: np.ndarray) -> None:
    told: list[str] = []
    faces = [pair_of(photo, 0.2)]
    after, names = paste_faces(photo_of(photo), faces, 1, None, say=told.append)
    assert names == []
    np.testing.assert_array_equal(after.rgb, photo)
    assert len(told) == 1
    assert "of the detail that the restored photo has there" in told[0]
    after, names = paste_faces(photo_of(photo), [pair_of(photo, 1.5)], 1, None, say=told.append)
    assert names == ["face of 56 px at 32,32"]
    assert len(told) == 1
    assert np.abs(after.rgb - photo)[40:104, 40:104].max() > 0.01


def test_restore_takes_every_face(photo: np.ndarray) -> None:
    faces = [pair_of(photo, 0.2)]
    after, names = paste_faces(photo_of(photo), faces, 1, None, "restore")
    assert len(names) == 1
    assert np.abs(after.rgb - photo).max() > 0.01
    # What lies outside the face's square is the photo, bit by bit.
    outside = np.ones((144, 144), bool)
    outside[28:116, 28:116] = False
    np.testing.assert_array_equal(after.rgb[outside], photo[outside])


def test_strength_is_a_mix(photo: np.ndarray) -> None:
    faces = [pair_of(photo, 1.5)]
    whole, half = (
        paste_faces(photo_of(photo), faces, 1, None, "blend", strength)[0].rgb - photo
        for strength in (1.0, 0.5)
    )
    assert np.abs(half - 0.5 * whole).max() < 0.25 * np.abs(whole).max()
    assert 0.4 < np.abs(half).sum() / np.abs(whole).sum() < 0.7


def test_a_face_that_brings_the_dots_back_is_left_out(photo: np.ndarray) -> None:
    x = np.arange(256)[None].repeat(256, 0)
    pair = pair_of(photo, 1.0)
    # Every 12 px of the aligned face: 12 * 80 / 256 px of the photo.
    frequency = 256 / 80 / 12
    dots = 0.15 * np.cos(2 * np.pi * x / 12)[..., None].astype(np.float32)
    dotted = replace(pair, restored=np.clip(pair.restored + dots, 0, 1))
    lattice = Lattice(((frequency, 0.0),))
    told: list[str] = []
    _, names = paste_faces(photo_of(photo), [dotted], 1, lattice, say=told.append)
    assert names == []
    assert "dots or lines" in told[0]
    assert paste_faces(photo_of(photo), [pair], 1, lattice)[1] != []


def test_gray_stays_gray_to_the_bit(photo: np.ndarray) -> None:
    gray = np.repeat(photo[..., :1], 3, -1)
    pair = pair_of(gray, 1.5)
    tinted = replace(pair, restored=np.clip(pair.restored * [1.0, 0.9, 0.8], 0, 1))
    after, _ = paste_faces(photo_of(gray), [tinted], 1, None, "restore")
    assert np.ptp(after.rgb, axis=-1).max() < 1e-6
    assert np.abs(after.rgb - gray).max() > 0.01
