"""Pasting: only the face changes, softly, at its place and in the canvas's colour."""

from typing import Any

import cv2
import numpy as np
import pytest
from unaligned import unalign

from redeg_cli.faces import align, paste
from redeg_cli.faces.paste import face_mask, pasted_face

MATRIX = np.array([[3.0, 0.6, -60.0], [-0.6, 3.0, -20.0]])


def paste_face(
    canvas: np.ndarray, restored: np.ndarray, matrix: np.ndarray, scale: int, **options: Any
) -> np.ndarray:
    """The whole canvas, with what comes into the box."""
    (x0, y0, x1, y1), part = pasted_face(canvas, restored, matrix, scale, **options)
    out = canvas.copy()
    assert out[y0:y1, x0:x1].shape == part.shape
    out[y0:y1, x0:x1] = part
    return out


def ramp(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return np.stack([0.2 + x / width / 2, 0.3 + y / height / 2, 0.4 + 0 * x], -1)


@pytest.mark.parametrize("softness", [0.1, 0.3, 1.0])
def test_mask_is_one_on_the_face_and_zero_at_the_edge(softness: float) -> None:
    mask = face_mask(256, softness)
    assert mask.min() >= 0
    assert mask.max() <= 1
    edge = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
    assert edge.max() == 0
    assert np.abs(np.diff(mask, axis=0)).max() < 1.6 / (0.42 * 256 * softness) + 0.07
    if softness < 0.5:
        for x, y in align.template(256):
            assert mask[round(y), round(x)] > 0.95


def test_mask_refuses_a_hard_edge() -> None:
    with pytest.raises(ValueError, match="softness"):
        face_mask(64, 0)


@pytest.mark.parametrize("scale", [1, 2])
def test_the_same_face_changes_nothing(scale: int) -> None:
    canvas = ramp(200 * scale, 220 * scale)
    x = np.arange(220 * scale)
    canvas = canvas + 0.05 * np.sin(x / 7 / scale)[:, None].astype(np.float32)
    aligned = align.warp(
        canvas, align.compose(align.invert(align.finer_grid(scale)), MATRIX), (512, 512)
    )
    out = paste_face(canvas, aligned, MATRIX, scale)
    assert np.abs(out - canvas).max() < 3e-3


def test_only_the_square_changes_and_the_canvas_is_kept() -> None:
    canvas = ramp(200, 220)
    before = canvas.copy()
    out = paste_face(canvas, np.ones((512, 512, 3), np.float32), MATRIX, 1, match_colour=False)
    np.testing.assert_array_equal(canvas, before)
    _, mask = unalign(np.ones((512, 512, 3), np.float32), MATRIX, (200, 220))
    changed = np.abs(out - canvas).max(-1) > 0
    assert not (changed & (mask == 0)).any()
    nose = align.transform(align.invert(MATRIX), align.template()[2:3])[0].round().astype(int)
    np.testing.assert_allclose(out[nose[1], nose[0]], 1, atol=1e-5)


def test_the_colour_of_the_canvas_is_taken() -> None:
    canvas = ramp(200, 220)
    aligned = align.warp(canvas, MATRIX, (512, 512))
    tinted = np.clip(aligned * 0.8 + [0.15, 0.0, -0.1], 0, 1).astype(np.float32)
    plain = np.abs(paste_face(canvas, tinted, MATRIX, 1, match_colour=False) - canvas).max()
    matched = np.abs(paste_face(canvas, tinted, MATRIX, 1) - canvas).max()
    assert plain > 0.1
    assert matched < 0.03


def test_a_mark_lands_at_its_place() -> None:
    """A dot drawn at an aligned place appears where the matrix says, on the s times finer grid."""
    aligned = np.zeros((512, 512, 3), np.float32)
    cv2.circle(aligned, (300, 280), 9, (1, 1, 1), -1)
    out = paste_face(np.zeros((600, 660, 3), np.float32), aligned, MATRIX, 3, match_colour=False)
    weight = out[..., 0] / out[..., 0].sum()
    y, x = np.mgrid[:600, :660]
    found = np.array([(weight * x).sum(), (weight * y).sum()])
    place = align.transform(align.invert(MATRIX), np.array([[300.0, 280.0]]))[0]
    np.testing.assert_allclose(found, 3 * (place + 0.5) - 0.5, atol=0.05)


def test_face_outside_the_canvas_and_wrong_scale() -> None:
    canvas = ramp(50, 60)
    far = np.array([[3.0, 0, 9000.0], [0, 3.0, 0]])
    np.testing.assert_array_equal(paste_face(canvas, canvas[:48, :48], far, 1), canvas)
    with pytest.raises(ValueError, match="not 4 times"):
        paste_face(canvas, canvas[:48, :48], MATRIX, 4)


def test_a_gray_photo_stays_gray() -> None:
    canvas = np.repeat(ramp(200, 220)[..., :1], 3, -1)
    noise = np.random.default_rng(0).uniform(0, 1, (512, 512, 3)).astype(np.float32)
    out = paste_face(canvas, noise, MATRIX, 1)
    assert np.abs(out - canvas).max() > 0.1
    assert (out.max(-1) - out.min(-1)).max() < 1e-5


@pytest.mark.parametrize("gray", [False, True])
def test_strength_nothing_and_outside_are_bit_exact(gray: bool) -> None:
    random = np.random.default_rng(0)
    canvas = (ramp(200, 220) + random.normal(0, 0.05, (200, 220, 3))).clip(0, 1).astype(np.float32)
    if gray:
        canvas = np.repeat(canvas[..., :1], 3, -1)
    face = random.uniform(0, 1, (256, 256, 3)).astype(np.float32)
    matrix = align.compose(MATRIX, np.array([[0.5, 0, 0], [0, 0.5, 0]]))
    np.testing.assert_array_equal(paste_face(canvas, face, matrix, 1, strength=0.0), canvas)
    out = paste_face(canvas, face, matrix, 1)
    widest = face_mask(256, 0.3, np.full(8, 1.12))
    seen, _ = unalign(np.repeat(widest[..., None], 3, -1), matrix, (200, 220))
    outside = seen.max(-1) == 0
    assert outside.mean() > 0.2
    np.testing.assert_array_equal(out[outside], canvas[outside])
    assert np.abs(out - canvas).max() > 0.05


def test_strength_is_the_share_of_the_face() -> None:
    canvas = ramp(200, 220)
    face = np.random.default_rng(0).uniform(0, 1, (512, 512, 3)).astype(np.float32)
    whole, half = (
        paste_face(canvas, face, MATRIX, 1, strength=strength, match_grain=False)
        for strength in (1.0, 0.5)
    )
    np.testing.assert_allclose(half - canvas, 0.5 * (whole - canvas), atol=1e-6)
    with pytest.raises(ValueError, match="strength"):
        paste_face(canvas, face, MATRIX, 1, strength=1.2)


def test_the_grain_goes_on_across_the_face() -> None:
    noise = np.random.default_rng(0).normal(0, 0.05, (400, 440, 1)).astype(np.float32)
    canvas = np.clip(ramp(400, 440) + noise, 0, 1)
    smooth = align.warp(
        ramp(400, 440), align.compose(align.invert(align.finer_grid(2)), MATRIX), (512, 512)
    )
    nose = align.transform(align.invert(MATRIX), align.template()[2:3])[0]
    x, y = (2 * nose).round().astype(int)
    part = (slice(y - 40, y + 40), slice(x - 40, x + 40))

    def grain(picture: np.ndarray) -> float:
        return float(np.diff(picture[part][..., 1], axis=1).std())

    plain = paste_face(canvas, smooth, MATRIX, 2, match_grain=False)
    matched = paste_face(canvas, smooth, MATRIX, 2)
    assert grain(plain) < 0.1 * grain(canvas)
    assert grain(matched) == pytest.approx(grain(canvas), rel=0.2)


def test_grain_is_sought_only_when_it_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    sought: list[int] = []

    def missing(*_: object) -> None:
        sought.append(1)

    monkeypatch.setattr(paste, "missing_grain", missing)
    canvas = ramp(200, 220)
    paste_face(canvas, np.ones((512, 512, 3), np.float32), MATRIX, 1, match_grain=False)
    assert sought == []
    paste_face(canvas, np.ones((512, 512, 3), np.float32), MATRIX, 1)
    assert sought == [1]


def test_radii_scale_the_mask() -> None:
    narrow, plain, wide = (face_mask(128, 0.3, np.full(5, r)) for r in (0.9, 1.0, 1.1))
    np.testing.assert_array_equal(plain, face_mask(128, 0.3))
    assert (narrow <= plain).all()
    assert (plain <= wide).all()
    assert narrow.sum() < plain.sum() < wide.sum()
