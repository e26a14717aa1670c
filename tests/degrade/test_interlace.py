"""Interlacing in closed form: which row shows what."""

import pytest
import skimage.data
import torch
from pydantic import ValidationError

from redeg_cli.degrade.canvas import Canvas, stack_images
from redeg_cli.degrade.interlace import Interlace, apply_interlace


def interlace(image: torch.Tensor, motion: float, method: str) -> torch.Tensor:
    step = Interlace.model_validate({"motion": motion, "method": method})
    return apply_interlace(Canvas.of(image, 1), [step]).pixels


def photo(height: int = 64, width: int = 64) -> torch.Tensor:
    rgb = skimage.data.astronaut()[60 : 60 + height, 180 : 180 + width].copy()
    return torch.from_numpy(rgb).permute(2, 0, 1)[None].float() / 255


def moved(image: torch.Tensor, right: int) -> torch.Tensor:
    width = image.shape[3]
    return image[..., [min(max(column - right, 0), width - 1) for column in range(width)]]


@pytest.mark.parametrize("motion", [3, -5])
def test_an_upright_edge_becomes_a_comb(motion: int) -> None:
    image = (torch.arange(64) >= 30).float().expand(1, 3, 16, 64)
    out = interlace(image, motion, "weave")
    starts = (out[0, 0] == 1).float().argmax(1).tolist()
    assert starts == [30, 30 + motion] * 8


@pytest.mark.parametrize("height", [64, 63])
def test_weaving_takes_each_row_from_its_field(height: int) -> None:
    image = photo(height)
    out = interlace(image, 4, "weave")
    assert torch.equal(out[:, :, 0::2], image[:, :, 0::2])
    assert torch.equal(out[:, :, 1::2], moved(image, 4)[:, :, 1::2])


@pytest.mark.parametrize("height", [64, 63])
def test_line_doubling(height: int) -> None:
    image = photo(height)
    out = interlace(image, 4, "double")
    assert torch.equal(out, image[:, :, [row - row % 2 for row in range(height)]])


@pytest.mark.parametrize("height", [64, 63])
def test_interpolation_of_the_missing_rows(height: int) -> None:
    image = photo(height)
    out = interlace(image, 4, "interpolate")
    assert torch.equal(out[:, :, 0::2], image[:, :, 0::2])
    for row in range(1, height - 1, 2):
        expected = (image[:, :, row - 1] + image[:, :, row + 1]) / 2
        torch.testing.assert_close(out[:, :, row], expected)
    if height % 2 == 0:
        assert torch.equal(out[:, :, -1], image[:, :, -2])


def test_blending_shows_both_fields() -> None:
    image = photo()
    out = interlace(image, 4, "blend")
    other = moved(image, 4)
    here = other[:, :, 11] / 2 + (image[:, :, 10] + image[:, :, 12]) / 4
    torch.testing.assert_close(out[:, :, 11], here)
    first = image[:, :, 0] * 0.75 + other[:, :, 1] / 4
    torch.testing.assert_close(out[:, :, 0], first)


def test_a_still_picture_only_loses_rows() -> None:
    image = photo()
    assert torch.equal(interlace(image, 0, "weave"), image)
    flat = image[:, :, :1].expand_as(image)
    for method in ("double", "interpolate", "blend"):
        torch.testing.assert_close(interlace(flat, 0, method), flat)
        assert (interlace(image, 0, method) - image).abs().mean() > 0.003


def test_each_image_as_if_alone() -> None:
    whole = photo(40, 50)
    sizes = [(40, 50), (21, 30), (20, 30), (1, 1), (2, 9), (7, 7), (40, 50)]
    methods = ["weave", "double", "interpolate", "interpolate", "blend", "interpolate", "blend"]
    images = [whole[:, :, :height, :width] for height, width in sizes]
    steps = [
        Interlace.model_validate({"motion": 1.5 * i - 3.3, "method": method})
        for i, method in enumerate(methods)
    ]
    together = apply_interlace(stack_images(images, Canvas.of(whole, 1)), steps)
    for image, step, out in zip(images, steps, together.images(), strict=True):
        alone = apply_interlace(Canvas.of(image, 1), [step]).pixels
        assert torch.equal(out, alone)


@pytest.mark.parametrize("method", ["weave", "double", "interpolate", "blend"])
def test_extremes_stay_in_range(method: str) -> None:
    image = (torch.rand(1, 3, 9, 17, generator=torch.Generator().manual_seed(2)) > 0.5).float()
    for motion in (31.5, -32):
        out = interlace(image, motion, method)
        assert out.isfinite().all()
        assert out.min() >= 0
        assert out.max() <= 1


@pytest.mark.parametrize("wrong", [{"motion": 33}, {"motion": 1, "method": "bob"}, {}])
def test_other_values_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Interlace.model_validate(wrong)
