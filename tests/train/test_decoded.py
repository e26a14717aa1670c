"""Decoded images: the same from memory and from the disk, and made anew when the files change."""

import os
import re
import warnings
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from redeg_cli.errors import InputError, RecipeError
from redeg_cli.io.images import read_rgb, write_rgb
from redeg_cli.train import decoded
from redeg_cli.train.data import load_store
from redeg_cli.train.decoded import images_in_memory, images_on_disk
from redeg_cli.train.recipe_base import DataSource
from redeg_cli.train.recipe_files import load_recipe
from redeg_cli.train.recipes import RestorerRecipe
from redeg_cli.train.training import train

CPU = torch.device("cpu")


@pytest.fixture
def source(workplace: Path) -> DataSource:
    write_rgb(workplace / "hq" / "tall.png", np.random.default_rng(1).random((70, 30, 3)))
    return DataSource(folder=workplace / "hq")


def test_both_are_the_files_pixels(workplace: Path, source: DataSource) -> None:
    files = sorted(source.folder.iterdir())
    wanted = [torch.from_numpy((read_rgb(path) * 255).round().astype(np.uint8)) for path in files]
    for images in (images_in_memory(source, CPU), images_on_disk(source, workplace / "cache")):
        assert len(images) == 5
        for image, pixels in zip(images, wanted, strict=True):
            assert image.dtype == torch.uint8
            assert torch.equal(image.permute(1, 2, 0), pixels)


def test_a_second_run_decodes_nothing(
    workplace: Path, source: DataSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = images_on_disk(source, workplace / "cache")
    monkeypatch.delattr(decoded, "_decode")
    second = images_on_disk(source, workplace / "cache")
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert len(list((workplace / "cache").iterdir())) == 2


@pytest.mark.parametrize("change", ["another file", "a newer file", "a file less"])
def test_what_changed_is_decoded_again(workplace: Path, source: DataSource, change: str) -> None:
    images_on_disk(source, workplace / "cache")
    if change == "another file":
        write_rgb(source.folder / "more.png", np.zeros((16, 16, 3)))
    elif change == "a newer file":
        write_rgb(source.folder / "0.png", np.ones((48, 56, 3)))
        os.utime(source.folder / "0.png", (1, 1))
    else:
        (source.folder / "0.png").unlink()
    images = images_on_disk(source, workplace / "cache")
    assert len(images) == {"another file": 6, "a newer file": 5, "a file less": 4}[change]
    if change == "a newer file":
        assert images[0].min() == 255


def test_a_torn_cache_is_made_again_and_a_bad_image_leaves_none(
    workplace: Path, source: DataSource
) -> None:
    cache = workplace / "cache"
    images_on_disk(source, cache)
    next(cache.glob("*.json")).unlink()  # what a run that was killed in between leaves
    assert len(images_on_disk(source, cache)) == 5
    (source.folder / "torn.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"torn\.png"):
        images_on_disk(source, cache)
    assert len(list(cache.iterdir())) == 2


def test_more_than_the_memory_holds_is_one_line(
    source: DataSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    need = 4 * 48 * 56 * 3 + 70 * 30 * 3
    monkeypatch.setattr(decoded, "_memory", lambda _device: need)
    with pytest.raises(RecipeError, match=re.escape("keep them on disk with --set cache=FOLDER")):
        images_in_memory(source, CPU)
    monkeypatch.setattr(decoded, "_memory", lambda _device: 2 * need)
    assert len(images_in_memory(source, CPU)) == 5


def test_a_gpu_keeps_room_for_the_training(
    source: DataSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    need = 4 * 48 * 56 * 3 + 70 * 30 * 3
    for times, kind in ((5, "meta"), (3, "cpu")):
        monkeypatch.setattr(decoded, "_memory", lambda _device, times=times: times * need)
        images = images_in_memory(source, torch.device("meta"))
        assert {image.device.type for image in images} == {kind}


def test_a_set_larger_than_the_memory_is_mapped(workplace: Path, source: DataSource) -> None:
    cache = workplace / "cache"
    images_on_disk(source, cache)
    memory = psutil.virtual_memory().total + psutil.swap_memory().total
    try:
        os.truncate(next(cache.glob("*.pixels")), 2 * memory)  # a hole: it takes no room
    except OSError:
        pytest.skip("this file system takes no file of that size")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(images_on_disk(source, cache)) == 5


def test_crops_and_whole_runs_are_the_same(workplace: Path, source: DataSource) -> None:
    memory = load_store([source], CPU, 16)
    disk = load_store([source], CPU, 16, cache=workplace / "cache")
    for seed in range(10):
        assert torch.equal(memory.crop(seed, 16, (0.5, 1)), disk.crop(seed, 16, (0.5, 1)))
    weights = []
    for name, extra in (("memory", ()), ("disk", (f"cache={workplace}/cache",))):
        recipe = load_recipe(workplace / "restorer.toml", RestorerRecipe, extra)
        weights.append(train(recipe, workplace / name, device="cpu")[0])
    assert str(workplace).encode() not in weights[1].read_bytes()
    tensors = [path.read_bytes()[-200:] for path in weights]
    assert tensors[0] == tensors[1]
