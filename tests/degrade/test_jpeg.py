"""JPEG against the files of OpenCV and Pillow (libjpeg)."""

import io

import cv2
import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image

from redeg_cli.degrade.jpeg import jpeg, quality_tables

QUALITIES = (10, 20, 30, 50, 70, 85, 95)
SAMPLING = {
    True: cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
    False: cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
}


def photo(height: int = 64, width: int = 64) -> np.ndarray:
    return skimage.data.astronaut()[60 : 60 + height, 180 : 180 + width]


def tensor(rgb: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(rgb).permute(2, 0, 1)[None].float() / 255


def array(image: torch.Tensor) -> np.ndarray:
    return (image[0] * 255).permute(1, 2, 0).numpy()


def opencv(rgb: np.ndarray, quality: int, subsample: bool) -> np.ndarray:
    done, data = cv2.imencode(
        ".jpg",
        cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR),
        [
            *(cv2.IMWRITE_JPEG_QUALITY, quality),
            *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, SAMPLING[subsample]),
        ],
    )
    assert done
    return cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def compress(rgb: np.ndarray, quality: float, subsample: bool) -> np.ndarray:
    return array(jpeg(tensor(rgb), torch.tensor([quality]), torch.tensor([subsample])))


@pytest.mark.parametrize("size", [(64, 64), (50, 61)])
@pytest.mark.parametrize("subsample", [True, False])
@pytest.mark.parametrize("quality", QUALITIES)
def test_it_is_what_libjpeg_makes(quality: int, subsample: bool, size: tuple[int, int]) -> None:
    rgb = photo(*size)
    theirs = opencv(rgb, quality, subsample).astype(np.float32)
    error = np.abs(compress(rgb, quality, subsample) - theirs).mean()
    assert error < 0.9  # of 255
    assert error < 0.4 * np.abs(rgb - theirs).mean()


@pytest.mark.parametrize("subsample", [True, False])
@pytest.mark.parametrize("quality", [10, 30, 70])
def test_the_border_is_filled_up_as_libjpeg_does(quality: int, subsample: bool) -> None:
    """Little but border: another filling would change every block."""
    rgb = photo(7, 19)
    theirs = opencv(rgb, quality, subsample).astype(np.float32)
    error = np.abs(compress(rgb, quality, subsample) - theirs).mean()
    assert error < 0.25 * np.abs(rgb - theirs).mean()


def test_the_tables_are_those_in_a_file() -> None:
    picture = Image.fromarray(photo(8, 8))
    for quality in range(1, 101):
        buffer = io.BytesIO()
        picture.save(buffer, format="JPEG", quality=quality)
        written = Image.open(buffer).quantization  # pyright: ignore[reportAttributeAccessIssue]
        ours = quality_tables(torch.tensor([float(quality)]))
        for table, theirs in zip(ours, (written[0], written[1]), strict=True):
            assert table[0].flatten().tolist() == list(theirs), quality


def test_images_of_a_batch_keep_their_own_settings() -> None:
    batch = torch.cat([tensor(photo()), tensor(photo()[::-1].copy()), tensor(photo())])
    qualities, subsample = torch.tensor([20.0, 60.0, 95.0]), torch.tensor([True, False, False])
    made = jpeg(batch, qualities, subsample)
    for index in range(3):
        one = slice(index, index + 1)
        torch.testing.assert_close(made[one], jpeg(batch[one], qualities[one], subsample[one]))


@pytest.mark.parametrize("size", [(1, 1), (8, 3), (17, 33)])
def test_any_size_and_flat_colours(size: tuple[int, int]) -> None:
    flat = torch.tensor([0.2, 0.5, 0.7]).view(1, 3, 1, 1).expand(1, 3, *size)
    made = jpeg(flat, torch.tensor([95.0]), torch.tensor([True]))
    assert made.shape == flat.shape
    assert (made - flat).abs().max() < 3 / 255
    levels = made * 255
    torch.testing.assert_close(levels, levels.round(), atol=1e-3, rtol=0)


def test_gradients_pass_straight_through() -> None:
    """Without rounding and clamping JPEG is the identity, and so is its gradient."""
    image = (0.25 + 0.5 * tensor(photo(16, 32))).requires_grad_()
    weights = torch.rand(image.shape, generator=torch.Generator().manual_seed(0))
    made = jpeg(image, torch.tensor([90.0]), torch.tensor([False]))
    (made * weights).sum().backward()
    assert image.grad is not None
    torch.testing.assert_close(image.grad, weights, atol=1e-4, rtol=0)
