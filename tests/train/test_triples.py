"""Batches of the paper's training: what the pairs of a row share."""

from pathlib import Path

import numpy as np
import pytest
import torch
from paper_runs import CPU, batch_of, make_place, recipe_of
from torch import Tensor

from redeg_cli.degrade.base import Record
from redeg_cli.errors import InputError
from redeg_cli.io.images import write_rgb
from redeg_cli.train.data import ImageStore
from redeg_cli.train.recipes import PaperRecipe
from redeg_cli.train.triples import Stores, load_pairs, load_stores, make_triples


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return make_place(tmp_path)


class Spy:
    """A degrader that keeps what it applied."""

    scale = 1

    def __init__(self, recipe: PaperRecipe) -> None:
        self.inner = recipe.degraders()[1]
        self.applied: list[list[Record]] = []

    def draw(self, seed: int) -> Record:
        return self.inner.draw(seed)

    def apply(self, hq: Tensor, records: list[Record]) -> Tensor:
        self.applied.append(records)
        return self.inner.apply(hq, records)


def test_face_and_natural_pairs_share_their_records(place: Path) -> None:
    recipe = recipe_of(place, "real_share=0")
    spy = Spy(recipe)
    make_triples(load_stores(recipe, CPU), recipe, spy, "train/0", range(3))
    synthetic, real = spy.applied
    assert synthetic[:3] == synthetic[3:]
    seeds = [record["steps"][1]["seed"] for record in [*synthetic[:3], *real]]
    assert len(set(seeds)) == 6  # another one for each row, and for what stands for real


def test_kernels_and_noise_are_the_same_value_by_value(place: Path) -> None:
    """Pictures that are the same everywhere: what differs from the HQ is what the record drew."""
    recipe = recipe_of(place, "pairs=[]")
    flat = ImageStore([[torch.full((3, 96, 96), 128, dtype=torch.uint8)]], [1.0])
    hq, lq = make_triples(
        Stores(flat, flat, None), recipe, recipe.degraders()[1], "train/0", range(2)
    )
    _, face, natural = (lq - hq).chunk(3)
    torch.testing.assert_close(face, natural, atol=1e-5, rtol=0)
    assert face.std() > 0.02
    real = (lq - hq).chunk(3)[0]
    assert abs(torch.corrcoef(torch.stack([real.flatten(), face.flatten()]))[0, 1]) < 0.1


def test_a_real_pair_is_cropped_as_one_and_lends_its_hq(place: Path) -> None:
    hq, lq = batch_of(recipe_of(place), count=6)
    assert hq.shape == lq.shape == (18, 3, 64, 64)
    real, face, natural = hq.chunk(3)
    torch.testing.assert_close(lq[:6], real / 2, atol=3 / 255, rtol=0)
    assert torch.equal(real, face)
    assert not torch.equal(real, natural)
    made = lq[6:] * 255
    torch.testing.assert_close(made, made.round(), atol=1e-3, rtol=0)


@pytest.mark.parametrize(("share", "faces"), [(0.5, True), (0.5, False)])
def test_a_share_of_the_real_ones_is_real(place: Path, share: float, faces: bool) -> None:
    overrides = [f"real_share={share}", *([] if faces else ["faces=[]"])]
    hq, lq = batch_of(recipe_of(place, *overrides), count=24)
    half = [(lq[i] - hq[i] / 2).abs().max() < 3 / 255 for i in range(24)]
    assert 6 <= sum(half) <= 18


def test_the_key_decides_the_batch_and_a_row_its_own(place: Path) -> None:
    recipe = recipe_of(place, "real_share=0.5")
    stores, degrader = load_stores(recipe, CPU), recipe.degraders()[1]
    whole = make_triples(stores, recipe, degrader, "train/1", range(3))
    again = make_triples(stores, recipe, degrader, "train/1", range(3))
    third = make_triples(stores, recipe, degrader, "train/1", [2])
    other = make_triples(stores, recipe, degrader, "train/2", range(3))
    assert all(torch.equal(a, b) for a, b in zip(whole, again, strict=True))
    assert not torch.equal(whole.hq, other.hq)
    for mine, part in zip(whole, third, strict=True):
        torch.testing.assert_close(mine[2::3], part, atol=1e-5, rtol=0)


def test_pairs_that_are_too_small_are_left_out(place: Path) -> None:
    assert len(load_pairs([place / "pairs"], CPU, 80)) == 2
    with pytest.raises(InputError, match="no pair whose HQ has at least 81 px"):
        load_pairs([place / "pairs"], CPU, 81)


def test_a_native_lq_is_brought_onto_the_hq_grid(place: Path) -> None:
    for index in range(2):
        write_rgb(place / "pairs" / "lq" / f"{index}.png", np.full((20, 24, 3), 0.25))
    store = load_pairs([place / "pairs"], CPU, 64)
    assert store.groups[0][0].shape == (6, 80, 96)
    assert store.groups[0][0][:3].float().mean() == pytest.approx(64, abs=1)
