"""Regions: what is fitted on and what is held out never meet, and both lie where they should."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
import torch
import torch.nn.functional as F

from redeg_cli.errors import InputError, PairError
from redeg_cli.faces.align import template
from redeg_cli.faces.detectors import Face
from redeg_cli.faces.restore import follow_colour
from redeg_cli.finetune import pages as pages_module
from redeg_cli.finetune import regions as module
from redeg_cli.finetune.choose import CONTEXT, HeldOut
from redeg_cli.finetune.pages import find_pages
from redeg_cli.finetune.regions import (
    Region,
    brought_region,
    clean_regions,
    face_regions,
    photo_region,
)
from redeg_cli.finetune.settings import Settings
from redeg_cli.io.images import Photo, to_tensor, write_rgb
from redeg_cli.omega.extract import AlignedPair, align_pair
from redeg_cli.omega.photo_pairs import FacePair
from redeg_cli.progress import no_progress

SCALE = 2
Scene = Callable[..., np.ndarray]


def face_pair(photo: np.ndarray, box: tuple[int, int, int, int]) -> FacePair:
    """A face in ``box`` whose restored version is the photo repeated."""
    x0, y0, x1, y1 = box
    crop = photo[y0:y1, x0:x1]
    hq = np.repeat(np.repeat(crop, SCALE, 0), SCALE, 1)
    return FacePair(
        face=Face((x0, y0, x1, y1), 0.9, template(x1 - x0) + np.array([x0, y0])),
        matrix=np.eye(2, 3),
        aligned=crop,
        restored=crop,
        box=box,
        pair=align_pair(to_tensor(crop), to_tensor(hq), SCALE),
        valid=np.ones(hq.shape[:2]),
        sharpness=1.0,
    )


@pytest.mark.parametrize("box", [(32, 16, 88, 80), (0, 0, 40, 48), (64, 48, 128, 96)])
def test_held_out_parts_lie_where_the_photo_says(
    scene: Scene, box: tuple[int, int, int, int]
) -> None:
    photo = scene(96, 128)
    (region,) = face_regions(photo, [face_pair(photo, box)])
    assert region.box == box
    held = region.held_out()
    # What stands at the offset of the enlarged context is the held-out HQ itself.
    whole = held.lq.repeat_interleave(SCALE, 2).repeat_interleave(SCALE, 3)
    y, x = held.offset
    height, width = held.hq.shape[2:]
    assert torch.equal(whole[:, :, y : y + height, x : x + width], held.hq)
    assert held.mask.shape == (1, 1, height, width)
    # As much of the photo around it as there is, 16 px at the most.
    x0, y0, x1, y1 = box
    first = y0 + region.split // SCALE
    assert held.lq.shape[2] == min(96, y1 + CONTEXT) - max(0, first - CONTEXT)
    assert held.lq.shape[3] == min(128, x1 + CONTEXT) - max(0, x0 - CONTEXT)


def test_no_more_of_a_face_is_asked_for_than_is_used(
    photo: Photo, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def pairs(rgb: np.ndarray, *_: object, **options: object) -> tuple[list[FacePair], list[str]]:
        asked.append(options["largest"])
        return [face_pair(rgb, (16, 16, 56, 56))], []

    monkeypatch.setattr(pages_module, "photo_pairs", pairs)
    faces = replace(settings, face_pair=None)
    (page,) = find_pages([("old", photo)], faces, torch.device("cpu"), no_progress, print)
    assert asked == [module.MOST]
    assert [region.name for region in page.regions] == ["face of 40 px at 16,16"]


def test_fitted_and_held_out_rows_do_not_meet(scene: Scene) -> None:
    photo = scene(96, 128)
    (region,) = face_regions(photo, [face_pair(photo, (32, 16, 88, 80))])
    fitted, held = region.fitted(), region.held_out()
    assert fitted.rows == (0, region.split)
    assert region.split % (8 * SCALE) == 0
    assert fitted.rows[1] + held.hq.shape[2] == region.pair.hq.shape[2] == 128
    assert 0.5 < region.split / 128 < 0.7
    assert torch.equal(held.hq, region.pair.hq[:, :, region.split :])
    pair = region.fitted_pair()
    assert pair.hq.shape == pair.lq.shape == (1, 3, region.split, 112)
    assert fitted.origin == (32 * SCALE, 16 * SCALE)


def test_the_rows_that_are_fitted_on_tell_a_score_nothing(scene: Scene) -> None:
    """What looks 16 px around a pixel makes the same of the held-out part and of all there is."""
    photo = scene(160, 128)
    (region,) = face_regions(photo, [face_pair(photo, (32, 16, 88, 144))])
    held = region.held_out()
    whole = replace(held, lq=region.context, offset=(region.inset[0] * SCALE + region.split, 32))
    assert held.lq.shape[2] < 0.6 * region.context.shape[2]
    assert (held.lq.shape[2] - region.context.shape[2]) % 8 == 0
    weights = torch.rand(1, 1, 33, 33, generator=torch.Generator().manual_seed(0)) / 33**2

    def seen(part: HeldOut) -> torch.Tensor:
        made = F.conv2d(part.lq, weights.repeat(3, 1, 1, 1), padding=16, groups=3)
        made = made.repeat_interleave(SCALE, 2).repeat_interleave(SCALE, 3)
        y, x = part.offset
        return made[:, :, y : y + part.hq.shape[2], x : x + part.hq.shape[3]]

    torch.testing.assert_close(seen(held), seen(whole), atol=1e-6, rtol=0)


@pytest.mark.parametrize("scale", [1, 2, 4])
@pytest.mark.parametrize("rows", [2, 3, 5, 9])
def test_both_parts_have_at_least_a_block(scale: int, rows: int) -> None:
    height = rows * 8 * scale
    hq = torch.zeros(1, 3, height, 64)
    region = Region("r", AlignedPair(hq, hq, scale), hq[:, :1], hq, (0, 0), (0, 0, 8, 8))
    assert region.split % (8 * scale) == 0
    assert 0 < region.split < height


def test_a_lattice_is_taken_out_of_every_hq(scene: Scene) -> None:
    """Sought in the largest region; its trace goes from the others, too."""
    photo = scene(96, 128)
    boxes = [(0, 0, 64, 96), (64, 0, 128, 80)]
    regions = face_regions(photo, [face_pair(photo, box) for box in boxes])
    dotted = []
    for region in regions:
        height, width = region.pair.hq.shape[2:]
        y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        wave = 0.1 * torch.cos(2 * torch.pi * (0.21 * x + 0.13 * y))
        pair = AlignedPair(region.pair.hq + 0.3 * wave, region.pair.lq + wave, SCALE)
        dotted.append(
            Region(region.name, pair, region.valid, region.context, region.inset, region.box)
        )
    cleaned, lattice = clean_regions(dotted)
    assert lattice is not None
    assert np.abs(np.abs(lattice.frequencies[0]) - [0.21, 0.13]).max() < 0.003
    for before, after, truth in zip(dotted, cleaned, regions, strict=True):
        inner = (..., slice(24, -24), slice(24, -24))
        error = [(r.pair.hq - truth.pair.hq)[inner].abs().mean().item() for r in (before, after)]
        assert error[1] < 0.6 * error[0]
        assert torch.equal(before.pair.lq, after.pair.lq)


def test_without_a_lattice_regions_stay_as_they_are(scene: Scene) -> None:
    photo = scene(96, 128)
    (region,) = face_regions(photo, [face_pair(photo, (0, 0, 64, 96))])
    regions = [replace(region, pair=replace(region.pair, hq=region.pair.lq))]
    cleaned, lattice = clean_regions(regions)
    assert lattice is None
    assert cleaned is regions


def enlarged(rgb: np.ndarray, factor: int) -> np.ndarray:
    size = (rgb.shape[1] * factor, rgb.shape[0] * factor)
    return cv2.resize(rgb, size, interpolation=cv2.INTER_CUBIC).clip(0, 1)


def test_a_pair_that_was_brought(tmp_path: Path, scene: Scene) -> None:
    write_rgb(tmp_path / "lq.png", scene(50, 45))
    sharp = enlarged(scene(50, 45), 2)
    write_rgb(tmp_path / "hq.png", sharp)
    region = brought_region(tmp_path / "lq.png", tmp_path / "hq.png", 2)
    # Cut to whole blocks of eight.
    assert region.box == (0, 0, 40, 48)
    assert region.pair.hq.shape == region.pair.lq.shape == (1, 3, 96, 80)
    # Its details are the file's, its low-frequency colour is the photo's.
    difference = region.pair.hq[0].permute(1, 2, 0).numpy() - sharp[:96, :80]
    assert np.abs(np.diff(difference, axis=0)).max() < 0.03
    assert abs(float((region.pair.hq - region.pair.lq).mean())) < 0.01
    assert region.name == "lq.png and hq.png"
    held = region.held_out()
    # Rows 32 to 48 are held out.
    assert region.split == 64
    assert held.lq.shape == (1, 3, 32, 40)
    assert held.offset == (32, 0)


@pytest.mark.parametrize("factor", [1, 3, 5])
def test_the_sharp_version_may_be_of_any_size(tmp_path: Path, scene: Scene, factor: int) -> None:
    write_rgb(tmp_path / "lq.png", scene(40, 48))
    write_rgb(tmp_path / "hq.png", enlarged(scene(40, 48), factor))
    region = brought_region(tmp_path / "lq.png", tmp_path / "hq.png", 2)
    assert region.pair.hq.shape == (1, 3, 80, 96)


@pytest.mark.parametrize(
    ("lq", "hq", "message"),
    [((24, 60), (48, 120), "at least 32 px a side"), ((40, 40), (80, 120), "40x40.*120x80")],
)
def test_what_is_no_pair(
    tmp_path: Path, scene: Scene, lq: tuple[int, int], hq: tuple[int, int], message: str
) -> None:
    write_rgb(tmp_path / "lq.png", scene(*lq))
    write_rgb(tmp_path / "hq.png", scene(*hq))
    with pytest.raises(PairError, match=message):
        brought_region(tmp_path / "lq.png", tmp_path / "hq.png", 2)
    with pytest.raises(InputError, match=r"gone\.png"):
        brought_region(tmp_path / "gone.png", tmp_path / "hq.png", 2)


def test_a_pair_shows_the_same(tmp_path: Path, scene: Scene) -> None:
    write_rgb(tmp_path / "lq.png", scene(48, 48))
    write_rgb(tmp_path / "hq.png", enlarged(scene(48, 48), 2))
    write_rgb(tmp_path / "other.png", astronaut(5))
    with pytest.raises(PairError, match=r"other\.png does not show what .*lq\.png shows"):
        brought_region(tmp_path / "lq.png", tmp_path / "other.png", 2)
    with pytest.raises(PairError, match=r"lq\.png is smaller than .*hq\.png: are they swapped"):
        brought_region(tmp_path / "hq.png", tmp_path / "lq.png", 2)


def astronaut(factor: int) -> np.ndarray:
    """A building's worth of detail, reduced by ``factor``."""
    full = skimage.data.astronaut()[:480, :480].astype(np.float32) / 255
    return cv2.resize(full, None, fx=1 / factor, fy=1 / factor, interpolation=cv2.INTER_AREA)


def test_a_region_with_a_sharp_version_from_elsewhere(tmp_path: Path) -> None:
    """It is off by (3, -2) px on the HQ grid and redder; it lands on the photo in its colour."""
    photo, sharp = astronaut(4), astronaut(2)
    left, top, right, bottom = 20, 10, 110, 100
    off = sharp[2 * top + 2 : 2 * bottom + 2, 2 * left - 3 : 2 * right - 3]
    write_rgb(tmp_path / "wall.png", np.clip(off * [1.0, 0.85, 0.8], 0, 1))
    region = photo_region(photo, (left, top, right, bottom), tmp_path / "wall.png", 2)
    assert region.box == (32, 16, 104, 96)
    assert region.name == "wall.png at 32,16"
    assert region.pair.hq.shape == (1, 3, 160, 144)
    native = torch.from_numpy(photo[16:96, 32:104]).permute(2, 0, 1)[None]
    assert (torch.nn.functional.avg_pool2d(region.pair.lq, 2) - native).abs().mean() < 0.01
    truth = torch.from_numpy(sharp[32:192, 64:208]).permute(2, 0, 1)[None]
    inner = (..., slice(8, -8), slice(8, -8))
    right_place = (region.pair.hq - truth)[inner].abs().mean()
    aside = (region.pair.hq[..., 1:] - truth[..., :-1])[inner].abs().mean()
    assert right_place < 0.035
    assert right_place < 0.6 * aside
    assert region.inset == (16, 16)
    assert region.held_out().hq.shape[3] == 144


def test_the_part_that_is_moved_in_is_not_known(tmp_path: Path) -> None:
    photo, sharp = astronaut(4), astronaut(2)
    write_rgb(tmp_path / "wall.png", sharp[38:198, 32:192])
    region = photo_region(photo, (16, 16, 96, 96), tmp_path / "wall.png", 2)
    # The file begins 6 px too low: it is moved down, and nothing is known of the first rows.
    assert region.valid[0, 0, :5].max() == 0
    assert region.valid[0, 0, 8:, 4:-4].min() == 1


@pytest.mark.parametrize("factor", [1, 2, 5])
def test_a_sharp_region_may_be_of_any_size(tmp_path: Path, factor: int) -> None:
    photo = astronaut(5)
    full = astronaut(1)[:480, :480]
    part = cv2.resize(full[80:400, 80:400], None, fx=1 / factor, fy=1 / factor)
    write_rgb(tmp_path / "wall.png", part.clip(0, 1))
    region = photo_region(photo, (16, 16, 80, 80), tmp_path / "wall.png", 2)
    assert region.pair.hq.shape == (1, 3, 128, 128)


def test_of_a_large_region_the_middle_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only it, with the pixels next to it, is given the photo's colour."""
    matched: list[tuple[int, ...]] = []

    def match(source: np.ndarray, reference: np.ndarray, mask: np.ndarray) -> np.ndarray:
        matched.append(source.shape)
        return follow_colour(source, reference, mask)

    monkeypatch.setattr(module, "follow_colour", match)
    photo = np.tile(astronaut(2), (1, 3, 1))
    write_rgb(tmp_path / "wall.png", photo * 0.9)
    region = photo_region(photo, (0, 0, 720, 240), tmp_path / "wall.png", 2)
    assert region.box == (160, 0, 544, 240)
    assert region.name == "wall.png at 160,0"
    assert region.pair.hq.shape == (1, 3, 480, 768)
    assert matched == [(480, 2 * (384 + 2 * 16), 3)]
    native = torch.from_numpy(photo[:240, 160:544]).permute(2, 0, 1)[None]
    assert (torch.nn.functional.avg_pool2d(region.pair.lq, 2) - native).abs().mean() < 0.01
    assert (region.pair.hq - region.pair.lq).abs().mean() < 0.02
    assert torch.equal(region.context, to_tensor(photo[:256, 144:560]))
    assert region.inset == (0, 16)


def test_regions_that_cannot_serve(tmp_path: Path) -> None:
    photo = astronaut(4)
    write_rgb(tmp_path / "other.png", astronaut(2)[::-1, ::-1][:160, :160])
    with pytest.raises(PairError, match="does not show what the photo shows at 16,16,96,96"):
        photo_region(photo, (16, 16, 96, 96), tmp_path / "other.png", 2)
    with pytest.raises(PairError, match="their sides must be in proportion"):
        photo_region(photo, (16, 16, 96, 60), tmp_path / "other.png", 2)
    with pytest.raises(InputError, match="not within the photo of 120x120"):
        photo_region(photo, (16, 16, 130, 130), tmp_path / "other.png", 2)
    write_rgb(tmp_path / "small.png", astronaut(2)[34:86, 34:86])
    with pytest.raises(PairError, match="grid of 16 px: at least 32 px"):
        photo_region(photo, (17, 17, 43, 43), tmp_path / "small.png", 2)
