"""A photo's faces as pairs: registered, on the JPEG grid, at the size the restorer wants."""

from collections.abc import Callable

import numpy as np
import pytest
import skimage.data
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from redeg_cli.degrade.resize import to_aligned
from redeg_cli.errors import InputError
from redeg_cli.faces import align
from redeg_cli.faces.align import similarity, template, zoom_of
from redeg_cli.faces.detect import detect_faces
from redeg_cli.faces.detectors import Face
from redeg_cli.faces.restore import size_to_restore_at
from redeg_cli.nets.wrap import FaceRestorer
from redeg_cli.omega import photo_pairs as module
from redeg_cli.omega.photo_pairs import photo_pairs

PHOTO = skimage.data.astronaut()[:300, 60:400].astype(np.float32) / 255


def restorer(size: int | None = None) -> FaceRestorer:
    """Returns the face as it is."""
    return FaceRestorer(
        lambda faces: faces,
        name="same",
        fingerprint="0" * 12,
        architecture="none",
        network=nn.Identity(),
        size=size,
    )


def face(x: float, y: float, size: float) -> Face:
    """The mean face, ``size`` pixels wide, centred at (x, y)."""
    points = (align.template() - 255.5) * size / 286 + [x, y]
    return Face((x - size / 2, y - 0.6 * size, x + size / 2, y + 0.7 * size), 0.9, points)


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[Face]:
    """What the detector is made to find."""
    faces: list[Face] = []
    monkeypatch.setattr(module, "detect_faces", lambda _rgb, _detector: faces)
    return faces


def test_a_real_face_gives_a_registered_pair() -> None:
    pairs, reasons = photo_pairs(PHOTO, 2, restorer())
    assert reasons == []
    [pair] = pairs
    x0, y0, x1, y1 = pair.box
    assert x0 % 16 == y0 % 16 == 0
    assert pair.pair.scale == 2
    hq, lq = pair.pair.hq, pair.pair.lq
    assert hq.shape == lq.shape == (1, 3, (y1 - y0) * 2, (x1 - x0) * 2)
    assert pair.valid.shape == hq.shape[2:]
    native = torch.from_numpy(PHOTO[y0:y1, x0:x1]).permute(2, 0, 1)[None]
    assert (F.avg_pool2d(lq, 2) - native).abs().mean() < 0.01
    # The restorer changes nothing, so both sides show the same; a pixel aside they do not.
    error = (hq - lq).abs().mean()
    assert error < 0.005
    assert error < 0.3 * (hq[..., 1:] - lq[..., :-1]).abs().mean()
    square = 512 / zoom_of(similarity(pair.face.landmarks, template()))
    assert pair.aligned.shape[0] == size_to_restore_at(square)


def test_only_the_restored_face_is_the_hq(found: list[Face]) -> None:
    found.append(face(160, 120, 90))
    smooth = restorer()
    smooth._run = lambda faces: F.avg_pool2d(faces, 9, 1, 4, count_include_pad=False)
    [pair], reasons = photo_pairs(PHOTO, 2, smooth)
    assert reasons == []
    assert pair.restored.shape == pair.aligned.shape
    # Only the low-frequency colour comes from the photo.
    assert float((pair.pair.hq - pair.pair.lq).abs().mean()) > 0.003
    assert abs(float((pair.pair.hq - pair.pair.lq).mean())) < 0.01
    assert pair.identity is not None
    assert 0.9 < pair.identity.likeness < 0.9999


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (torch.zeros_like, "the restored face is another one"),
        (lambda faces: faces.flip(3), "the restored face is another one"),
        (lambda faces: faces.roll(faces.shape[2] // 16, 2), "moved the landmarks by 0.2"),
    ],
)
def test_a_restorer_that_changes_the_person(
    found: list[Face], spoil: Callable[[Tensor], Tensor], reason: str
) -> None:
    found.append(detect_faces(PHOTO)[0])
    changing = restorer()
    changing._run = spoil
    pairs, [told] = photo_pairs(PHOTO, 2, changing)
    assert pairs == []
    assert told.startswith("the face of 10")
    assert reason in told


def test_a_photo_on_its_side_gives_the_same_pair() -> None:
    lying = np.ascontiguousarray(np.rot90(PHOTO))
    [pair], reasons = photo_pairs(lying, 2, restorer())
    assert reasons == []
    assert pair.face.turn == 90
    [upright], _ = photo_pairs(PHOTO, 2, restorer())
    # The face stands upright for the restorer; the pair lies as the photo does.
    assert np.abs(pair.aligned - upright.aligned).mean() < 0.02
    x0, y0, x1, y1 = pair.box
    native = torch.from_numpy(lying[y0:y1, x0:x1].copy()).permute(2, 0, 1)[None]
    assert (F.avg_pool2d(pair.pair.hq, 2) - native).abs().mean() < 0.02


def test_sharpness_is_aligned_pixels_per_hq_pixel(found: list[Face]) -> None:
    found.append(face(160, 120, 71.5))  # a square of 128 px, aligned at 384
    for scale in (1, 2, 4):
        [pair], _ = photo_pairs(PHOTO, scale, restorer())
        assert pair.sharpness == pytest.approx(3 / scale, rel=1e-3)


def test_of_a_large_face_only_the_middle_is_made(
    found: list[Face], monkeypatch: pytest.MonkeyPatch
) -> None:
    found.append(face(160, 120, 90))
    [whole], _ = photo_pairs(PHOTO, 2, restorer())
    [large], _ = photo_pairs(PHOTO, 2, restorer(), largest=4096)
    assert large.box == whole.box
    assert torch.equal(large.pair.hq, whole.pair.hq)
    sides: list[int] = []

    def enlarge(native: Tensor, scale: int) -> Tensor:
        sides.extend(native.shape[2:])
        return to_aligned(native, scale)

    monkeypatch.setattr(module, "to_aligned", enlarge)
    [middle], _ = photo_pairs(PHOTO, 2, restorer(), largest=140)
    assert sides == [64, 64]  # 70 px of the photo, on its grid of 8
    x0, y0, x1, y1 = middle.box
    assert (x1 - x0, y1 - y0) == (64, 64)
    assert x0 % 16 == y0 % 16 == 0
    for start, stop, outer in ((x0, x1, whole.box[::2]), (y0, y1, whole.box[1::2])):
        before, after = start - outer[0], outer[1] - stop
        assert min(before, after) >= 0
        assert abs(before - after) <= 32
    left, top = x0 - whole.box[0], y0 - whole.box[1]
    part = (..., slice(2 * top, 2 * top + 128), slice(2 * left, 2 * left + 128))
    torch.testing.assert_close(middle.pair.hq, whole.pair.hq[part], atol=0.01, rtol=0)
    inner = (..., slice(8, -8), slice(8, -8))
    torch.testing.assert_close(middle.pair.lq[inner], whole.pair.lq[part][inner])
    assert middle.valid.shape == (128, 128)
    # What pasting needs is of the whole face.
    np.testing.assert_array_equal(middle.restored, whole.restored)
    np.testing.assert_array_equal(middle.matrix, whole.matrix)


def test_what_is_left_out_is_told(found: list[Face]) -> None:
    found += [face(160, 120, 80), face(60, 60, 40), face(250, 60, 30), face(40, 200, 12)]
    pairs, reasons = photo_pairs(PHOTO, 4, restorer(), max_faces=2)
    assert [round(pair.face.size) for pair in pairs] == [91, 46]
    assert len(reasons) == 2
    assert any("too small" in reason for reason in reasons)
    assert any("2 larger faces were taken" in reason for reason in reasons)
    assert all(reason.startswith("the face of ") for reason in reasons)


def test_a_region_too_small_for_the_scale_is_a_reason(found: list[Face]) -> None:
    found.append(face(160, 120, 30))
    pairs, [reason] = photo_pairs(PHOTO, 1, restorer())
    assert pairs == []
    assert "choose a larger face or a larger scale" in reason


def test_no_face_is_a_reason(found: list[Face]) -> None:
    assert found == []
    assert photo_pairs(PHOTO, 2, restorer()) == ([], ["no face was found"])


def test_a_given_box_replaces_the_detector(
    found: list[Face], monkeypatch: pytest.MonkeyPatch
) -> None:
    found.append(face(60, 60, 60))
    monkeypatch.setattr(
        module,
        "face_from_box",
        lambda _rgb, box, _detector: face((box[0] + box[2]) / 2, (box[1] + box[3]) / 2, 80),
    )
    [pair], reasons = photo_pairs(PHOTO, 2, restorer(), boxes=[(120, 80, 200, 180)])
    assert reasons == []
    assert pair.face.box[0] == 120


def test_a_box_outside_the_photo_is_an_error() -> None:
    with pytest.raises(InputError, match="face box"):
        photo_pairs(PHOTO, 2, restorer(), boxes=[(900, 900, 1000, 1000)])


def test_gray_stays_gray(found: list[Face]) -> None:
    found.append(face(160, 120, 80))
    tinted = restorer()

    def tint(faces: Tensor) -> Tensor:
        return faces * torch.tensor([1.0, 0.8, 0.6]).view(1, 3, 1, 1)

    tinted._run = tint
    gray = np.repeat(PHOTO.mean(-1, keepdims=True), 3, -1)
    [pair], _ = photo_pairs(gray, 2, tinted)
    hq = pair.pair.hq[0]
    assert float((hq.max(0).values - hq.min(0).values).max()) < 2 / 255
