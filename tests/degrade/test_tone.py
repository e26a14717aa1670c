"""Tone: luma against OpenCV, fading in closed form."""

import cv2
import numpy as np
import pytest
import torch
from pydantic import ValidationError

from redeg_cli.degrade.canvas import Canvas
from redeg_cli.degrade.tone import Fade, apply_fade, to_gray, to_luma

IMAGE = torch.rand((3, 9, 11), generator=torch.Generator().manual_seed(0))


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
