"""Consistency: what restores and degrades to the photo itself is told from what does not."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from redeg_cli.finetune.consistency import SIDE, consistency, draw_parts

CPU = torch.device("cpu")


class Shrink:
    """A degrader: the mean of each 2x2, then a blur or grain as asked."""

    scale = 2

    def __init__(self, grain: float = 0.0, shift: float = 0.0) -> None:
        self.grain, self.shift = grain, shift

    def draw(self, seed: int) -> dict[str, Any]:
        return {"seed": seed}

    def apply(self, hq: Tensor, records: Sequence[dict[str, Any]]) -> Tensor:
        lq = torch.nn.functional.avg_pool2d(hq, 2)
        generator = torch.Generator().manual_seed(records[0]["seed"] % 2**31)
        return lq + self.shift + self.grain * torch.randn(lq.shape, generator=generator)


def repeat(image: Tensor) -> Tensor:
    """A restorer that ``Shrink`` undoes exactly."""
    return image.repeat_interleave(2, 2).repeat_interleave(2, 3)


@pytest.fixture
def photo(scene: Callable[..., np.ndarray]) -> Tensor:
    return torch.from_numpy(scene(200, 240)).permute(2, 0, 1)[None].float()


def measure(photo: Tensor, degrader: Any, restorer: Any = repeat) -> tuple[float, float]:
    parts = draw_parts(photo, [], 0)
    found = consistency(restorer, degrader, parts, CPU, 0)
    return found.smooth_psnr, found.spectrum


def test_what_comes_back_to_itself_is_perfect(photo: Tensor) -> None:
    psnr, distance = measure(photo, Shrink())
    assert psnr > 70
    assert distance == pytest.approx(0, abs=1e-3)


def test_an_albums_parts_are_not_degraded_all_at_once(photo: Tensor) -> None:
    seen: list[int] = []

    class Counted(Shrink):
        def apply(self, hq: Tensor, records: Sequence[dict[str, Any]]) -> Tensor:
            seen.append(len(hq))
            assert len(records) == len(hq)
            return super().apply(hq, records)

    parts = draw_parts(photo, [], 0).repeat(3, 1, 1, 1)[:-1]
    assert consistency(repeat, Counted(), parts, CPU, 0).smooth_psnr > 70
    assert sum(seen) == len(parts)
    assert max(seen) <= 4


def test_another_tone_shows_in_the_tones_and_grain_in_the_spectrum(photo: Tensor) -> None:
    psnr, distance = measure(photo, Shrink(shift=0.1))
    assert psnr == pytest.approx(20, abs=0.5)  # 0.1 of the range
    assert distance == pytest.approx(0, abs=0.1)
    psnr, distance = measure(photo, Shrink(grain=0.1))
    assert psnr > 35  # smoothed away
    assert distance > 3


def test_a_restorer_that_smooths_is_told_by_the_spectrum(photo: Tensor) -> None:
    def smooth(image: Tensor) -> Tensor:
        return repeat(torch.nn.functional.avg_pool2d(image, 3, 1, 1))

    grainy = (photo + 0.05 * torch.randn(photo.shape, generator=torch.Generator())).clamp(0, 1)
    assert measure(grainy, Shrink(), smooth)[1] > measure(grainy, Shrink())[1] + 2


def test_parts_lie_outside_of_the_faces_on_jpeg_blocks(photo: Tensor) -> None:
    marked = photo * 0
    marked[:, :, :120, :140] = 1  # the face
    parts = draw_parts(marked, [(0, 0, 140, 120)], 3, 3)
    assert parts.shape == (3, 3, SIDE, SIDE)
    assert float(parts.max()) == 0
    assert torch.equal(parts, draw_parts(marked, [(0, 0, 140, 120)], 3, 3))
    # All face, or smaller than a part: what there is.
    assert draw_parts(marked, [(0, 0, 240, 200)], 3, 3).shape == (3, 3, SIDE, SIDE)
    assert draw_parts(photo[:, :, :40, :50], [], 3, 6).shape == (1, 3, 40, 40)


def test_parts_do_not_show_the_same(photo: Tensor) -> None:
    y, x = torch.meshgrid(torch.arange(200.0), torch.arange(240.0), indexing="ij")
    places = torch.stack([y, x, photo[0, 0]])[None]
    corners = draw_parts(places, [], 0, 6)[:, :2, 0, 0]
    apart = (corners[:, None] - corners[None]).abs().amax(2) + 1000 * torch.eye(len(corners))
    assert len(corners) > 3
    assert apart.min() >= SIDE // 2


def test_what_is_no_number_is_told_and_not_degraded(photo: Tensor) -> None:
    assert all(map(math.isnan, measure(photo, None, lambda image: repeat(image) * math.nan)))
