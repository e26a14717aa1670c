"""Train a restorer (whole photos or aligned faces) on pairs that degraders make."""

from collections.abc import Callable, Mapping
from functools import partial

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from redeg_cli.degrade.base import Degrader
from redeg_cli.nets.discriminators import PatchDiscriminator, UNetDiscriminator
from redeg_cli.progress import OnProgress, no_progress
from redeg_cli.train.adversarial import ADVERSARIAL, frozen, shifted
from redeg_cli.train.data import load_store
from redeg_cli.train.features import FeatureExtractor, layer_weights, make_features
from redeg_cli.train.given import load_given
from redeg_cli.train.loop import Averages, Course, Player
from redeg_cli.train.losses import Terms, mean_psnr, pixel_l1, weigh
from redeg_cli.train.lpips import FilterLpips, Lpips, make_lpips
from redeg_cli.train.networks import start_network
from redeg_cli.train.pairs import PairMaker, Pairs
from redeg_cli.train.recipes import RestorerRecipe
from redeg_cli.train.restorer_losses import gradient_l1, lattice, psnr_loss, restorer_terms
from redeg_cli.train.workers import BatchMaker, worker_count

RESTORER, JUDGE = "restorer", "restorer's discriminator"
"""The players of a run."""

Run = Callable[[nn.Module, Tensor, int], Tensor]


class RestorerLosses:
    """The terms of the restorer and of its discriminator, which sees what the restorer made."""

    def __init__(
        self,
        recipe: RestorerRecipe,
        phi: FeatureExtractor | None,
        run: Run,
        lpips: Lpips | FilterLpips | None = None,
    ) -> None:
        self.recipe = recipe
        self.phi = phi
        self.lpips = lpips
        self.run = run
        self.adversarial = ADVERSARIAL[recipe.adversarial]
        self.discriminator = _discriminator(recipe)
        self._fake: Tensor | None = None
        self._real: Tensor | None = None
        self.weights = {
            "pixel": recipe.pixel_weight,
            "psnr": recipe.psnr_weight,
            "gradient": recipe.gradient_weight,
            "perceptual": recipe.perceptual_weight,
            "style": recipe.style_weight,
            "energy": recipe.energy_weight,
            "lattice": recipe.lattice_weight,
            "lpips": recipe.lpips_weight,
            "adversarial": recipe.adversarial_weight,
        }

    def restorer(
        self, net: nn.Module, lq: Tensor, hq: Tensor, target: Tensor, scale: int, step: int
    ) -> Terms:
        """Return the weighted terms of LQ (B, 3, h, w) and HQ (B, 3, h * scale, w * scale).

        ``step`` tells at which offset the discriminator sees them (``shifted``).
        """
        made = self.run(net, lq, scale).float()
        terms: Terms = {"pixel": pixel_l1(made, target)}
        if self.phi is not None:
            layers = layer_weights(self.phi, "real-esrgan")
            style, energy = self.recipe.style_weight > 0, self.recipe.energy_weight > 0
            terms = restorer_terms(made, target, self.phi, layers, style=style, energy=energy)
        if self.lpips is not None:
            terms["lpips"] = self.lpips(made, target).mean()
        if self.recipe.psnr_weight:
            terms["psnr"] = psnr_loss(made, target)
        if self.recipe.gradient_weight:
            terms["gradient"] = gradient_l1(made, target)
        if self.recipe.lattice_weight:
            terms["lattice"] = lattice(made, target, scale)
        if self.discriminator is not None:
            fake, real = shifted(made, step), shifted(hq, step)
            with frozen(self.discriminator):
                logits = self.discriminator(real) if self.adversarial.relativistic else None
                terms["adversarial"] = self.adversarial.generator(logits, self.discriminator(fake))
            self._fake, self._real = fake.detach(), real
        return weigh(terms, self.weights)

    def judge(self, net: nn.Module, step: int) -> Terms:
        """Return the discriminator's term for what the restorer made in the same step."""
        del step
        assert self._fake is not None
        assert self._real is not None
        # One pass over both: a distributed network takes one per step.
        real, fake = net(torch.cat([self._real, self._fake])).float().chunk(2)
        return {"discriminator": self.adversarial.discriminator(real, fake)}


def restorer_course(
    recipe: RestorerRecipe,
    accelerator: Accelerator,
    progress: OnProgress | None = None,
    say: Callable[[str], None] = lambda _: None,
    live: Mapping[int, Degrader] | None = None,
) -> Course:
    """Return what a run of ``recipe`` trains.

    ``say`` is told which features the losses look at. ``live`` makes ``pool_share`` of the LQs, by
    scale, while it is itself being trained; validation does without it.
    """
    device = accelerator.device
    minimum = recipe.crop * max(recipe.scales)
    workers = 0 if live or recipe.by_network else worker_count(recipe.workers, device)
    load = partial(load_store, progress=progress, cache=recipe.cache)
    store = load(recipe.data, device, minimum, for_workers=workers > 0)
    held_out = None
    if recipe.validation:
        held_out = load(recipe.validation, device, minimum)
    process, processes = accelerator.process_index, accelerator.num_processes
    given = load_given(recipe, progress or no_progress, say)
    maker = PairMaker(recipe, device, process, processes, live, given, say)
    torch.manual_seed(recipe.seed)
    network = start_network(recipe)
    phi = None
    if recipe.perceptual_weight or recipe.style_weight or recipe.energy_weight:
        phi = make_features(recipe.features, recipe.vgg19, device)
        say(phi.note)
    lpips = None
    if recipe.lpips_weight:
        lpips = make_lpips(recipe.lpips, recipe.alexnet, device)
        say(lpips.note)
    run = _runner(recipe)
    losses = RestorerLosses(recipe, phi, run, lpips)

    cropped = store.on(torch.device("cpu")) if workers else store

    def fresh_batch(step: int) -> Pairs:
        return maker.fresh_batch(cropped, recipe.scales[step % len(recipe.scales)], step)

    batches = BatchMaker(fresh_batch, device, workers)

    def loss_terms(net: nn.Module, step: int) -> Terms:
        scale = recipe.scales[step % len(recipe.scales)]
        lq, hq = maker.mixed_batch(batches(step), scale, step)
        return losses.restorer(net, lq, hq, maker.target(hq), scale, step)

    @torch.no_grad()
    def validate(averages: Averages) -> dict[str, float]:
        net = averages[RESTORER]
        figures: dict[str, float] = {}
        for scale in dict.fromkeys(recipe.scales) if held_out else ():
            assert held_out is not None
            lq, hq = maker.batch(held_out, scale, f"validation/{scale}", 64, whole=True)
            with accelerator.autocast():
                restored = torch.cat([run(net, part, scale).float() for part in lq.split(16)])
            base = torch.nn.functional.interpolate(lq, size=hq.shape[2:], mode="bicubic")
            figures[f"psnr_x{scale}"] = mean_psnr(restored, hq)
            figures[f"psnr_bicubic_x{scale}"] = mean_psnr(base, hq)
        return figures

    @torch.no_grad()
    def samples(averages: Averages) -> dict[str, Tensor]:
        """Return rows of LQ, restored and HQ, at the largest scale."""
        net, scale = averages[RESTORER], max(recipe.scales)
        if held_out is None and not len(store):
            lq, hq = maker.fresh_batch(store, scale, 0)
        else:
            lq, hq = maker.batch(held_out or store, scale, "samples", 8, whole=True)
        with accelerator.autocast():
            restored = run(net, lq, scale).float()
        enlarged = torch.nn.functional.interpolate(lq, size=hq.shape[2:], mode="nearest")
        rows = [torch.cat(list(row), 2) for row in (enlarged, restored, hq)]
        return {"samples": torch.cat(rows, 1)}

    # A step at one scale leaves the last layers of the others out.
    some_unused = recipe.architecture in ("f2n-compact", "spandrel")
    kept = "network" if recipe.architecture == "spandrel" else ""
    players = [Player(RESTORER, network, loss_terms, recipe, kept, some_unused)]
    if losses.discriminator is not None:
        players.append(Player(JUDGE, losses.discriminator, losses.judge, _judge_recipe(recipe)))
    return Course(players, validate, samples, maker, close=batches.close)


def _discriminator(recipe: RestorerRecipe) -> nn.Module | None:
    if not recipe.adversarial_weight:
        return None
    if recipe.discriminator == "patch":
        spectral = recipe.discriminator_norm == "spectral"
        return PatchDiscriminator(recipe.discriminator_width, spectral=spectral)
    return UNetDiscriminator(recipe.discriminator_width)


def _judge_recipe(recipe: RestorerRecipe) -> RestorerRecipe:
    if recipe.discriminator_rate is None:
        return recipe
    own = {"optimizer": "adam", "learning_rate": recipe.discriminator_rate}
    return recipe.model_copy(update=own)


def _runner(recipe: RestorerRecipe) -> Run:
    if recipe.architecture in ("f2n-compact", "vdsr"):
        return lambda net, lq, scale: net(lq, scale)
    return lambda net, lq, _: net(lq)
