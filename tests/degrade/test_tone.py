"""Tone: luma against OpenCV, fading in closed form."""

import cv2
import numpy as np
import pytest
import torch

from redeg_cli.degrade.tone import fade, to_gray, to_luma

IMAGE = torch.rand((3, 9, 11), generator=torch.Generator().manual_seed(0))


def test_luma_is_that_of_opencv() -> None:
    wanted = cv2.cvtColor(IMAGE.permute(1, 2, 0).numpy(), cv2.COLOR_RGB2GRAY)
    np.testing.assert_allclose(to_luma(IMAGE)[0].numpy(), wanted, atol=1e-6)
    batch = torch.stack([IMAGE, 1 - IMAGE])
    assert to_luma(batch).shape == (2, 1, 9, 11)
    gray = to_gray(batch)
    assert gray.shape == batch.shape
    for channel in range(3):
        torch.testing.assert_close(gray[:, channel : channel + 1], to_luma(batch))


def test_fading_maps_the_ends_where_it_should() -> None:
    black, white = (0.1, 0.05, 0.2), (0.9, 0.8, 0.7)
    for level, wanted in ((0.0, black), (1.0, white)):
        made = fade(torch.full((3, 2, 2), level), black, white, 1.3)
        assert made[:, 0, 0].tolist() == pytest.approx(wanted)
    middle = fade(torch.full((3, 2, 2), 0.5), black, white, 2.0)
    assert middle[:, 1, 1].tolist() == pytest.approx(
        [b + (w - b) * 0.25 for b, w in zip(black, white, strict=True)]
    )


def test_fading_to_full_range_changes_nothing() -> None:
    torch.testing.assert_close(fade(IMAGE, (0.0,) * 3, (1.0,) * 3, 1.0), IMAGE)
    assert fade(IMAGE * 3 - 1, (0.0,) * 3, (1.0,) * 3, 0.7).isfinite().all()
