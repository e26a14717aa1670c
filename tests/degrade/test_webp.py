"""WebP against OpenCV, and its files against Pillow's decoder."""

import io

import cv2
import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image
from pydantic import ValidationError

from redeg_cli.degrade.canvas import Canvas, stack_images
from redeg_cli.degrade.webp import Webp, apply_webp
from redeg_cli.errors import RedegError

QUALITIES = (1, 10, 30, 50, 75, 90, 100)


def photo(height: int = 64, width: int = 64) -> np.ndarray:
    return skimage.data.astronaut()[60 : 60 + height, 180 : 180 + width].copy()


def tensor(rgb: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(rgb).permute(2, 0, 1)[None].float() / 255


def array(image: torch.Tensor) -> np.ndarray:
    return (image[0] * 255).round().byte().permute(1, 2, 0).numpy()


def compress(rgb: np.ndarray, quality: int) -> np.ndarray:
    return array(apply_webp(Canvas.of(tensor(rgb), 1), [Webp(quality=quality)]).pixels)


def file_of(rgb: np.ndarray, quality: int) -> bytes:
    done, data = cv2.imencode(".webp", rgb[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, quality])
    assert done
    return data.tobytes()


@pytest.mark.parametrize("size", [(64, 64), (33, 50), (1, 1)])
@pytest.mark.parametrize("quality", QUALITIES)
def test_it_is_what_the_file_shows(quality: int, size: tuple[int, int]) -> None:
    """Byte for byte; Pillow has a libwebp of its own."""
    rgb = photo(*size)
    shown = np.asarray(Image.open(io.BytesIO(file_of(rgb, quality))).convert("RGB"))
    assert np.array_equal(compress(rgb, quality), shown)


def test_worse_quality_is_smaller_and_further_away() -> None:
    rgb = photo(128, 128)
    errors = [np.square(compress(rgb, q).astype(float) - rgb).mean() for q in QUALITIES]
    sizes = [len(file_of(rgb, quality)) for quality in QUALITIES]
    assert errors == sorted(errors, reverse=True)
    assert sizes == sorted(sizes)
    assert errors[0] > 4 * errors[-1]


def test_red_stays_red() -> None:
    red = np.zeros((32, 32, 3), np.uint8)
    red[..., 0] = 200
    assert np.abs(compress(red, 90).astype(int) - red).max() < 6


def test_each_image_as_if_alone() -> None:
    whole = tensor(photo(80, 90))
    images = [whole, whole[:, :, :41, :-7], whole[:, :, 3:], whole[:, :, :1, :2]]
    steps = [Webp(quality=quality) for quality in (1, 30, 75, 100)]
    together = apply_webp(stack_images(images, Canvas.of(whole, 1)), steps)
    for image, step, out in zip(images, steps, together.images(), strict=True):
        assert torch.equal(out, apply_webp(Canvas.of(image, 1), [step]).pixels)
    assert not torch.equal(together.images()[0], whole)


def test_extremes_stay_in_range() -> None:
    image = (torch.rand(1, 3, 33, 17, generator=torch.Generator().manual_seed(2)) > 0.5).float()
    out = apply_webp(Canvas.of(image * 3 - 1, 1), [Webp(quality=1)]).pixels
    assert out.dtype == torch.float32
    assert out.isfinite().all()
    assert out.min() >= 0
    assert out.max() <= 1


def test_an_image_too_large_for_the_format_is_refused() -> None:
    with pytest.raises(RedegError, match="at most 16383 px, got 16384x2"):
        compress(np.zeros((2, 16384, 3), np.uint8), 50)


@pytest.mark.parametrize("quality", [0, 101, 50.5])
def test_other_qualities_are_refused(quality: float) -> None:
    with pytest.raises(ValidationError):
        Webp.model_validate({"quality": quality})
