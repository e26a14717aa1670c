"""Ready pairs for a restorer: real ones, or LQs with what a larger network made of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from redeg_cli.degrade.resize import resize
from redeg_cli.errors import RecipeError
from redeg_cli.progress import OnProgress, no_progress
from redeg_cli.seeds import numpy_generator, sample_seed
from redeg_cli.train.recipes import RestorerRecipe
from redeg_cli.train.registered import RegisteredStore, load_registered


@dataclass(frozen=True)
class GivenPairs:
    """Pairs at the largest scale of a recipe. At a smaller one the HQ is shrunk, the LQ is not."""

    store: RegisteredStore
    share: float
    """Which part of the rows they are."""
    upright: bool = False
    """Whether they are never turned upside down, as faces are not."""

    def has(self, seed: int) -> bool:
        """Whether the row of this seed is one of them."""
        return float(numpy_generator(sample_seed(seed, "given")).random()) < self.share

    def crops(self, seeds: Sequence[int], crop: int, scale: int) -> tuple[Tensor, Tensor]:
        """Return native LQ (B, 3, crop, crop) and HQ (B, 3, crop * scale, crop * scale)."""
        hq, lq = self.store.crops(seeds, crop * self.store.scale, self.upright)
        if scale != self.store.scale:
            hq = resize(hq, (crop * scale, crop * scale))
        return lq, hq


def load_given(
    recipe: RestorerRecipe,
    progress: OnProgress = no_progress,
    say: Callable[[str], None] = lambda _: None,
) -> GivenPairs | None:
    """Read the pairs of a recipe, if it has any.

    ``say`` is told of pictures without a partner. Raises what ``load_registered`` does, and
    RecipeError for LQs that have the size of their HQ already, unless they are wanted at x1.
    """
    if not recipe.pairs:
        return None
    scale = max(recipe.scales)
    least = recipe.crop * scale
    store = load_registered(recipe.pairs, scale, least, recipe.max_shift, progress, say)
    if store.grid == "aligned" and scale != 1:
        raise RecipeError(
            f"'pairs': these LQs are as large as their HQs, the recipe restores at x{scale}: "
            "give native LQs, or train at x1 (scales=[1])"
        )
    return GivenPairs(store, recipe.pairs_share, recipe.architecture == "face-restorer")


def batch_of(
    made: Callable[[list[int]], tuple[Tensor, Tensor]],
    given: GivenPairs | None,
    seeds: Sequence[int],
    crop: int,
    scale: int,
    device: torch.device,
) -> tuple[Tensor, Tensor]:
    """Return LQ and HQ of the rows of ``seeds``: those that are given, the others as ``made``."""
    rows = [given is not None and given.has(seed) for seed in seeds]
    if given is None or not any(rows):
        return made(list(seeds))
    own = [seed for seed, is_given in zip(seeds, rows, strict=True) if is_given]
    lq, hq = (part.to(device) for part in given.crops(own, crop, scale))
    if all(rows):
        return lq, hq
    other_lq, other_hq = made([seed for seed in seeds if seed not in set(own)])
    # Back into the order of the seeds.
    order = torch.tensor([*_where(rows, True), *_where(rows, False)], device=device).argsort()
    return torch.cat([lq, other_lq])[order], torch.cat([hq, other_hq])[order]


def _where(rows: Sequence[bool], wanted: bool) -> list[int]:
    return [index for index, each in enumerate(rows) if each == wanted]
