"""A tiny run of the paper's training: its images, its recipe and its batches."""

from pathlib import Path

import numpy as np
import torch

from redeg_cli.io.images import write_rgb
from redeg_cli.train.recipe_files import load_recipe
from redeg_cli.train.recipes import PaperRecipe
from redeg_cli.train.triples import Triples, load_stores, make_triples

CPU = torch.device("cpu")
RECIPE = """
kind = "redegnet-paper"
name = "tiny-paper"
crop = 64
batch = 1
steps = 3
save_every = 1
gray = 0
warm_up = 0
precision = "fp32"
features = "filters"
discriminator_widths = [4, 4, 4]
data = [{ folder = "natural" }]
faces = [{ folder = "faces" }]
pairs = ["pairs"]

[[degradation.steps]]
op = "blur"
sigma = [0.5, 2]
size = 7
[[degradation.steps]]
op = "noise"
sigma = [0.05, 0.1]
"""


def make_place(tmp_path: Path) -> Path:
    """Fill a folder: natural/, faces/, pairs/ (LQs half as bright as their HQs), paper.toml."""
    rng = np.random.default_rng(0)
    for folder in ("natural", "faces", "pairs/hq"):
        for index in range(2):
            picture = np.kron(rng.uniform(0.2, 0.8, (10, 12, 3)), np.ones((8, 8, 1)))
            write_rgb(tmp_path / folder / f"{index}.png", picture)
            if folder == "pairs/hq":
                write_rgb(tmp_path / "pairs" / "lq" / f"{index}.png", picture / 2)
    (tmp_path / "paper.toml").write_text(RECIPE)
    return tmp_path


def recipe_of(place: Path, *overrides: str) -> PaperRecipe:
    return load_recipe(place / "paper.toml", PaperRecipe, overrides)


def batch_of(recipe: PaperRecipe, key: str = "train/0", count: int = 1) -> Triples:
    stores = load_stores(recipe, CPU)
    return make_triples(stores, recipe, recipe.degraders()[1], key, range(count))
