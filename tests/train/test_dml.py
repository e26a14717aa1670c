"""Learning a degradation from pairs: what is learned, the recipe, and LQs for restorers."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from redeg_cli.degrade.dml import clean_lq, load_degradation
from redeg_cli.errors import ModelError, RecipeError
from redeg_cli.io.images import read_rgb, to_tensor, write_rgb
from redeg_cli.models import build, load_restorer
from redeg_cli.nets.dml import DML
from redeg_cli.train.data import load_store
from redeg_cli.train.dml import reconstruction
from redeg_cli.train.losses import mean_psnr
from redeg_cli.train.pairs import PairMaker
from redeg_cli.train.recipe_files import find_recipe, load_recipe, plain_recipe
from redeg_cli.train.recipes import DmlRecipe, RestorerRecipe
from redeg_cli.train.training import train

SMALL = {"kernel": 7, "widths": [6, 6]}


def scene(seed: int) -> np.ndarray:
    """Boxes on a sky that brightens to the right, all rough, so that no kernel looks like another;
    (96, 96, 3)."""
    rng = np.random.default_rng(seed)
    image = np.repeat(np.linspace(0.2, 0.8, 96, dtype=np.float32)[None, :, None], 96, 0)
    image = np.repeat(image, 3, 2)
    for _ in range(60):
        x, y = rng.integers(0, 90, 2)
        image[y : y + rng.integers(2, 12), x : x + rng.integers(2, 12)] += rng.uniform(-0.2, 0.2)
    return (image + rng.normal(0, 0.08, (96, 96, 1))).clip(0, 1).astype(np.float32)


def blurred(image: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(image, (7, 7), 1.2, borderType=cv2.BORDER_REPLICATE)


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Three pairs, the LQ blurred by 1.2 px."""
    for number in range(3):
        write_rgb(tmp_path / "hr" / f"{number}.png", scene(number))
        write_rgb(tmp_path / "lr" / f"{number}.png", blurred(scene(number)))
    return tmp_path


def recipe_of(pairs: Path, **changes: object) -> DmlRecipe:
    table = {
        **{"kind": "dml", "name": "tiny", "pairs": [pairs], "held_out": [pairs], "scale": 2},
        **{"config": {**SMALL, "count": 3}, "crop": 32, "batch": 4, "steps": 3},
        **{"learning_rate": 1e-2, "ema": 0.9, "precision": "fp32"},
    }
    return DmlRecipe.model_validate({**table, **changes})


def test_it_learns_the_blur(pairs: Path, tmp_path: Path) -> None:
    """The LQ of a picture that it has not seen, and the kernel: a Gaussian of 1.2 px."""
    recipe = recipe_of(pairs, steps=300, schedule="cosine")
    (weights,) = train(recipe, tmp_path / "run", device="cpu")
    net = load_degradation(weights)
    assert isinstance(net, DML)
    assert (net.scale, net.grid, net.colour, len(net.kernels)) == (2, "aligned", "y", 3)
    hq, lq = to_tensor(scene(9)), to_tensor(blurred(scene(9)))
    assert mean_psnr(clean_lq(net, hq), lq) > mean_psnr(hq, lq) + 5
    with torch.no_grad():
        kernel = torch.einsum("m,mij->ij", net.weights(hq)[0].mean((1, 2)), net.kernels)
    line = cv2.getGaussianKernel(7, 1.2)
    assert np.corrcoef(kernel.flatten(), (line @ line.T).flatten())[0, 1] > 0.8


@pytest.mark.parametrize("architecture", ["dml", "direct-net", "direct-kpn"])
@pytest.mark.parametrize("native", [False, True])
def test_all_three_are_trained_by_the_same_recipe(
    pairs: Path, tmp_path: Path, architecture: str, native: bool
) -> None:
    if native:
        for path in (pairs / "lr").iterdir():
            image = cv2.resize(scene(int(path.stem)), (48, 48), interpolation=cv2.INTER_AREA)
            write_rgb(path, image)
    config = {key: SMALL[key] for key in SMALL if architecture != "direct-net" or key == "widths"}
    told: list[str] = []
    recipe = recipe_of(pairs, architecture=architecture, config={**config, "colour": "rgb"})
    (weights,) = train(recipe, tmp_path / "run", device="cpu", say=told.append)
    net = load_degradation(weights)
    assert (net.grid, net.colour) == ("native" if native else "aligned", "rgb")
    log = (tmp_path / "run" / "log.jsonl").read_text()
    assert '"lr_psnr"' in log
    assert '"lr_ssim"' in log
    assert told == []


def test_pairs_may_be_smaller_than_the_samples_that_are_shown(pairs: Path, tmp_path: Path) -> None:
    for path in pairs.glob("*/*.png"):
        write_rgb(path, read_rgb(path)[:48, :42])
    (weights,) = train(recipe_of(pairs, held_out=[]), tmp_path / "run", device="cpu")
    assert load_degradation(weights).scale == 2


def test_a_longer_run_carries_on_as_one(pairs: Path, tmp_path: Path) -> None:
    once, twice = (load_dml_state(pairs, tmp_path / name, name) for name in ("once", "twice"))
    assert once.keys() == twice.keys()
    assert all(torch.equal(once[name], twice[name]) for name in once)


def load_dml_state(pairs: Path, folder: Path, how: str) -> dict[str, torch.Tensor]:
    for steps in (4,) if how == "once" else (2, 4):
        (weights,) = train(recipe_of(pairs, steps=steps), folder, device="cpu")
    return load_degradation(weights).state_dict()


def test_the_border_is_not_compared() -> None:
    made, lq = torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8)
    made[:, :, :2] = 5
    made[:, :, 4, 4] = 0.8
    assert float(reconstruction(made, lq, 2)) == pytest.approx(0.64 / 16)
    assert float(reconstruction(made, lq, 0)) == pytest.approx((0.64 + 16 * 25) / 64)


def test_the_preset_is_the_papers() -> None:
    path, base = find_recipe("dml")
    recipe = load_recipe(path, DmlRecipe, ['pairs=["p"]', "scale=3"], base)
    assert (recipe.crop, recipe.batch, recipe.steps) == (192, 16, 100_000)
    assert (recipe.learning_rate, recipe.betas, recipe.schedule) == (1e-4, (0.9, 0.999), "constant")
    assert build("dml", recipe.config).kernels.shape == (8, 15, 15)
    for rival in ("direct-net", "direct-kpn"):
        assert build(rival, recipe.config).colour == "y"
    assert Path(plain_recipe(recipe)["pairs"][0]).is_absolute()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"config": {"scale": 2}}, "config.scale"),
        ({"config": {"grid": "native"}}, "the pairs decide it"),
        ({"crop": 193}, "no multiple of the scale"),
        ({"patience": 2, "watched": "lr_psnr", "held_out": []}, "'held_out'"),
    ],
)
def test_wrong_recipes(changes: dict, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        recipe_of(Path("p"), **changes)


@pytest.fixture
def model(pairs: Path, tmp_path: Path) -> Path:
    (weights,) = train(recipe_of(pairs, steps=1), tmp_path / "model", device="cpu")
    return weights


def restorer_of(pairs: Path, **changes: object) -> RestorerRecipe:
    table = {
        **{"kind": "restorer", "name": "sr", "architecture": "vdsr", "scales": [2], "crop": 12},
        **{"config": {"layers": 3, "features": 4}, "data": [{"folder": pairs / "hr"}]},
        **{"batch": 2, "steps": 2, "precision": "fp32"},
    }
    return RestorerRecipe.model_validate({**table, **changes})


def test_restorers_are_given_the_models_lqs(pairs: Path, model: Path) -> None:
    """The clean LQ of the model and noise as strong as asked."""
    recipe = restorer_of(pairs, dml=model, dml_noise=8)
    device = torch.device("cpu")
    store = load_store(recipe.data, device, 24)
    lq, hq = PairMaker(recipe, device).batch(store, 2, "k", 32)
    quiet, same = PairMaker(restorer_of(pairs, dml=model, dml_noise=0), device).batch(
        store, 2, "k", 32
    )
    assert torch.equal(hq, same)
    inside = quiet.gt(0.1) & quiet.lt(0.9)
    assert float((lq - quiet)[inside].std()) * 255 == pytest.approx(8, rel=0.05)


@pytest.mark.parametrize(
    ("architecture", "config", "scale"),
    [
        ("vdsr", {"layers": 3, "features": 4}, 3),
        ("vdsr", {"layers": 3, "features": 4, "colour": "rgb", "scales": [2]}, 2),
        ("rcan", {"scale": 2, "groups": 1, "blocks": 1, "features": 4, "reduction": 2}, 2),
    ],
)
def test_the_papers_restorers_are_trained(
    pairs: Path, tmp_path: Path, architecture: str, config: dict, scale: int
) -> None:
    recipe = restorer_of(pairs, architecture=architecture, config=config, scales=[scale])
    (weights,) = train(recipe, tmp_path / "sr", device="cpu")
    restorer = load_restorer(weights, scale)
    assert restorer(torch.rand(1, 3, 9, 7)).shape == (1, 3, 9 * scale, 7 * scale)


def test_a_scale_that_the_network_lacks_is_named(pairs: Path, tmp_path: Path) -> None:
    for config in ({"scale": 4, "groups": 1, "blocks": 1}, {"scale": 3, "groups": 1, "blocks": 1}):
        recipe = restorer_of(pairs, architecture="rcan", config=config)
        with pytest.raises(RecipeError, match=rf"restores at x{config['scale']}, x2 was asked for"):
            train(recipe, tmp_path / "sr", device="cpu")


def test_a_vdsr_restores_at_the_scales_it_was_trained_at(pairs: Path, tmp_path: Path) -> None:
    (weights,) = train(restorer_of(pairs, scales=[3]), tmp_path / "sr", device="cpu")
    assert load_restorer(weights).scale == 3
    with pytest.raises(ModelError, match="restores at x3, x2 was asked for"):
        load_restorer(weights, 2)


def test_a_model_of_another_scale_is_refused(pairs: Path, model: Path, tmp_path: Path) -> None:
    recipe = restorer_of(pairs, dml=model, scales=[4], config={"layers": 3, "features": 4})
    with pytest.raises(ModelError, match="learned at scale 2, 4 was asked for"):
        train(recipe, tmp_path / "sr", device="cpu")
