"""Real pairs before a run: partners, sizes, content, and where the landmarks lie."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data

from redeg_cli.errors import InputError, PairError
from redeg_cli.io.images import to_tensor, write_rgb
from redeg_cli.omega.extract import AlignedPair
from redeg_cli.train.check_pairs import check_pairs, landmark_distance

FACE = skimage.data.astronaut()[:256, 96:352].astype(np.float32) / 255


def write_pair(folder: Path, name: str, hq: np.ndarray, lq: np.ndarray) -> None:
    write_rgb(folder / "hq" / name, hq)
    write_rgb(folder / "lq" / name, lq)


def degraded(image: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 0.05, image.shape)
    return np.clip(cv2.GaussianBlur(image, (0, 0), 2) + noise, 0, 1)


def test_pairs_that_match_are_not_named(tmp_path: Path) -> None:
    write_pair(tmp_path, "a.png", FACE, degraded(FACE))
    small = cv2.resize(degraded(FACE), (64, 64), interpolation=cv2.INTER_AREA)
    write_pair(tmp_path, "native.png", FACE, small)
    assert list(check_pairs([tmp_path])) == []


def test_each_fault_is_one_line_with_the_names(tmp_path: Path) -> None:
    write_pair(tmp_path, "good.png", FACE, degraded(FACE))
    write_pair(tmp_path, "mixed.png", FACE, degraded(FACE[:, ::-1]))
    write_pair(tmp_path, "shape.png", FACE, degraded(FACE)[:, :200])
    write_rgb(tmp_path / "hq" / "alone.png", FACE)
    found = dict(check_pairs([tmp_path]))
    assert not any("good.png" in text or "\n" in text for text in found.values())
    assert "alone.png has no partner in lq/" in found[tmp_path]
    assert "do not show the same" in found[tmp_path / "lq" / "mixed.png"]
    assert "HQ is 256x256" in found[tmp_path / "lq" / "shape.png"]


def test_faces_that_do_not_lie_on_each_other(tmp_path: Path) -> None:
    shifted = np.roll(degraded(FACE), 24, 1)
    write_pair(tmp_path, "shifted.png", FACE, shifted)
    ((path, text),) = check_pairs([tmp_path])
    assert path.name == "shifted.png"
    assert "not aligned" in text or "do not show the same" in text


def test_the_distance_is_in_faces() -> None:
    distances = []
    for shift in (0, 8, 16):
        pair = AlignedPair(to_tensor(FACE), to_tensor(np.roll(FACE, shift, 0)), 1)
        distances.append(landmark_distance(pair))
    assert distances[0] == pytest.approx(0, abs=0.01)
    assert distances[2] == pytest.approx(2 * distances[1], rel=0.2)
    flat = AlignedPair(to_tensor(FACE), to_tensor(np.full_like(FACE, 0.5)), 1)
    assert landmark_distance(flat) is None


def test_what_is_no_set_of_pairs(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no folder lq/"):
        list(check_pairs([tmp_path]))
    for side in ("lq", "hq"):
        (tmp_path / side).mkdir()
    with pytest.raises((PairError, InputError)):
        list(check_pairs([tmp_path]))
