"""The photos of an album: what of them is looked at."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from redeg_cli.finetune import pages as pages_module
from redeg_cli.finetune.consistency import draw_parts
from redeg_cli.finetune.pages import draw_photo_parts, judged_regions
from redeg_cli.finetune.regions import Region
from redeg_cli.finetune.summary import Page
from redeg_cli.io.images import Photo
from redeg_cli.omega.extract import AlignedPair

Scene = Callable[..., np.ndarray]


def region_of(side: int, box: tuple[int, int, int, int] = (0, 0, 16, 16)) -> Region:
    hq = torch.zeros(1, 3, side, side)
    return Region(f"{side}", AlignedPair(hq, hq, 2), hq[:, :1], hq, (0, 0), box)


def page_of(*regions: Region) -> Page:
    return Page("a photo", (64, 64), [], [], list(regions))


@pytest.mark.parametrize(
    ("album", "judged"),
    [
        ([[32, 64, 48]], [32, 64, 48]),
        ([[32, 64, 48, 40, 56]], [64, 48, 40, 56]),
        # The largest of every photo, then the largest of the second ones.
        ([[96, 80, 64], [], [32, 24], [16]], [96, 80, 32, 16]),
        ([[16], [24], [32], [40], [48, 56]], [24, 32, 40, 56]),
    ],
)
def test_the_largest_regions_of_all_photos_are_judged(
    album: Sequence[Sequence[int]], judged: Sequence[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages_module, "MOST_JUDGED", 4)
    pages = [page_of(*map(region_of, sides)) for sides in album]
    found = judged_regions(pages, [region for page in pages for region in page.regions])
    assert [region.pair.hq.shape[2] for region in found] == judged


@pytest.mark.parametrize(("photos", "parts"), [(1, 12), (5, 10), (7, 7), (12, 12), (100, 12)])
def test_of_an_album_no_more_parts_are_looked_at_than_of_a_photo(photos: int, parts: int) -> None:
    album = [("", Photo(np.full((320, 320, 3), index / photos, "f4"))) for index in range(photos)]
    drawn = draw_photo_parts([page_of()] * photos, album, 0)
    assert len(drawn) == parts
    shown = {round(float(part.mean()) * photos) for part in drawn}
    assert shown == {index * photos // min(photos, 12) for index in range(min(photos, 12))}


def test_parts_of_a_photo_lie_outside_of_its_faces(scene: Scene) -> None:
    rgb = scene(256, 320)
    photos = [("a photo", Photo(rgb))]
    box = (64, 64, 192, 192)
    wanted = draw_parts(torch.from_numpy(rgb.transpose(2, 0, 1).copy())[None], [box], 3)
    assert torch.equal(draw_photo_parts([page_of(region_of(32, box))], photos, 3), wanted)
    # A pair that was given lies nowhere in the photo.
    pair = replace(region_of(32, box), kind="pair")
    wanted = draw_parts(torch.from_numpy(rgb.transpose(2, 0, 1).copy())[None], [], 3)
    assert torch.equal(draw_photo_parts([page_of(pair)], photos, 3), wanted)
