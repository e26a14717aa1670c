"""Training pairs of ReDegNet: what partners share, and that the parts make the whole."""

import pytest
import torch
from torch import Tensor, nn

from redeg_cli.degrade.classical import ClassicalDegrader, ClassicalSpec
from redeg_cli.degrade.resize import resize
from redeg_cli.nets.lite import ReDegNetLite
from redeg_cli.nets.synnet_lite import Synthesis
from redeg_cli.seeds import sample_seed
from redeg_cli.train.data import ImageStore
from redeg_cli.train.recipes import ReDegNetRecipe
from redeg_cli.train.redegnet import SwapModel, jpeg_truth, make_swap_batch, swap_losses

TINY = {
    "degnet": {"widths": [8, 8]},
    "synnet": {"widths": [8, 8], "style": 8, "kernel": 5, "grain_kernel": 5},
}


def recipe_of(**degradation: object) -> ReDegNetRecipe:
    return ReDegNetRecipe.model_validate(
        {
            "kind": "redegnet",
            "name": "tiny",
            "crop": 32,
            "gray": 0,
            "data": [{"folder": "nowhere"}],
            "degradation": degradation,
        }
    )


@pytest.fixture
def store() -> ImageStore:
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand((3, 3, 8, 8), generator=generator)
    images = nn.functional.interpolate(coarse, size=(64, 64), mode="bilinear") * 200 + 25
    return ImageStore([list(images.to(torch.uint8))], [1.0])


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_partners_share_their_degradation_and_nothing_else(store: ImageStore, scale: int) -> None:
    batch = make_swap_batch(store, recipe_of(noise=1.0), scale, "train/0", 3)
    assert batch.hq.shape == batch.lq.shape == batch.mean.shape == batch.grain.shape
    assert batch.hq.shape == (6, 3, 32, 32)
    assert torch.equal(batch.jpeg[:3], batch.jpeg[3:])
    for index in range(3):
        assert not torch.equal(batch.hq[index], batch.hq[index + 3])
        grains = batch.grain[index].flatten(), batch.grain[index + 3].flatten()
        # The same law, drawn twice.
        assert grains[0].std() > 1e-3
        assert abs(torch.corrcoef(torch.stack(grains))[0, 1]) < 0.25


def test_a_batch_is_decided_by_its_key(store: ImageStore) -> None:
    recipe = recipe_of()
    first, again, other = (
        make_swap_batch(store, recipe, 2, key, 2) for key in ("train/7", "train/7", "train/8")
    )
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first.hq, other.hq)


@pytest.mark.parametrize("scale", [1, 2])
def test_mean_and_grain_make_the_lq_when_there_is_no_jpeg(store: ImageStore, scale: int) -> None:
    degradation = {"jpeg": 0, "early_jpeg": 0, "noise": 1.0, "poisson": 0}
    batch = make_swap_batch(store, recipe_of(**degradation), scale, "train/0", 3)
    # Apart from eight bits and, at its scale, the resizing of their rounding.
    assert (batch.mean + batch.grain - batch.lq).abs().max() < 1 / 255
    assert batch.jpeg.abs().max() == 0


def test_without_noise_there_is_no_grain(store: ImageStore) -> None:
    batch = make_swap_batch(store, recipe_of(noise=0, jpeg=0), 2, "train/0", 2)
    assert batch.grain.abs().max() == 0
    assert (batch.mean - batch.lq).abs().max() < 1 / 255


def test_the_mean_is_before_the_last_jpeg(store: ImageStore) -> None:
    recipe = recipe_of(noise=0, early_jpeg=0, jpeg=1, quality=(20, 20))
    batch = make_swap_batch(store, recipe, 2, "train/0", 2)
    clean = make_swap_batch(store, recipe_of(noise=0, early_jpeg=0, jpeg=0), 2, "train/0", 2)
    assert (batch.lq - batch.mean).abs().mean() > 1 / 255
    assert torch.equal(batch.hq, clean.hq)
    torch.testing.assert_close(batch.mean, clean.mean)


@pytest.mark.parametrize(("scale", "full", "stage"), [(1, 1, 1), (2, 0, 1), (4, 1, 0)])
def test_the_last_jpeg_is_told_on_its_grid(scale: int, full: int, stage: int) -> None:
    spec = ClassicalSpec(jpeg=1, quality=(75, 75), full_grid=full)
    record = ClassicalDegrader(scale, spec).draw(0)
    truth = jpeg_truth(record)
    assert truth[stage].tolist() == [1.0, 1.0, float(record["steps"][-1]["subsample"])]
    assert truth[1 - stage].tolist() == [0, 0, 0]
    silent = ClassicalDegrader(scale, ClassicalSpec(jpeg=0, early_jpeg=1)).draw(0)
    assert jpeg_truth(silent).abs().max() == 0


class Scribe(nn.Module):
    """Ω is the mean colour of the LQ; what it makes is that colour."""

    def extract(self, hq: Tensor, lq: Tensor, scale: int) -> Tensor:
        del hq, scale
        return lq.mean((2, 3))

    def forward(self, hq: Tensor, omega: Tensor, noise: Tensor) -> Synthesis:
        del noise
        mean = omega[:, :, None, None].expand_as(hq)
        return Synthesis(mean, torch.zeros_like(hq), torch.zeros(hq.shape[0], 2, 3))


def test_each_image_is_made_with_the_omega_of_its_partner() -> None:
    hq = torch.zeros(4, 3, 32, 32)
    lq = torch.tensor([0.1, 0.2, 0.3, 0.4]).view(4, 1, 1, 1).expand(4, 3, 32, 32)
    omega, made = SwapModel(Scribe())(hq, lq, torch.zeros_like(hq), 1)
    assert omega[:, 0].tolist() == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert made.mean[:, 0, 0, 0].tolist() == pytest.approx([0.3, 0.4, 0.1, 0.2])


def test_the_terms_are_weighted_and_named(store: ImageStore) -> None:
    torch.manual_seed(0)
    net = SwapModel(ReDegNetLite(**TINY))
    recipe = recipe_of(noise=1.0)
    batch = make_swap_batch(store, recipe, 2, "train/0", 2)
    terms = swap_losses(net, batch, 2, recipe, 5)
    assert set(terms) == {"mean", "grain", "jpeg", "attraction"}
    double = recipe.model_copy(
        update={f"{name}_weight": 2.0 for name in ("mean", "noise", "jpeg", "attraction")}
    )
    weights = {"mean": 1.0, "grain": 0.1, "jpeg": 0.05, "attraction": 0.02}
    for name, value in swap_losses(net, batch, 2, double, 5).items():
        assert value.item() == pytest.approx(2 / weights[name] * terms[name].item(), rel=1e-4)
    other_noise = swap_losses(net, batch, 2, recipe, 6)
    assert other_noise["attraction"] == terms["attraction"]
    assert other_noise["grain"] != terms["grain"]


def test_the_lq_is_that_of_the_classical_degrader(store: ImageStore) -> None:
    recipe = recipe_of(noise=0)
    batch = make_swap_batch(store, recipe, 2, "train/3", 2)
    degrader = ClassicalDegrader(2, recipe.degradation)
    records = [degrader.draw(sample_seed(recipe.seed, "train/3", i)) for i in range(2)] * 2
    native = (degrader.apply(batch.hq, records) * 255).round() / 255
    torch.testing.assert_close(batch.lq, resize(native, (32, 32)))
