"""Tone: luma against OpenCV and Pillow, fading and the match of colours in closed form."""

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from pydantic import ValidationError

from redeg_cli.degrade.canvas import Canvas
from redeg_cli.degrade.tone import Fade, apply_fade, is_gray, match_colour, to_gray, to_luma

IMAGE = torch.rand((3, 9, 11), generator=torch.Generator().manual_seed(0))


def noise(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1))


def fade(image: torch.Tensor, step: Fade) -> torch.Tensor:
    return apply_fade(Canvas.of(image[None], 1), [step]).pixels[0]


def test_luma_is_that_of_opencv() -> None:
    wanted = cv2.cvtColor(IMAGE.permute(1, 2, 0).numpy(), cv2.COLOR_RGB2GRAY)
    np.testing.assert_allclose(to_luma(IMAGE)[0].numpy(), wanted, atol=1e-6)
    batch = torch.stack([IMAGE, 1 - IMAGE])
    assert to_luma(batch).shape == (2, 1, 9, 11)
    gray = to_gray(batch)
    assert gray.shape == batch.shape
    for channel in range(3):
        torch.testing.assert_close(gray[:, channel : channel + 1], to_luma(batch))


@pytest.mark.parametrize("saturation", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("white", [(0.9, 0.8, 0.7), (0.0, 0.1, 0.0)])
def test_fading_maps_the_ends_where_it_should(
    saturation: float, white: tuple[float, float, float]
) -> None:
    black = (0.1, 0.05, 0.2)
    step = Fade(black=black, white=white, gamma=2.0, saturation=saturation)
    for level, share in ((0.0, 0.0), (0.5, 0.25), (1.0, 1.0)):
        made = fade(torch.full((3, 2, 2), level), step)
        assert made[:, 1, 0].tolist() == pytest.approx(
            [b + (w - b) * share for b, w in zip(black, white, strict=True)], abs=1e-6
        )


def test_a_print_without_colour_has_the_tones_of_the_luma_between_two_colours() -> None:
    made = fade(IMAGE, Fade(black=(0.2, 0.1, 0.0), white=(1.0, 0.9, 0.7), saturation=0))
    for channel, (low, high) in enumerate(((0.2, 1.0), (0.1, 0.9), (0.0, 0.7))):
        torch.testing.assert_close(made[channel], low + (high - low) * to_luma(IMAGE)[0])


def test_saturation_scales_the_distance_from_gray() -> None:
    made = fade(IMAGE, Fade(saturation=0.3))
    torch.testing.assert_close(to_luma(made), to_luma(IMAGE))
    torch.testing.assert_close(made - to_luma(made), 0.3 * (IMAGE - to_luma(IMAGE)))


def test_fading_to_full_range_changes_nothing() -> None:
    torch.testing.assert_close(fade(IMAGE, Fade()), IMAGE)


def test_each_image_of_a_batch_has_its_own_step() -> None:
    steps = [Fade(gamma=0.5, saturation=0.5), Fade(black=(0.1, 0.2, 0.3), gamma=1.7)]
    batch = torch.stack([IMAGE, IMAGE.flip(2)])
    together = apply_fade(Canvas.of(batch, 1), steps).pixels
    for image, step, made in zip(batch, steps, together, strict=True):
        torch.testing.assert_close(made, fade(image, step), rtol=0, atol=1e-6)


def test_values_stay_in_range() -> None:
    for step in (Fade(gamma=0.1), Fade(gamma=10, saturation=0), Fade(white=(0, 0, 0))):
        made = fade(IMAGE * 3 - 1, step)
        assert made.isfinite().all()
        assert made.min() >= 0
        assert made.max() <= 1


@pytest.mark.parametrize(
    "values",
    [{"black": (0, 0, 1.1)}, {"white": (-0.1, 1, 1)}, {"gamma": 0}, {"saturation": 2}, {"cast": 1}],
)
def test_other_values_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Fade.model_validate(values)


def test_gray_is_pillows_luma() -> None:
    rgb = noise(1, 3, 20, 20)
    eight = (rgb[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    expected = np.asarray(Image.fromarray(eight).convert("L"), dtype=np.float32) / 255
    gray = to_gray(torch.from_numpy(eight.astype(np.float32) / 255).permute(2, 0, 1)[None])
    assert torch.equal(gray[:, 0], gray[:, 1])
    assert torch.equal(gray[:, 0], gray[:, 2])
    assert np.abs(gray[0, 0].numpy() - expected).max() < 1 / 255


def test_gray_is_equal_channels() -> None:
    gray = np.repeat(noise(1, 1, 9, 11)[0, 0].numpy()[..., None], 3, -1)
    assert is_gray(gray)
    gray[4, 5, 1] += 1 / 255  # rounded
    assert is_gray(gray)
    gray[4, 5, 1] += 1 / 255
    assert not is_gray(gray)
    assert is_gray(gray, 0.01)


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_a_constant_drift_is_taken_back_and_detail_is_kept(scale: int) -> None:
    reference = 0.3 + 0.4 * noise(1, 3, 64, 80)
    detail = F.interpolate(reference, scale_factor=scale, mode="nearest")
    drift = torch.tensor([0.1, -0.05, 0.08]).view(1, 3, 1, 1)
    torch.testing.assert_close(
        match_colour(detail + drift, reference, (4, 5)), detail, rtol=0, atol=1e-5
    )


def test_detail_finer_than_a_cell_is_kept() -> None:
    reference = torch.full((1, 3, 64, 64), 0.5)
    stripes = reference.clone()
    stripes[..., ::2] += 0.1
    stripes[..., 1::2] -= 0.1
    torch.testing.assert_close(match_colour(stripes, reference, (4, 4)), stripes, rtol=0, atol=1e-5)


def test_a_slow_drift_is_taken_back_for_the_most_part() -> None:
    reference = torch.full((1, 3, 128, 128), 0.5)
    drift = 0.2 * torch.linspace(-1, 1, 128).expand(1, 3, 128, 128)
    left = (match_colour(reference + drift, reference, (8, 8)) - reference).abs()
    assert left[..., 16:-16].max() < 0.01
    # Within half a cell (8 pixels) of the border the nearest cell's mean is all there is.
    assert left.max() < 8 * 0.4 / 127


def test_the_match_stays_in_range_and_takes_any_size() -> None:
    out = match_colour(torch.ones(2, 3, 2, 2), torch.ones(2, 3, 1, 1), (1, 1))
    assert out.shape == (2, 3, 2, 2)
    out = match_colour(noise(1, 3, 33, 50), torch.ones(1, 3, 11, 17), (2, 3))
    assert out.max() <= 1
    with pytest.raises(ValueError, match="go together"):
        match_colour(torch.ones(1, 3, 4, 4), torch.ones(2, 3, 4, 4), (1, 1))
