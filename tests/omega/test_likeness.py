"""Whether LQ and HQ show the same, however the LQ was degraded."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
import torch
from torch import Tensor

from redeg_cli.degrade.chain import load_degrader
from redeg_cli.errors import PairError
from redeg_cli.io.images import to_array, to_tensor, write_rgb
from redeg_cli.io.pairs import ImagePair
from redeg_cli.omega.extract import AlignedPair, align_pair, doubt, read_same
from redeg_cli.omega.likeness import DIFFERENT, LEAST_ALIKE, MOST_DETAIL, detail_gain, likeness


def crop(rgb: np.ndarray, top: int, left: int) -> Tensor:
    return to_tensor(rgb[top : top + 256, left : left + 256].astype(np.float32) / 255)


FACE = crop(skimage.data.astronaut(), 0, 96)
COFFEE = crop(skimage.data.coffee(), 0, 100)
CAT = crop(skimage.data.chelsea(), 20, 100)
PRESETS = ("bsrgan", "bsrgan-plus", "real-esrgan", "old-photo", "halftone", "vhs", "web")
BLUR: Mapping[str, Any] = {"steps": [{"op": "blur", "sigma": 12.0}]}


def degraded(hq: Tensor, degrader: Any, scale: int, seed: int) -> AlignedPair:
    made = load_degrader(degrader, scale)
    return align_pair(made.apply(hq, [made.draw(seed)]).clamp(0, 1), hq, scale)


def test_it_is_a_correlation() -> None:
    assert likeness(FACE, FACE) == pytest.approx(1)
    assert likeness(FACE, 1 - FACE) == pytest.approx(-1, abs=1e-4)
    assert likeness(FACE, FACE * 0.1 + 0.6) == pytest.approx(1)


def test_flat_pictures_cannot_be_told_apart() -> None:
    grain = torch.rand(FACE.shape, generator=torch.Generator().manual_seed(0))
    assert likeness(FACE * 0.1, grain) == 1.0
    assert likeness(FACE * 0, FACE * 0 + 0.5) == 1.0
    assert likeness(FACE, FACE * 0 + 0.5) == 1.0


@pytest.mark.parametrize("scale", [1, 4])
@pytest.mark.parametrize("degrader", [*PRESETS, BLUR])
def test_degraded_pictures_are_alike(degrader: Any, scale: int) -> None:
    for hq, seed in ((FACE, 0), (FACE, 1), (COFFEE, 2), (CAT, 3), (CAT, 4)):
        pair = degraded(hq, degrader, scale, seed)
        assert likeness(pair.hq, pair.lq) > DIFFERENT + 0.1


def test_a_faded_gray_print_of_a_colour_picture_is_alike() -> None:
    for channel in range(3):
        gray = FACE[:, channel : channel + 1].expand_as(FACE)
        assert likeness(FACE, gray * 0.15 + 0.6) > LEAST_ALIKE


def test_dots_as_large_as_a_cell_of_the_finer_grid_are_averaged() -> None:
    y, x = torch.meshgrid(torch.arange(256) // 16, torch.arange(256) // 16, indexing="ij")
    board = ((x + y) % 2 * 2.0 - 1).expand_as(CAT)
    assert likeness(CAT, 0.5 + 0.3 * (CAT - 0.5) + 0.3 * board) > LEAST_ALIKE


def test_other_pictures_are_not_alike(tmp_path: Path) -> None:
    pictures = {"face": FACE, "coffee": COFFEE, "cat": CAT}
    for name, picture in pictures.items():
        write_rgb(tmp_path / f"{name}.png", to_array(picture))
    for one in pictures:
        for other in set(pictures) - {one}:
            files = (tmp_path / f"{one}.png", tmp_path / f"{other}.png")
            with pytest.raises(PairError, match=f"{one}.png and .*{other}.png do not show the"):
                read_same(ImagePair(*files, one), None)


def test_too_small_to_tell(tmp_path: Path) -> None:
    for name, picture in (("face", FACE), ("coffee", COFFEE)):
        write_rgb(tmp_path / f"{name}.png", to_array(picture[..., ::4, ::4]))
    pair = ImagePair(tmp_path / "face.png", tmp_path / "coffee.png", "small")
    assert read_same(pair, None).scale == 4  # as if its LQ had 16 px
    with pytest.raises(PairError, match="do not show the same picture"):
        read_same(pair, 1)


def test_what_is_little_alike_is_told() -> None:
    assert doubt(AlignedPair(FACE, FACE, 1)) is None
    text = doubt(AlignedPair(FACE, (FACE + COFFEE.flip(3)) / 2, 1))
    assert text is not None
    assert text.startswith("LQ and HQ are little alike (0.")


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_detail_that_the_lq_has_of_its_own_does_not_count(scale: int) -> None:
    noise = torch.randn(FACE.shape, generator=torch.Generator().manual_seed(0))
    assert detail_gain(FACE, FACE * 0.5 + 0.3, scale) == pytest.approx(0.5, rel=1e-3)
    assert detail_gain(FACE, FACE + 0.1 * noise, scale) == pytest.approx(1, abs=0.1)
    assert detail_gain(torch.full_like(FACE, 0.5), FACE, scale) == 1


def test_detail_finer_than_native_pixels_does_not_count() -> None:
    place = torch.arange(256.0)
    coarse = (0.5 + 0.2 * torch.sin(place / 4)).expand_as(FACE)
    fine = 0.2 * torch.sin(2 * place).expand(256, -1).T
    assert detail_gain(coarse + fine, coarse, 1) < 0.2
    assert detail_gain(coarse + fine, coarse, 4) > 0.98


@pytest.mark.parametrize("hq", [FACE, COFFEE, CAT])
@pytest.mark.parametrize("scale", [1, 4])
def test_a_swapped_pair_is_told(hq: Tensor, scale: int) -> None:
    blur = {"steps": [{"op": "blur", "sigma": 1.5 * scale}]}
    pair = degraded(hq, blur, scale, 0)
    assert doubt(pair) is None
    assert "sharper than the HQ" in str(doubt(AlignedPair(pair.lq, pair.hq, scale)))


@pytest.mark.parametrize("preset", PRESETS)
def test_degraded_pairs_are_not_taken_for_swapped(preset: str) -> None:
    for seed in range(4):
        pair = degraded(FACE, preset, 2, seed)
        assert detail_gain(pair.hq, pair.lq, 2) < MOST_DETAIL
