"""What Ω is worth, in every respect: transfer to other content, realism, content leak, screens.

Ω is read off the pair of a degraded face and put on a natural image, whose true LQ under the same
record is known (see ``omega.transfer``). Figures with an interval are means over images with a
bootstrap interval; the same settings and folders give the same figures, bit for bit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from threading import Lock

import numpy as np
import torch
from torch import Tensor, nn

from redeg_cli.degrade.chain import load_degrader
from redeg_cli.degrade.resize import to_aligned
from redeg_cli.evaluate.bootstrap import Interval, bootstrap_mean
from redeg_cli.evaluate.family import BATCH, FamilyFigures, FamilySample, measure_family
from redeg_cli.evaluate.omegas import probe_content, rank_correlation
from redeg_cli.evaluate.parallel import measure_each
from redeg_cli.evaluate.realism import STEPS, Judgement, judge_realism
from redeg_cli.evaluate.robustness import Robustness, try_robustness
from redeg_cli.evaluate.screen_transfer import ScreenFigures, measure_screens
from redeg_cli.evaluate.sharp_images import SharpImages
from redeg_cli.faces.pseudo import PseudoHQ
from redeg_cli.omega.families import FAMILIES, GROUPS
from redeg_cli.omega.transfer import retrieval
from redeg_cli.progress import OnProgress, Parts, no_progress
from redeg_cli.seeds import sample_seed

RIVALS = ("bsrgan", "real-esrgan")
"""Handcrafted degraders that the paper compares itself with (its figure 5b)."""
SCREENS = 4
"""Pictures of 1024x1024 that are printed."""
LEAST = 12
"""Pairs per family: fewer say nothing."""


@dataclass(frozen=True)
class TransferSettings:
    """What decides the figures, beside the network and the images."""

    scale: int = 1
    count: int = 60
    """Pairs per family, at least ``LEAST``; rounded up to whole batches of 4."""
    crop: int = 192
    """Side of the images in pixels of the HQ grid."""
    seed: int = 7
    families: tuple[str, ...] = FAMILIES
    full_grid: bool = False
    """The LQs were never on the native grid (``halftone`` always is)."""


@dataclass(frozen=True)
class OmegaFigures:
    """What Ω knows."""

    retrieval: Interval | None
    """How often the 5 nearest face Ωs tell the group of a natural image's Ω (chance 1/4); None
    unless all four groups were measured."""
    retrieval_by_group: Mapping[str, float]
    rank_correlation: float | None
    """Spearman's ρ of distances in Ω and of recorded parameters, of ``mixed``."""
    content_probe: Interval
    """Accuracy of a linear probe from Ω to "face or natural" (chance 1/2)."""


@dataclass(frozen=True)
class RealismFigures:
    """How often a small discriminator tells LQs from the true ones of held-out pairs (chance 1/2).

    Low is good.
    """

    synthetic: Interval
    by_family: Mapping[str, float]
    """The same discriminator's answers about each family."""
    rivals: Mapping[str, Interval]
    """Of discriminators of their own: LQs of handcrafted degraders in place of the synthetic."""
    control: Interval
    """Of true LQs with other grain in place of the synthetic: what cannot be told apart."""


@dataclass(frozen=True)
class TransferReport:
    """All figures of one network."""

    settings: TransferSettings
    families: tuple[FamilyFigures, ...]
    omega: OmegaFigures
    realism: RealismFigures
    screens: ScreenFigures | None
    """None unless ``halftone`` was measured."""
    robustness: Robustness


@dataclass(frozen=True)
class Example:
    """The first pair of a family, to look at: uint8 (3, H, W)."""

    family: str
    hq: Tensor
    true: Tensor
    made: Tensor
    wrong: Tensor


def evaluate_transfer(
    net: nn.Module,
    faces: SharpImages,
    naturals: SharpImages,
    settings: TransferSettings,
    device: torch.device,
    on_progress: OnProgress = no_progress,
    pseudo: PseudoHQ | None = None,
) -> tuple[TransferReport, list[Example]]:
    """Measure a ReDegNet (in eval mode, on ``device``); also return an example of each family.

    ``pseudo`` makes pseudo-HQs of the degraded faces, whose Ωs are measured too. Raises
    ValueError for too few pairs or a crop that the scale does not divide.
    """
    _check(settings)
    scale, seed = settings.scale, settings.seed
    count = -(-settings.count // BATCH) * BATCH
    crops = [partial(each.crops, side=settings.crop, device=device) for each in (faces, naturals)]
    pairs = len(settings.families) * count
    whole = Parts(on_progress, _seconds(settings, pairs, pseudo is not None))
    whole.enter("pairs")
    step = _count_steps(whole.within, pairs)

    def measure(family: str) -> FamilySample:
        return measure_family(
            *(net, crops[0], crops[1], family, scale, count),
            seed=seed,
            full_grid=settings.full_grid,
            pseudo=pseudo,
            on_progress=step,
        )

    samples = measure_each(measure, settings.families, device)
    screens = None
    if "halftone" in settings.families:
        whole.enter("halftone screens")
        screens = measure_screens(
            *(net, crops[0], naturals.large, scale, SCREENS),
            device=device,
            seed=seed,
            on_progress=whole.within,
        )
    whole.enter("realism")
    realism = _realism(samples, scale, seed, device, whole.within)
    whole.enter("robustness")
    omegas = torch.cat([sample.face_omega for sample in samples])
    some = torch.linspace(0, len(omegas) - 1, 4).round().long()
    robustness = try_robustness(net, omegas[some], scale, device, seed, whole.within)
    whole.finish()
    figures = tuple(sample.figures for sample in samples)
    report = TransferReport(settings, figures, _omega(samples), realism, screens, robustness)
    return report, [_example(sample) for sample in samples]


def _seconds(settings: TransferSettings, pairs: int, pseudo: bool) -> dict[str, float]:
    """Return about how long each part takes on a CPU core, for crops of 192 px at scale 1."""
    screens = {"halftone screens": 6.5 * SCREENS} if "halftone" in settings.families else {}
    return {
        "pairs": (0.9 if pseudo else 0.6) * pairs,
        **screens,
        "realism": 120.0,
        "robustness": 12.0,
    }


def _check(settings: TransferSettings) -> None:
    unknown = set(settings.families) - set(FAMILIES)
    if unknown or not settings.families:
        raise ValueError(f"wanted families of {FAMILIES}, got {settings.families}")
    if settings.count < LEAST:
        raise ValueError(f"wanted at least {LEAST} pairs per family, got {settings.count}")
    if settings.crop % settings.scale:
        raise ValueError(f"a crop of {settings.crop} px cannot be divided by {settings.scale}")


def _omega(samples: Sequence[FamilySample]) -> OmegaFigures:
    by_name = {sample.figures.family: sample for sample in samples}
    told: Interval | None = None
    by_group: dict[str, float] = {}
    if set(GROUPS) <= set(by_name):
        groups = [(by_name[group].face_omega, by_name[group].natural_omega) for group in GROUPS]
        right = retrieval(groups).float()
        told = bootstrap_mean(right.numpy())
        shares = right.view(len(GROUPS), -1).mean(1).tolist()
        by_group = dict(zip(GROUPS, shares, strict=True))
    ranked = None
    if mixed := by_name.get("mixed"):
        ranked = rank_correlation(mixed.face_omega, mixed.natural_omega, mixed.records)
    probed = probe_content(
        torch.cat([sample.face_omega for sample in samples]),
        torch.cat([sample.natural_omega for sample in samples]),
    )
    return OmegaFigures(told, by_group, ranked, _mean_of_pairs(probed))


def _mean_of_pairs(right: np.ndarray) -> Interval:
    """Return how often answers (2 N,) are right, the first of each pair before the second of each.

    The two of a pair are not independent: what is drawn anew for the interval are pairs.
    """
    return bootstrap_mean(right.reshape(2, -1).mean(0))


def _realism(
    samples: Sequence[FamilySample],
    scale: int,
    seed: int,
    device: torch.device,
    on_progress: OnProgress,
) -> RealismFigures:
    """Judge the LQs of all families together, and in their place those of the rivals."""
    hq, true, made, again = (
        torch.cat([getattr(sample, name) for sample in samples])
        for name in ("hq", "true", "made", "again")
    )
    candidates = {"synthetic": made, "control": again}
    candidates |= {rival: _drawn(hq, rival, scale, seed, device) for rival in RIVALS}

    step = _count_steps(on_progress, len(candidates) * STEPS)

    def judge(name: str) -> Judgement:
        images = (x.to(device) for x in (hq, true, candidates[name]))

        def within(done: int, total: int, text: str = "") -> None:
            del text
            step(done, total, f"realism, {name}")

        return judge_realism(*images, seed=sample_seed(seed, "realism"), on_progress=within)

    judgements = dict(zip(candidates, measure_each(judge, tuple(candidates), device), strict=True))
    figures = {name: _mean_of_pairs(said.right.numpy()) for name, said in judgements.items()}
    said = judgements["synthetic"]
    family = said.pairs // (len(hq) // len(samples))
    by_family = {
        sample.figures.family: float(said.right[family == place].mean())
        for place, sample in enumerate(samples)
        if bool((family == place).any())
    }
    rivals = {rival: figures[rival] for rival in RIVALS}
    return RealismFigures(figures["synthetic"], by_family, rivals, figures["control"])


@torch.no_grad()
def _drawn(hq: Tensor, preset: str, scale: int, seed: int, device: torch.device) -> Tensor:
    """Return aligned LQs of a handcrafted degrader, uint8 as ``hq`` (N, 3, H, W)."""
    degrader = load_degrader(preset, scale)
    parts = []
    for start in range(0, len(hq), BATCH):
        images = hq[start : start + BATCH].to(device).float() / 255
        records = [
            degrader.draw(sample_seed(seed, preset, start + row)) for row in range(len(images))
        ]
        native = (degrader.apply(images, records) * 255).round() / 255
        parts.append((to_aligned(native, scale) * 255).round().to(torch.uint8).cpu())
    return torch.cat(parts)


def _example(sample: FamilySample) -> Example:
    images = (sample.hq[0], sample.true[0], sample.made[0], sample.wrong[0])
    return Example(sample.figures.family, *images)


def _count_steps(on_progress: OnProgress, every: int) -> OnProgress:
    """Return a callback of each family that counts the pairs of all of them."""
    counts: dict[str, int] = {}
    lock = Lock()

    def step(done: int, total: int, text: str = "") -> None:
        del total
        with lock:
            counts[text] = done
            on_progress(sum(counts.values()), every, text)

    return step
