"""Faces through a restorer: batches, colour kept, wrong restorers refused."""

import cv2
import numpy as np
import pytest
import torch

from redeg_cli.degrade.tone import is_gray
from redeg_cli.errors import ModelError
from redeg_cli.faces.restore import follow_colour, restore_faces, size_to_restore_at


def faces(count: int, *, gray: bool = False) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    made = [rng.uniform(0.2, 0.8, (64, 64, 3)).astype(np.float32) for _ in range(count)]
    return [np.repeat(face[..., :1], 3, -1) for face in made] if gray else made


def test_faces_are_enlarged_less_the_larger_they_are() -> None:
    sides = (8, 64, 128, 256, 400, 512, 3000)
    assert [size_to_restore_at(side) for side in sides] == [256, 256, 384, 480, 512, 512, 512]
    assert size_to_restore_at(64, 512) == 512  # takes no other


def test_batches_keep_order_and_size() -> None:
    sizes: list[int] = []

    def darker(batch: torch.Tensor) -> torch.Tensor:
        sizes.append(len(batch))
        return batch * 0.5

    given = faces(5)
    restored = restore_faces(given, darker, batch_size=2, keep_colour=False)
    assert sizes == [2, 2, 1]
    for face, result in zip(given, restored, strict=True):
        np.testing.assert_allclose(result, face * 0.5, atol=1e-6)
    assert restore_faces([], darker) == []


def test_colour_is_kept_and_detail_is_the_restorers() -> None:
    given = [np.full((64, 64, 3), 0.4, np.float32)]
    stripes = torch.zeros(64)
    stripes[::2] = 0.2

    def restorer(batch: torch.Tensor) -> torch.Tensor:
        tint = torch.tensor([0.3, 0.0, -0.2]).view(1, 3, 1, 1)
        return batch + tint + stripes

    (result,) = restore_faces(given, restorer)
    np.testing.assert_allclose(result.mean((0, 1)), 0.4, atol=5e-3)
    np.testing.assert_allclose(result[8:-8, 8:-8:2] - result[8:-8, 9:-8:2], 0.2, atol=0.01)


def test_gray_stays_gray() -> None:
    def coloured(batch: torch.Tensor) -> torch.Tensor:
        return (batch * torch.tensor([1.2, 1.0, 0.7]).view(1, 3, 1, 1)).clamp(0, 1)

    given = faces(1, gray=True)
    assert is_gray(given[0])
    (result,) = restore_faces(given, coloured)
    assert is_gray(result, 1e-6)
    assert result.std() > 0.05
    assert not is_gray(restore_faces(faces(1), coloured)[0])


def test_network_on_its_own_device_is_used() -> None:
    net = torch.nn.Conv2d(3, 3, 1, bias=False)
    torch.nn.init.dirac_(net.weight)
    given = faces(1)
    np.testing.assert_allclose(restore_faces(given, net)[0], given[0], atol=1e-6)


def test_wrong_restorers_are_refused() -> None:
    with pytest.raises(ModelError, match="keep the size"):
        restore_faces(faces(1), lambda batch: batch[..., ::2])
    with pytest.raises(ModelError, match="not numbers"):
        restore_faces(faces(1), lambda batch: batch * float("nan"))


def test_follow_colour_is_exact_for_a_constant_difference() -> None:
    source = faces(1)[0] * 0.5 + 0.2
    np.testing.assert_allclose(follow_colour(source - 0.1, source), source, atol=1e-5)


def test_follow_colour_cannot_blow_up() -> None:
    black, white = np.zeros((64, 64, 3), np.float32), np.ones((64, 64, 3), np.float32)
    np.testing.assert_allclose(follow_colour(black, white), 1)
    none = follow_colour(black, white, np.zeros((64, 64), np.float32))
    np.testing.assert_array_equal(none, black)
    nearly_black = black + np.float32(1e-6)
    matched = follow_colour(nearly_black, np.full_like(black, 0.3))
    np.testing.assert_allclose(matched, 0.3, atol=1e-4)


def test_follow_colour_looks_only_at_the_mask() -> None:
    source = np.full((64, 64, 3), 0.5, np.float32)
    reference = source + 0.1
    reference[:, 40:] = 1.0
    mask = np.zeros((64, 64), np.float32)
    mask[:, :36] = 1
    matched = follow_colour(source, reference, mask)
    np.testing.assert_allclose(matched[:, :30], 0.6, atol=5e-3)
    with pytest.raises(ValueError, match="do not go together"):
        follow_colour(source, reference[:32])


def with_full_gaussian(source: np.ndarray, reference: np.ndarray, mask: np.ndarray) -> np.ndarray:
    def blur(image: np.ndarray) -> np.ndarray:
        sigma = max(source.shape[:2]) / 16
        blurred = cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
        return blurred.reshape(image.shape)

    weight = mask[..., None]
    shift = blur((reference - source) * weight) / (blur(weight) + 1e-3)
    return np.clip(source + shift, 0, 1)


@pytest.mark.parametrize("size", [(640, 600), (96, 900)])
def test_a_large_picture_is_matched_as_by_the_full_gaussian(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(2)
    source = rng.uniform(0, 0.6, (*size, 3)).astype(np.float32)
    reference = rng.uniform(0.2, 0.6, (*size, 3)).astype(np.float32)
    reference[size[0] // 3 :, size[1] // 2 :] = 1  # an edge of all levels
    mask = np.ones(size, np.float32)
    mask[:20] = 0
    expected = with_full_gaussian(source, reference, mask)
    assert np.abs(expected - source).max() > 0.5
    assert np.abs(follow_colour(source, reference, mask) - expected).max() < 0.5 / 255


def test_an_aligned_face_is_matched_by_the_full_gaussian() -> None:
    rng = np.random.default_rng(3)
    source, reference = rng.uniform(0, 1, (2, 512, 512, 3)).astype(np.float32)
    mask = rng.uniform(0, 1, (512, 512)).astype(np.float32)
    expected = with_full_gaussian(source, reference, mask)
    np.testing.assert_array_equal(follow_colour(source, reference, mask), expected)
