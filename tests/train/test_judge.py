"""The transfer of Ω is measured on held-out images while a ReDegNet trains."""

import json
from pathlib import Path

import pytest
import torch

from redeg_cli.nets.lite import ReDegNetLite
from redeg_cli.train.data import ImageStore
from redeg_cli.train.judge import ends_of, judge_transfer
from redeg_cli.train.recipe_files import load_recipe
from redeg_cli.train.recipes import ReDegNetRecipe
from redeg_cli.train.training import train

TINY = {
    "degnet": {"widths": [8, 8]},
    "synnet": {"widths": [8, 8], "style": 8, "kernel": 5, "grain_kernel": 5},
}


def store_of(*shades: int) -> ImageStore:
    groups = [[torch.full((3, 40, 40), shade, dtype=torch.uint8)] for shade in shades]
    return ImageStore(groups, [1.0] * len(groups))


def test_naturals_are_degraded_by_the_omegas_of_faces(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first source is degraded, the last one gives Ω; training mode is left as it was."""
    seen: list[tuple[float, float]] = []
    net = ReDegNetLite(**TINY).train()

    def measure(given, faces, naturals, scale, count, *, batch):
        assert not given.training
        assert (scale, count, batch) == (2, 8, 4)
        seen.append((float(faces([1, 2]).mean()), float(naturals([1]).mean())))
        row = {"right_omega": 30.0, "detail_ratio": 0.5}
        return {"blur": row, "retrieval": {"accuracy_5nn": 0.9}}

    monkeypatch.setattr("redeg_cli.train.judge.measure_transfer", measure)
    figures = judge_transfer(net, store_of(51, 204), 32, 2, 5)
    assert seen == [pytest.approx((0.8, 0.2))]
    assert figures["transfer_psnr"] == 30
    assert net.training


def test_training_logs_it_and_may_stop_by_it(workplace: Path) -> None:
    held_out = f'validation=[{{"folder": "{workplace}/hq"}}]'
    more = ("steps=40", "validate_every=1", "transfer=4", "patience=2", "learning_rate=1e-12")
    recipe = load_recipe(workplace / "redegnet.toml", ReDegNetRecipe, (*more, held_out))
    train(recipe, workplace / "run", device="cpu")
    rows = [json.loads(line) for line in (workplace / "run" / "log.jsonl").read_text().splitlines()]
    assert {"transfer_psnr", "detail_ratio_noise", "omega_retrieval"} <= set(rows[-1])
    # Nothing is learned, so nothing gets better.
    assert rows[-1]["step"] <= 6


def test_of_one_source_other_crops_are_judged() -> None:
    picture = torch.rand((3, 64, 64), generator=torch.Generator().manual_seed(0)) * 255
    first, last = ends_of(ImageStore([[picture.to(torch.uint8)]], [1.0]), 32)
    assert not (first([1, 2]) == last([1, 2])).flatten(1).all(1).any()


def test_crops_come_to_where_the_held_out_images_are_wanted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Images that lie in files are on the CPU, whatever the device."""
    store = ImageStore(store_of(51, 204).groups, [1.0, 1.0], torch.device("meta"))

    def measure(_net, faces, naturals, *_args, **_kwargs):
        assert faces([1]).device.type == naturals([1]).device.type == "meta"
        return {
            "blur": {"right_omega": 30.0, "detail_ratio": 0.5},
            "retrieval": {"accuracy_5nn": 1},
        }

    monkeypatch.setattr("redeg_cli.train.judge.measure_transfer", measure)
    judge_transfer(ReDegNetLite(**TINY), store, 32, 2, 4)
