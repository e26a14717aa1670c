"""Batches of pairs: who makes which rows, what is mixed in, and what the LQs are made by."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from degraded import save_pool, save_redegnet

from redeg_cli.degrade.canvas import Canvas
from redeg_cli.degrade.sharpen import Sharpen, apply_sharpen
from redeg_cli.errors import ModelError, RecipeError
from redeg_cli.models import load_network
from redeg_cli.omega.learned import OmegaDegrader
from redeg_cli.omega.pool import load_pool, merge_pools
from redeg_cli.seeds import sample_seed
from redeg_cli.train.data import ImageStore
from redeg_cli.train.pairs import PairMaker, Pairs
from redeg_cli.train.recipes import RestorerRecipe

CPU = torch.device("cpu")
STEPS = {
    "steps": [
        {"op": "resize", "of": "native"},
        {"op": "noise", "sigma": [0, 0.1]},
        {"op": "jpeg", "quality": [30, 90]},
    ]
}


def recipe_of(**values: object) -> RestorerRecipe:
    table = {
        "kind": "restorer",
        "name": "tiny",
        "architecture": "f2n-compact",
        "crop": 16,
        "batch": 6,
        "scales": [1, 2],
        "data": [{"folder": "nowhere"}],
        "degradation": STEPS,
    }
    return RestorerRecipe.model_validate(table | values)


def maker_of(process: int = 0, processes: int = 1, **values: object) -> PairMaker:
    return PairMaker(recipe_of(**values), CPU, process, processes)


@pytest.fixture
def store() -> ImageStore:
    coarse = torch.rand((4, 3, 8, 8), generator=torch.Generator().manual_seed(0))
    images = F.interpolate(coarse, size=(64, 64), mode="bicubic").clamp(0, 1) * 255
    return ImageStore([list(images.to(torch.uint8))], [1.0])


@pytest.fixture
def learned(tmp_path: Path) -> dict[str, str]:
    """Keys of a recipe with a pool and the ReDegNet that made it."""
    redegnet = save_redegnet(tmp_path / "redegnet.safetensors")
    pool = save_pool(tmp_path / "pool.npz", redegnet)
    return {"redegnet": str(redegnet), "pool": str(pool)}


@pytest.mark.parametrize("processes", [2, 3])
@pytest.mark.parametrize("lq_noise", [0.0, 0.6])
def test_processes_make_the_batch_of_one_together(
    store: ImageStore, processes: int, lq_noise: float
) -> None:
    whole = maker_of(lq_noise=lq_noise).fresh_batch(store, 2, 3)
    for process in range(processes):
        part = maker_of(process, processes, lq_noise=lq_noise).fresh_batch(store, 2, 3)
        for rows, of_all in zip(part, whole, strict=True):
            torch.testing.assert_close(rows, of_all[process::processes], atol=1e-6, rtol=0)


@pytest.mark.parametrize(("key", "value"), [("batch", 5), ("queue", 13)])
def test_what_cannot_be_shared_equally_is_refused(key: str, value: int) -> None:
    with pytest.raises(RecipeError, match=f"{key} = {value} cannot be shared by 2 processes"):
        maker_of(0, 2, **{key: value})


def test_a_queue_below_the_batch_is_refused() -> None:
    with pytest.raises(RecipeError, match="queue = 4 is less than batch = 6"):
        maker_of(queue=4)


def mixed(maker: PairMaker, store: ImageStore, scale: int, step: int) -> Pairs:
    return maker.mixed_batch(maker.fresh_batch(store, scale, step), scale, step)


def test_the_queue_mixes_the_batches_of_a_scale(store: ImageStore) -> None:
    mixing, plain = maker_of(queue=12), maker_of()
    made = [plain.fresh_batch(store, 2, step) for step in range(4)]
    first = [mixed(mixing, store, 2, step) for step in range(2)]
    for (lq, hq), (wanted_lq, wanted_hq) in zip(first, made, strict=False):
        assert torch.equal(lq, wanted_lq)
        assert torch.equal(hq, wanted_hq)
    # Full: rows of the first two batches now, in pairs as they were.
    lq, hq = mixed(mixing, store, 2, 2)
    lqs, hqs = (torch.cat([pair[i] for pair in made[:2]]) for i in (0, 1))
    places = [(lqs == row).flatten(1).all(1).nonzero().item() for row in lq]
    assert len(set(places)) == 6
    assert torch.equal(hqs[places], hq)
    assert {place // 6 for place in places} == {0, 1}
    # The other scale has a queue of its own.
    one = mixed(mixing, store, 1, 0)
    assert torch.equal(one.lq, plain.fresh_batch(store, 1, 0).lq)


def test_the_queue_is_kept(store: ImageStore) -> None:
    makers = maker_of(queue=12), maker_of(queue=12)
    for step in range(3):
        mixed(makers[0], store, 2, step)
    makers[1].load_state_dict(makers[0].state_dict())
    pairs = [mixed(maker, store, 2, 3) for maker in makers]
    assert torch.equal(pairs[0][0], pairs[1][0])
    assert torch.equal(pairs[0][1], pairs[1][1])


def test_lqs_get_noise_at_last(store: ImageStore) -> None:
    quiet, _ = maker_of(batch=24).fresh_batch(store, 2, 0)
    noisy, _ = maker_of(batch=24, lq_noise=0.5, lq_noise_sigma=0.2).fresh_batch(store, 2, 0)
    sigmas = (noisy - quiet).std((1, 2, 3))
    there = sigmas > 0
    assert 6 < there.sum() < 18
    assert sigmas.max() < 0.21
    assert sigmas[there].std() > 0.02  # a strength of its own for each
    assert noisy.min() >= 0
    assert noisy.max() <= 1


def test_validation_has_no_noise_and_no_queue(store: ImageStore) -> None:
    maker, plain = maker_of(lq_noise=1, queue=12), maker_of()
    for step in range(3):
        mixed(maker, store, 2, step)
    assert torch.equal(maker.batch(store, 2, "val", 3)[0], plain.batch(store, 2, "val", 3)[0])


def test_targets_are_sharpened_or_the_hqs_themselves(store: ImageStore) -> None:
    _, hq = maker_of().fresh_batch(store, 2, 0)
    assert maker_of().target(hq) is hq
    sharp = maker_of(usm_targets=True).target(hq)
    assert torch.equal(sharp, apply_sharpen(Canvas.of(hq, 1), [Sharpen()] * len(hq)).pixels)
    assert sharp.diff(dim=3).abs().mean() > hq.diff(dim=3).abs().mean()


def test_a_pool_makes_its_share(store: ImageStore, learned: dict[str, str]) -> None:
    plain, _ = maker_of(batch=24).batch(store, 2, "a", 24)
    shares = {}
    for share in (0.0, 0.5, 1.0):
        lq, _ = maker_of(batch=24, pool_share=share, **learned).batch(store, 2, "a", 24)
        shares[share] = (lq != plain).flatten(1).any(1).float().mean().item()
    assert shares[0.0] == 0
    assert 0.25 < shares[0.5] < 0.75
    assert shares[1.0] == 1


def test_a_pool_makes_what_its_degrader_makes(store: ImageStore, learned: dict[str, str]) -> None:
    maker = maker_of(gray=0, **learned)
    lq, hq = maker.batch(store, 2, "train/0", 3)
    pool, net = load_pool(Path(learned["pool"])), load_network(learned["redegnet"], "redegnet", CPU)
    degrader = OmegaDegrader(net, pool, 2)
    records = [degrader.draw(sample_seed(0, "train/0", i)) for i in range(3)]
    upright = [
        degrader.apply(hq.rot90(-turn, (2, 3)), records).rot90(turn, (2, 3)) for turn in range(4)
    ]
    nearest = min(float((lq - wanted).abs().max()) for wanted in upright)
    assert nearest <= 0.5 / 255 + 1e-6  # 256 levels
    parts = [maker_of(i, 3, gray=0, **learned).batch(store, 2, "train/0", 3)[0] for i in range(3)]
    torch.testing.assert_close(torch.cat(parts), lq, atol=1 / 255 + 1e-6, rtol=0)


def test_each_scale_has_the_omegas_that_were_taken_at_it(
    tmp_path: Path, learned: dict[str, str]
) -> None:
    pool = load_pool(Path(learned["pool"]))
    other = replace(pool, scales=np.full(len(pool), 4), omegas=pool.omegas + 1)
    merge_pools([(tmp_path, pool), (tmp_path, other)]).save(tmp_path / "both.npz")
    said: list[str] = []
    keys = {**learned, "pool": str(tmp_path / "both.npz"), "scales": [2, 4, 1]}
    maker = PairMaker(recipe_of(**keys), CPU, say=said.append)
    for scale, wanted in ((2, pool), (4, other)):
        degrader = maker.learned[scale]
        assert isinstance(degrader, OmegaDegrader)
        assert np.array_equal(degrader.pool.omegas, wanted.omegas)
    assert len(maker.learned[1].pool) == 2 * len(pool)  # pyright: ignore
    (line,) = said
    assert "both.npz was taken at scale 2, 4 and is used at scale 1: grain and JPEG blocks" in line


def test_a_pool_of_another_redegnet_is_refused(tmp_path: Path, learned: dict[str, str]) -> None:
    other = save_redegnet(tmp_path / "other.safetensors", seed=1)
    with pytest.raises(ModelError, match="other"):
        maker_of(**(learned | {"redegnet": str(other)}))
