"""Training pairs of a restorer: crops of HQ images, and what degraders make of them."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from redeg_cli.degrade.base import Degrader
from redeg_cli.degrade.canvas import Canvas
from redeg_cli.degrade.dml import DmlDegrader, load_degradation
from redeg_cli.degrade.fields import normal_field
from redeg_cli.degrade.sharpen import Sharpen, apply_sharpen
from redeg_cli.errors import RecipeError
from redeg_cli.models import DEFAULT_REDEGNET, find_model, load_network, model_fingerprint
from redeg_cli.omega.learned import OmegaDegrader
from redeg_cli.omega.pool import load_pool
from redeg_cli.seeds import numpy_generator, sample_seed
from redeg_cli.train.data import ImageStore, equal_share
from redeg_cli.train.given import GivenPairs, batch_of
from redeg_cli.train.queue import PairQueue
from redeg_cli.train.recipes import RestorerRecipe


class Pairs(NamedTuple):
    """A batch of B rows, in [0, 1]."""

    lq: Tensor
    """Native, (B, 3, crop, crop)."""
    hq: Tensor
    """(B, 3, crop * scale, crop * scale)."""


class PairMaker:
    """Makes the batches of a run. Its state is that of its queues: see ``train.state.Keeper``.

    Each of several processes makes its own rows of a batch: all together they make the batch that
    one alone would.
    """

    def __init__(
        self,
        recipe: RestorerRecipe,
        device: torch.device,
        process: int = 0,
        processes: int = 1,
        live: Mapping[int, Degrader] | None = None,
        given: GivenPairs | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Load what the recipe's pool needs onto ``device``. Raises RecipeError and InputError.

        ``live`` takes the pool's place in the batches that are trained on, by scale; ``given`` are
        pairs that are ready. ``say`` is told of a pool that was taken at other scales.
        """
        self.recipe = recipe
        self.device = device
        self.given = given
        self.degraders = recipe.degraders() if recipe.dml is None else _dml(recipe, device)
        self.learned = _learned(recipe, device, say)
        self.live = live
        self.rows = slice(process, None, processes)
        capacity = equal_share(recipe.queue, processes, "queue")
        batch = equal_share(recipe.batch, processes, "batch")
        if 0 < capacity < batch:
            raise RecipeError(
                f"queue = {recipe.queue} is less than batch = {recipe.batch}: give 0 for none, "
                "or several times the batch"
            )
        self.queues = {scale: PairQueue(capacity) for scale in recipe.scales} if capacity else {}

    def batch(
        self, store: ImageStore, scale: int, key: str, count: int, whole: bool = False
    ) -> Pairs:
        """Return ``count`` pairs. Everything random comes from ``key``.

        LQs have the 256 levels of their files. With ``whole`` the rows of the other processes are
        made too. All are made by degraders.
        """
        every = self._seeds(key, count)
        pair = self._made(store, scale, every if whole else every[self.rows], self.learned)
        return self._turned(*pair, every[0])

    def fresh_batch(self, store: ImageStore, scale: int, step: int) -> Pairs:
        """Return the batch of a step: given pairs and made ones, LQs with noise."""
        recipe = self.recipe
        learned, key = self.learned, f"train/{step}"
        if self.live is not None:  # other images than those that SynNet has just been trained on
            learned, key = self.live, f"joint/{step}"
        every = self._seeds(key, recipe.batch)
        lq, hq = batch_of(
            lambda seeds: self._made(store, scale, seeds, learned),
            *(self.given, every[self.rows], recipe.crop, scale, store.device or self.device),
        )
        pairs = self._turned(lq, hq, every[0])
        return pairs._replace(lq=self._noised(pairs.lq, step)) if recipe.lq_noise else pairs

    def mixed_batch(self, fresh: Pairs, scale: int, step: int) -> Pairs:
        """Return the batch that a step trains on: the fresh one, mixed with earlier ones."""
        if scale not in self.queues:
            return fresh
        seed = sample_seed(self.recipe.seed, "queue", step)
        return Pairs(*self.queues[scale].give(*fresh, seed))

    def target(self, hq: Tensor) -> Tensor:
        """Return what the pixels of a restored image are compared with: HQ, sharpened if so."""
        if not self.recipe.usm_targets:
            return hq
        return apply_sharpen(Canvas.of(hq, 1), [Sharpen()] * hq.shape[0]).pixels

    def _seeds(self, key: str, count: int) -> list[int]:
        return [sample_seed(self.recipe.seed, key, i) for i in range(count)]

    def _made(
        self, store: ImageStore, scale: int, seeds: list[int], learned: Mapping[int, Degrader]
    ) -> tuple[Tensor, Tensor]:
        """Return LQs and HQs that degraders make, a seed each. ``learned`` is what Ωs drive."""
        size, recipe = self.recipe.crop * scale, self.recipe
        hq = torch.stack(
            [store.crop(seed, size, recipe.crop_scales, recipe.gray, recipe.warp) for seed in seeds]
        )
        lq = self._degrade(hq, scale, seeds, learned)
        return (lq * 255).round() / 255, hq

    def _turned(self, lq: Tensor, hq: Tensor, seed: int) -> Pairs:
        """Return a batch turned by a quarter, a half or not at all; faces stay upright."""
        turned = self.recipe.architecture != "face-restorer"
        turn = int(numpy_generator(sample_seed(seed, "turn")).integers(4)) if turned else 0
        return Pairs(*(side.rot90(turn, (2, 3)).contiguous() for side in (lq, hq)))

    @torch.no_grad()
    def _degrade(
        self, hq: Tensor, scale: int, seeds: list[int], by_omega: Mapping[int, Degrader]
    ) -> Tensor:
        chances = [numpy_generator(sample_seed(seed, "pool")).random() for seed in seeds]
        by_pool = [chance < self.recipe.pool_share for chance in chances]
        height, width = hq.shape[2] // scale, hq.shape[3] // scale
        lq = hq.new_zeros(hq.shape[0], 3, height, width)
        for learned in (True, False):
            rows = [row for row, by in enumerate(by_pool) if (by and bool(by_omega)) == learned]
            if rows:
                degrader = (by_omega if learned else self.degraders)[scale]
                records = [degrader.draw(seeds[row]) for row in rows]
                lq[rows] = degrader.apply(hq[rows], records)
        return lq

    def _noised(self, lq: Tensor, step: int) -> Tensor:
        """Return LQs of which some have noise, so that SynNet can hide nothing in them."""
        seeds = [
            sample_seed(self.recipe.seed, f"lq noise/{step}", i) for i in range(self.recipe.batch)
        ][self.rows]
        sigmas = []
        for seed in seeds:
            rng = numpy_generator(seed)
            there = rng.random() < self.recipe.lq_noise
            sigmas.append(rng.random() * self.recipe.lq_noise_sigma if there else 0.0)
        field = normal_field(seeds, (3, lq.shape[2], lq.shape[3]), lq.device)
        strength = torch.tensor(sigmas, device=lq.device).view(-1, 1, 1, 1)
        return (lq + strength * field).clamp(0, 1)

    def state_dict(self) -> dict[str, Any]:
        """Return the queues' states by scale."""
        return {str(scale): queue.state_dict() for scale, queue in self.queues.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what ``state_dict`` returned."""
        for scale, queue in self.queues.items():
            queue.load_state_dict(state[str(scale)])


def _dml(recipe: RestorerRecipe, device: torch.device) -> dict[int, Degrader]:
    """Return the recipe's learned degradation model, for its scale."""
    assert recipe.dml is not None
    net = load_degradation(recipe.dml, device)
    return {scale: DmlDegrader(net, recipe.dml_noise, scale) for scale in recipe.scales}


def _learned(
    recipe: RestorerRecipe, device: torch.device, say: Callable[[str], None]
) -> dict[int, Degrader]:
    """Return SynNet driven by the recipe's pool, for each scale; nothing without a pool.

    Each scale has the Ωs that were taken at it. Where there are none it has all, which is told.
    """
    if recipe.pool is None:
        return {}
    pool = load_pool(recipe.pool)
    weights = find_model(recipe.redegnet or DEFAULT_REDEGNET)
    pool.check_model(model_fingerprint(weights), recipe.pool, weights.stem)
    net = load_network(weights, "redegnet", device)
    degraders: dict[int, Degrader] = {}
    for scale in dict.fromkeys(recipe.scales):
        if note := pool.scale_note(recipe.pool, scale):
            say(note)
        own = pool.of_scale(scale) or pool
        degraders[scale] = OmegaDegrader(net, own, scale, precision=recipe.precision)
    return degraders
