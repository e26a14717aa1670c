"""DegNet sees the pseudo-HQs of a part of its images, and nothing else changes."""

from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from PIL import Image
from torch import Tensor, nn

from redeg_cli.faces.pseudo import PseudoHQ
from redeg_cli.nets.synnet_lite import Synthesis
from redeg_cli.train import redegnet as redegnet_module
from redeg_cli.train.data import ImageStore
from redeg_cli.train.recipes import ReDegNetRecipe
from redeg_cli.train.redegnet import redegnet_course, swap_losses
from redeg_cli.train.swap import (
    SwapBatch,
    SwapModel,
    draw_swap,
    make_swap_batch,
    see_pseudo_hqs,
)

BLUR = {"op": "blur", "size": 11, "sigma": [0.5, 2]}
NOISE = {"op": "noise", "sigma": [0.02, 0.1]}
FADE = {"op": "fade", "gamma": 1.2, "white": [0.9, 0.9, 0.9], "black": [0.1, 0.1, 0.1]}
NATIVE = {"op": "resize", "of": "native", "filter": "bicubic", "antialias": True}
TINY = {
    "degnet": {"widths": [8, 8]},
    "synnet": {"widths": [8, 8], "style": 8, "kernel": 5, "grain_kernel": 5},
}


def recipe_of(*steps: object, share: float, folder: object = "nowhere") -> ReDegNetRecipe:
    return ReDegNetRecipe.model_validate(
        {
            "kind": "redegnet",
            "name": "tiny",
            "crop": 32,
            "gray": 0,
            "data": [{"folder": str(folder)}],
            "degradation": {"steps": list(steps)},
            "config": TINY,
            "pseudo_share": share,
            "pseudo_restorer": "mine",
        }
    )


@pytest.fixture
def store() -> ImageStore:
    images = torch.rand((3, 3, 64, 64), generator=torch.Generator().manual_seed(0)) * 200 + 25
    return ImageStore([list(images.to(torch.uint8))], [1.0])


def negative(lq: Tensor) -> Tensor:
    return 1 - lq


def batch_of(
    store: ImageStore,
    recipe: ReDegNetRecipe,
    scale: int,
    count: int,
    pseudo: PseudoHQ = negative,
    key: str = "train/0",
    own: slice = slice(None),
) -> SwapBatch:
    draw = draw_swap(recipe.seed, recipe.degraders()[scale], key, count, own)
    return see_pseudo_hqs(make_swap_batch(store, recipe, draw), recipe, draw, pseudo)


def test_some_rows_are_pseudo_hqs(store: ImageStore) -> None:
    recipe = recipe_of(BLUR, NOISE, NATIVE, share=0.4)
    batch = batch_of(store, recipe, 2, 20)
    rows = [row for row in range(40) if not torch.equal(batch.seen[row], batch.hq[row])]
    assert 8 <= len(rows) <= 24
    assert all(torch.equal(batch.seen[row], 1 - batch.lq[row]) for row in rows)
    # One partner, both or none: the draws of the two are their own.
    assert 0 < sum((row + 20) % 40 not in rows for row in rows) < len(rows)
    draw = draw_swap(recipe.seed, recipe.degraders()[2], "train/0", 20)
    without = make_swap_batch(store, recipe, draw)
    assert torch.equal(without.seen, without.hq)
    for name in ("hq", "lq", "mean", "grain", "jpeg"):
        assert torch.equal(getattr(batch, name), getattr(without, name))


def test_they_are_enlarged_for_the_restorer_by_another_factor_each_step(store: ImageStore) -> None:
    recipe = recipe_of(BLUR, NATIVE, share=0.5).model_copy(update={"pseudo_zoom": (1.0, 3.0)})
    sides: list[int] = []

    def keep(lq: Tensor) -> Tensor:
        assert lq.shape[2] == lq.shape[3]
        sides.append(lq.shape[2])
        return 1 - lq

    for step in range(30):
        batch = batch_of(store, recipe, 2, 6, keep, f"train/{step}")
        assert batch.seen.shape == batch.hq.shape
    assert 32 <= min(sides) < 40
    assert 80 < max(sides) <= 96
    assert len(set(sides)) > 15
    # As many lie below the middle of the logs as above.
    assert 8 < sum(side < 32 * 3**0.5 for side in sides) < 22


def test_each_process_has_its_rows(store: ImageStore) -> None:
    recipe = recipe_of(BLUR, NATIVE, share=0.5)
    whole = batch_of(store, recipe, 1, 6)
    own = slice(1, None, 2)
    part = batch_of(store, recipe, 1, 6, own=own)
    torch.testing.assert_close(part.seen, whole.seen[[1, 3, 5, 7, 9, 11]])


def test_faded_images_keep_their_hq(store: ImageStore) -> None:
    recipe = recipe_of({"p": 0.5, **FADE}, NATIVE, share=1.0)
    batch = batch_of(store, recipe, 1, 12, torch.zeros_like)
    pairs = zip(batch.hq, batch.lq, strict=True)
    faded = [bool((lq - hq).abs().max() > 0.05) for hq, lq in pairs]
    assert 0 < sum(faded) < len(faded)
    assert [bool((seen == 0).all()) for seen in batch.seen] == [not each for each in faded]


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_the_recipe_says_how_many_and_by_what(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    Image.new("RGB", (64, 64), "gray").save(tmp_path / "gray.png")
    asked: list[str] = []
    seen: list[Tensor] = []

    def load(name: str, device: torch.device) -> object:
        asked.append(f"{name} on {device.type}")
        return torch.zeros_like

    def losses(net: nn.Module, batch: SwapBatch, *_: object) -> tuple[Tensor, dict[str, Tensor]]:
        del net
        seen.append(batch.seen)
        return torch.zeros(()), {}

    monkeypatch.setattr(redegnet_module, "load_pseudo_hq", load)
    monkeypatch.setattr(redegnet_module, "swap_losses", losses)
    recipe = recipe_of(BLUR, NATIVE, share=share, folder=tmp_path)
    (player,) = redegnet_course(recipe, Accelerator(cpu=True)).players
    player.terms(player.network, 0)
    assert asked == (["mine on cpu"] if share else [])
    assert bool((seen[0] == 0).all()) == bool(share)


class Recorder(nn.Module):
    """Keeps what DegNet and SynNet are given."""

    def __init__(self) -> None:
        super().__init__()
        self.given: dict[str, Tensor] = {}

    def extract(self, hq: Tensor, lq: Tensor, scale: int) -> Tensor:
        del scale
        self.given |= {"to DegNet": hq, "lq": lq}
        return torch.eye(len(hq), 512)

    def forward(self, hq: Tensor, omega: Tensor, noise: Tensor) -> Synthesis:
        del omega, noise
        self.given["to SynNet"] = hq
        return Synthesis(hq, torch.zeros_like(hq), torch.zeros(len(hq), 2, 3))


def test_degnet_is_given_the_pseudo_hqs_and_synnet_the_hqs(store: ImageStore) -> None:
    recipe = recipe_of(BLUR, NATIVE, share=0.5)
    batch = batch_of(store, recipe, 1, 6)
    assert not torch.equal(batch.seen, batch.hq)
    recorder = Recorder()
    swap_losses(SwapModel(recorder), batch, 1, recipe, 0)
    assert torch.equal(recorder.given["to DegNet"], batch.seen)
    assert torch.equal(recorder.given["lq"], batch.lq)
    assert torch.equal(recorder.given["to SynNet"], batch.hq)
