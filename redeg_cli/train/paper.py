"""Train DegNet and SynNet by the paper's losses (ReDegNet, section 3.4, eqs. 1 to 14).

Three kinds of pairs go through both in one call: real faces (R), and faces (F) and natural images
(N) that one record degraded. R gives L_mse and L_real, F and N attract, R and F repel each other
(L_disen), and the LQs of F and N are made with each other's Ω (L_cons). A discriminator,
conditioned on HQ and Ω, sees the real pairs only.

Without real pairs every R is a synthetic face whose LQ a second record made: the terms are the
same, but what they teach of real photos is only what that record holds.

Two ablations (section 4.5) are switches of the recipe. Without ``disentangle`` there is no L_disen.
Without ``paired`` DegNet is given the LQ in the place of the HQ too, and SynNet puts Ω of R on
another image; L_mse and the style, which need the pair, go, and the discriminator judges whether
two LQs share their degradation. Who extracts Ω with such a network gives it the LQ twice as well.
"""

from collections.abc import Callable

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from redeg_cli.nets.discriminators import OmegaDiscriminator, PairDiscriminator
from redeg_cli.nets.synnet import ReDegNet
from redeg_cli.progress import OnProgress
from redeg_cli.seeds import numpy_generator, sample_seed
from redeg_cli.train.adversarial import frozen
from redeg_cli.train.data import equal_share, load_store
from redeg_cli.train.features import FeatureExtractor, layer_weights, make_features
from redeg_cli.train.judge import judge_transfer
from redeg_cli.train.loop import Averages, Course, Player
from redeg_cli.train.losses import (
    Extractor,
    Features,
    Terms,
    hinge_d,
    hinge_g,
    l_cons,
    l_disen,
    l_mse,
    l_real,
    mean_psnr,
    style_loss,
    weigh,
)
from redeg_cli.train.networks import start_network
from redeg_cli.train.recipes import PaperRecipe
from redeg_cli.train.redegnet import REDEGNET
from redeg_cli.train.triples import Stores, Triples, load_stores, make_triples
from redeg_cli.train.workers import BatchMaker, worker_count

JUDGE = "discriminator"
"""The player beside ``REDEGNET``."""

VALIDATED = 16
"""Rows of each kind of pair in validation."""


class PaperModel(nn.Module):
    """DegNet and SynNet on three kinds of pairs, as one call (so that it distributes)."""

    def __init__(self, net: ReDegNet, paired: bool = True) -> None:
        super().__init__()
        self.net = net
        self.paired = paired

    def forward(self, hq: Tensor, lq: Tensor, swapped: bool = True) -> tuple[Tensor, Tensor]:
        """Return Ω (3B, 512) and Î (3B, 3, H, W) of ``Triples``, eqs. 2 and 4 to 6.

        With ``swapped`` F is made with Ω of N and the reverse, as in eq. 13.
        """
        omega = self.net.extract(hq if self.paired else lq, lq)
        r, f, n = omega.chunk(3)
        return omega, self.net.synthesise(hq, torch.cat([r, n, f] if swapped else [r, f, n]))


class PaperLosses:
    """The terms of DegNet and SynNet, and those of the discriminator, which sees what they made."""

    def __init__(self, recipe: PaperRecipe, phi: FeatureExtractor, network: PaperModel) -> None:
        self.recipe = recipe
        self.phi = phi
        self.network = network
        self.layers = layer_weights(phi, recipe.feature_layers)
        self.discriminator = _discriminator(recipe)
        self._seen: tuple[Triples, Tensor, Tensor] | None = None

    def synthesis(self, model: nn.Module, batch: Triples, swapped: bool = True) -> Terms:
        """Return the weighted terms of DegNet and SynNet (eq. 14); ``model`` is a PaperModel."""
        omega, made = model(batch.hq, batch.lq, swapped)
        self._seen = (batch, omega.detach(), made.detach())
        omega_r, omega_f, omega_n = omega.chunk(3)
        made_r, made_f, made_n = made.chunk(3)
        lq_r, lq_f, lq_n = batch.lq.chunk(3)
        distance = self.recipe.distance
        phi = _remembering(self.phi)
        terms = l_cons(made_n, lq_n, made_f, lq_f, phi, self.layers, distance=distance)
        if self.recipe.disentangle:
            theta_deg = self.network.net.degnet.parameters()
            terms |= l_disen(omega_f, omega_n, omega_r, theta_deg, distance=distance)
        adversarial = self._fool(batch, made_r, omega_r)
        if self.recipe.paired:
            terms |= l_mse(made_r, lq_r, phi, self.layers, distance=distance)
            style = style_loss(phi(made_r), phi(lq_r), self.layers, distance)
            terms |= l_real(style, adversarial)
        else:
            terms["real/adversarial"] = adversarial
        return weigh(terms, self.recipe.weights)

    @property
    def omega_r(self) -> Tensor:
        """Ω (B, 512) of the last step's real pairs, without a gradient."""
        assert self._seen is not None
        return self._seen[1].chunk(3)[0]

    def _fool(self, batch: Triples, made_r: Tensor, omega_r: Tensor) -> Tensor:
        """Return L_G (eq. 11); 0 without a discriminator."""
        if self.discriminator is None:
            return made_r.new_zeros(())
        lq_r, hq_r = batch.lq.chunk(3)[0], batch.hq.chunk(3)[0]
        with frozen(self.discriminator):
            if self.recipe.paired:
                return hinge_g(None, self.discriminator(made_r, hq_r, omega_r))
            return hinge_g(None, self.discriminator(_left(made_r), _right(lq_r)))

    def judge(self, net: nn.Module, step: int) -> Terms:
        """Return L_D (eq. 10) of what was made in the same step; Î and Ω are given as they are.

        Unpaired: halves of one LQ, and of face and natural LQs of one record, share their
        degradation; half of what was made and half of the LQ whose Ω it has do not.
        """
        del step
        assert self._seen is not None
        batch, omega, made = self._seen
        made_r, (lq_r, lq_f, lq_n) = made.chunk(3)[0], batch.lq.chunk(3)
        # One pass over real and fake: a distributed network takes one per step.
        if self.recipe.paired:
            hq_r, omega_r = batch.hq.chunk(3)[0], omega.chunk(3)[0]
            logits = net(
                torch.cat([lq_r, made_r]), torch.cat([hq_r, hq_r]), torch.cat([omega_r, omega_r])
            )
        else:
            logits = net(
                torch.cat([_left(lq_r), _left(lq_f), _left(made_r)]),
                torch.cat([_right(lq_r), _right(lq_n), _right(lq_r)]),
            )
        fake = made_r.shape[0]
        return {"discriminator": hinge_d(logits[:-fake].float(), logits[-fake:].float())}


def paper_course(
    recipe: PaperRecipe,
    accelerator: Accelerator,
    progress: OnProgress | None = None,
    say: Callable[[str], None] = lambda _: None,
    told: Callable[[Tensor], None] = lambda _: None,
) -> Course:
    """Return what a run of ``recipe`` trains.

    ``say`` is told which features the losses look at, and when there are no real pairs; ``told``
    the Ωs (B, 512) of each step's real pairs.
    """
    device = accelerator.device
    equal_share(recipe.batch, accelerator.num_processes, "batch")
    workers = worker_count(recipe.workers, device)
    # Workers crop and degrade on the CPU; the run itself looks at held-out images alone.
    stores = load_stores(recipe, torch.device("cpu") if workers else device, progress)
    if stores.pairs is None or not recipe.real_share:
        say(
            "no real pairs: the terms of real faces (mse, real, disen/repulsion) are those of "
            "synthetic ones, made by a record of their own"
        )
    held_out = None
    if recipe.validation:
        images = load_store(recipe.validation, device, recipe.crop, progress, recipe.cache)
        held_out = Stores(images, images, None)
    torch.manual_seed(recipe.seed)
    net = start_network(recipe)
    assert isinstance(net, ReDegNet)
    network = PaperModel(net, recipe.paired)
    phi = make_features(recipe.features, recipe.vgg19, device)
    say(phi.note)
    losses = PaperLosses(recipe, phi, network)
    degraders = recipe.degraders()
    rows = range(recipe.batch)[accelerator.process_index :: accelerator.num_processes]

    def triples(step: int) -> Triples:
        degrader = degraders[recipe.scales[step % len(recipe.scales)]]
        return make_triples(stores, recipe, degrader, f"train/{step}", rows)

    batches = BatchMaker(triples, device, workers)

    def loss_terms(model: nn.Module, step: int) -> Terms:
        batch = batches(step)
        chance = numpy_generator(sample_seed(recipe.seed, "swap", step)).random()
        terms = losses.synthesis(model, batch, chance < recipe.swap)
        told(losses.omega_r)
        return terms

    def look(model: nn.Module, scale: int) -> tuple[Triples, Tensor, Tensor]:
        """Return held-out triples, their Ωs and what they make swapped."""
        assert held_out is not None
        every = range(VALIDATED)
        batch = make_triples(held_out, recipe, degraders[scale], f"validation/{scale}", every)
        model.eval()  # looking does not refine the spectral norms
        with accelerator.autocast():
            parts = [model(*part) for part in _parts(batch, recipe.batch)]
        omega, made = (_rejoin([part[i] for part in parts]) for i in (0, 1))
        return batch, omega, made

    @torch.no_grad()
    def validate(averages: Averages) -> dict[str, float]:
        model = averages[REDEGNET]
        figures: dict[str, float] = {}
        for scale in dict.fromkeys(recipe.scales) if held_out else ():
            batch, omega, made = look(model, scale)
            synthetic = slice(VALIDATED, None)
            own, truth = slice(VALIDATED), batch.lq[synthetic]
            if recipe.paired:
                figures[f"psnr_own_x{scale}"] = mean_psnr(made[own], batch.lq[own])
            figures[f"psnr_swapped_x{scale}"] = mean_psnr(made[synthetic], truth)
            figures[f"psnr_hq_x{scale}"] = mean_psnr(batch.hq[synthetic], truth, 1e-6)
            _, omega_f, omega_n = omega.chunk(3)
            apart = (omega_f[:, None] - omega_n[None]).norm(dim=2)
            nearest = apart.argmin(1) == torch.arange(VALIDATED, device=apart.device)
            figures[f"omega_found_x{scale}"] = float(nearest.float().mean())
        if held_out and recipe.transfer and recipe.paired:
            inner = model.net
            assert isinstance(inner, nn.Module)
            side, scale = recipe.crop, recipe.scales[0]
            figures |= judge_transfer(inner, held_out.natural, side, scale, recipe.transfer)
        return figures

    @torch.no_grad()
    def samples(averages: Averages) -> dict[str, Tensor]:
        """Return rows of HQ, made with the partner's Ω, and LQ, of natural images."""
        batch, _, made = look(averages[REDEGNET], recipe.scales[0])
        shown = slice(2 * VALIDATED, 2 * VALIDATED + 8)
        rows_of = zip(batch.hq[shown], made[shown].clamp(0, 1), batch.lq[shown], strict=True)
        return {"synthesis": torch.cat([torch.cat(row, 2) for row in rows_of], 1)}

    # The first, odd ones of SynNet's noises have a weight that nothing is multiplied with.
    players = [Player(REDEGNET, network, loss_terms, recipe, "net", some_unused=True)]
    if losses.discriminator is not None:
        players.append(Player(JUDGE, losses.discriminator, losses.judge, recipe))
    return Course(players, validate, samples if held_out else None, close=batches.close)


def _discriminator(recipe: PaperRecipe) -> nn.Module | None:
    if not recipe.weights["real/adversarial"]:
        return None
    kind = OmegaDiscriminator if recipe.paired else PairDiscriminator
    return kind(recipe.discriminator_widths) if recipe.discriminator_widths else kind()


def _remembering(phi: Extractor) -> Extractor:
    """Return ``phi`` that looks at each tensor once: several terms ask for the same."""
    seen: dict[Tensor, Features] = {}

    def look(images: Tensor) -> Features:
        if images not in seen:
            seen[images] = phi(images)
        return seen[images]

    return look


def _parts(batch: Triples, count: int) -> list[Triples]:
    """Return triples of at most ``count`` rows of each kind."""
    kinds = [[image.split(count) for image in side.chunk(3)] for side in batch]
    return [
        Triples(*(torch.cat([kind[i] for kind in side]) for side in kinds))
        for i in range(len(kinds[0][0]))
    ]


def _rejoin(parts: list[Tensor]) -> Tensor:
    """Undo ``_parts`` for what came out."""
    kinds = zip(*(part.chunk(3) for part in parts), strict=True)
    return torch.cat([torch.cat(kind) for kind in kinds])


def _left(images: Tensor) -> Tensor:
    return images[..., : images.shape[3] // 2]


def _right(images: Tensor) -> Tensor:
    return images[..., images.shape[3] // 2 :]
