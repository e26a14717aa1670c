"""Training images: which are read, and crops that the seed decides."""

from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch

from redeg_cli.degrade.chain import load_degrader
from redeg_cli.degrade.tone import to_gray
from redeg_cli.errors import InputError
from redeg_cli.io.images import write_rgb
from redeg_cli.train.data import ImageStore, load_store, warped
from redeg_cli.train.recipe_base import DataSource

CPU = torch.device("cpu")


def coordinates(height: int = 60, width: int = 80) -> torch.Tensor:
    """An image that tells where each pixel came from: red is x, green is y."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([x, y, torch.full_like(x, 7)]).to(torch.uint8)


def test_images_are_read_exactly(workplace: Path) -> None:
    store = load_store([DataSource(folder=workplace / "hq")], CPU, 16)
    assert len(store) == 4
    image = store.groups[0][0]
    assert image.dtype == torch.uint8
    assert image.shape == (3, 48, 56)


def test_small_images_are_left_out(workplace: Path) -> None:
    write_rgb(workplace / "hq" / "small.png", np.zeros((20, 200, 3)))
    source = DataSource(folder=workplace / "hq")
    assert len(load_store([source], CPU, 21)) == 4
    assert len(load_store([source], CPU, 20)) == 5
    with pytest.raises(InputError, match="no image of at least 49 px"):
        load_store([source], CPU, 49)
    with pytest.raises(InputError, match="does not exist"):
        load_store([DataSource(folder=workplace / "none")], CPU, 16)


def test_progress_counts_files(workplace: Path) -> None:
    seen: list[tuple[int, int, str]] = []
    load_store(
        [DataSource(folder=workplace / "hq")],
        CPU,
        16,
        lambda done, total, text="": seen.append((done, total, text)),
    )
    assert seen == [(i, 4, "reading hq") for i in (1, 2, 3, 4)]


def test_a_crop_is_a_piece_of_the_image() -> None:
    store = ImageStore([[coordinates()]], [1.0])
    flipped = 0
    places = set()
    for seed in range(40):
        crop = store.crop(seed, 16) * 255
        assert crop.shape == (3, 16, 16)
        x, y = crop[0].round().long(), crop[1].round().long()
        assert (crop[2].round() == 7).all()
        step = int(x[0, 1] - x[0, 0])
        assert abs(step) == 1
        flipped += step < 0
        assert (x.diff(dim=1) == step).all()
        assert (y.diff(dim=0) == 1).all()
        places.add((int(x.min()), int(y.min())))
    assert 8 < flipped < 32
    assert len(places) > 30
    assert max(x for x, _ in places) <= 64
    assert max(y for _, y in places) <= 44


def test_crops_are_the_seeds() -> None:
    store = ImageStore([[coordinates()]], [1.0])
    kind = {"size": 16, "shrink": (0.5, 1.0), "gray": 0.5}
    assert torch.equal(store.crop(3, **kind), store.crop(3, **kind))
    assert not torch.equal(store.crop(3, **kind), store.crop(4, **kind))


def test_shrinking_never_goes_below_the_crop() -> None:
    store = ImageStore([[coordinates()]], [1.0])
    for seed in range(10):
        crop = store.crop(seed, 40, (0.1, 0.2)) * 255
        assert crop.shape == (3, 40, 40)
        # 60 px high is the least: 40 of them are asked for, so two thirds at most.
        assert float(crop[1].diff(dim=0)[5:-5].mean()) == pytest.approx(1.5, abs=0.05)


def test_places_move_smoothly_by_the_strength() -> None:
    """In a picture of its own coordinates the moves can be read off."""
    side = 128
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    image = torch.stack([x, y, 0 * x])[None].float() / 255
    moves = []
    for seed in range(40):
        made = warped(image, 0.02, np.random.default_rng(seed))
        assert made.shape == image.shape
        inner = 255 * (made - image)[0, :2, 24:-24, 24:-24]
        assert float(inner.diff(dim=2).abs().max()) < 0.6  # no fold
        moves.append(inner)
    # The mean of bicubic weights' squares is 0.7 or so for each axis.
    assert 0.5 < float(torch.stack(moves).std()) / (0.02 * side) < 1
    torch.testing.assert_close(warped(image, 0, np.random.default_rng(0)), image, atol=1e-4, rtol=0)


def test_half_of_the_crops_are_warped() -> None:
    store = ImageStore([[coordinates()]], [1.0])
    plain = 0
    for seed in range(40):
        crop = 255 * store.crop(seed, 32, warp=0.05)
        plain += bool((crop - crop.round()).abs().max() < 1e-3)
    assert 10 < plain < 30


def test_sources_are_drawn_by_weight() -> None:
    dark = torch.zeros((3, 20, 20), dtype=torch.uint8)
    light = torch.full((3, 20, 20), 255, dtype=torch.uint8)
    store = ImageStore([[dark], [light, light, light]], [3.0, 1.0])
    share = np.mean([float(store.crop(seed, 8).mean()) for seed in range(400)])
    assert share == pytest.approx(0.25, abs=0.06)


def test_gray_is_the_luma_of_pillow() -> None:
    from PIL import Image

    rgb = skimage.data.astronaut()[100:140, 100:140]
    gray = to_gray(torch.from_numpy(rgb).permute(2, 0, 1)[None].float() / 255)[0]
    wanted = np.asarray(Image.fromarray(rgb).convert("L"))
    assert torch.equal(gray[0], gray[1])
    assert np.abs(gray[0].numpy() * 255 - wanted).max() <= 1
    store = ImageStore([[torch.from_numpy(rgb).permute(2, 0, 1).contiguous()]], [1.0])
    grays = [
        bool((crop.max(0).values - crop.min(0).values).max() < 1e-6)
        for crop in (store.crop(seed, 8, gray=0.5) for seed in range(40))
    ]
    assert 8 < sum(grays) < 32


def test_faces_are_aligned_and_pictures_without_one_left_out(tmp_path: Path) -> None:
    write_rgb(tmp_path / "face.png", skimage.data.astronaut()[:300, 60:400] / 255)
    write_rgb(tmp_path / "none.png", np.full((200, 200, 3), 0.5))
    source = DataSource(folder=tmp_path, align_faces=True, face_size=128)
    store = load_store([source], CPU, 64)
    assert len(store) == 1
    assert store.groups[0][0].shape == (3, 128, 128)


def test_a_crop_tells_nothing_of_the_degradation_of_its_seed() -> None:
    """Else a network would learn to read the one off the other."""
    groups = [[torch.full((3, 40, 40), level, dtype=torch.uint8)] for level in (0, 255)]
    store = ImageStore(groups, [0.6, 0.4])
    degrader = load_degrader({"steps": [{"p": 0.6, "op": "blur", "sigma": 1}]}, 1)
    blurred = {False: [], True: []}
    for seed in range(600):
        bright = bool(store.crop(seed, 16).mean() > 0.5)
        blurred[bright].append(bool(degrader.draw(seed)["steps"]))
    for shares in blurred.values():
        assert np.mean(shares) == pytest.approx(0.6, abs=0.1)
