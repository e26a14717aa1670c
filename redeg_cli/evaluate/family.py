"""Transfer within one family of degradations: how near the synthetic LQs come to the true ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from redeg_cli.degrade.chain import load_degrader
from redeg_cli.degrade.resize import to_native
from redeg_cli.device import in_float64
from redeg_cli.evaluate.bootstrap import Interval, bootstrap_mean, paired_difference
from redeg_cli.evaluate.spectrum import (
    channel_correlation,
    high_ratio,
    log_spectral_distance,
    radial_power,
    spectrum_difference,
)
from redeg_cli.faces.pseudo import PseudoHQ
from redeg_cli.omega.families import families
from redeg_cli.omega.transfer import (
    Crops,
    degrade_aligned,
    detail,
    pair_batches,
    psnr,
    synthesise,
)
from redeg_cli.progress import OnProgress, no_progress

BATCH = 4
NOISY = ("noise", "mixed")
"""Families with grain that is measured by itself."""
_LEAST_GRAIN = 0.5 / 255
"""Standard deviation below which an LQ has no grain."""


@dataclass(frozen=True)
class GrainFigures:
    """The grain alone: the difference of two LQs of one record, or one Ω, but for the seed.

    So no content is in it, nor what SynNet gets wrong about the picture.
    """

    energy_db: Interval
    """10 log10 of the ratio of variances, synthetic to true."""
    spectrum_db: tuple[float, ...]
    """Per ring of ``spectrum.radial_power``, how much more there is in the synthetic grain."""
    correlation_true: tuple[float, ...]
    """Mean correlation of R and G, R and B, G and B."""
    correlation_made: tuple[float, ...]
    """NaN when SynNet makes no grain."""
    correlation_error: Interval
    """Mean absolute difference of the three, image by image."""


@dataclass(frozen=True)
class FamilyFigures:
    """What was measured of a family; intervals are those of means over images.

    PSNR is measured on the HQ's grid. Detail, energies, spectra and grain are on the LQ's own: the
    native grid, unless it was never there. Above it there is nothing true to compare with.
    """

    family: str
    psnr_hq: Interval
    """dB (at most 60) against the true LQ: of the HQ, as if nothing had been done."""
    psnr_right: Interval
    """Of the LQ made with the Ω of a face that was degraded alike."""
    psnr_wrong: Interval
    """Of the LQ made with another face's Ω, of the same family."""
    gain: Interval
    """``psnr_right`` - ``psnr_hq``."""
    psnr_pseudo: Interval | None
    """As ``psnr_right``, but the Ω was read off the LQ and its pseudo-HQ, as of a real photo; None
    without a face restorer."""
    detail_ratio: float
    """Median ratio of the standard deviation of the Laplacian, synthetic to true."""
    detail_ratio_pseudo: float | None
    """The same by the Ω of ``psnr_pseudo``."""
    energy_db: Interval
    """10 log10 of the ratio of energies above half of Nyquist's frequency, synthetic to true."""
    energy_hq_db: Interval
    """The same of the HQ."""
    spectrum_db: tuple[float, ...]
    """Per ring, by how many dB the synthetic LQ has more than the true one: mean over images."""
    spectral_distance: Interval
    """Root mean square of that over the rings, image by image, in dB."""
    grain: GrainFigures | None
    """Of families with noise."""


@dataclass(frozen=True)
class FamilySample:
    """The pairs themselves, row by row, on the CPU."""

    figures: FamilyFigures
    records: list[dict[str, Any]]
    face_omega: Tensor
    """(N, 512)."""
    natural_omega: Tensor
    """(N, 512)."""
    hq: Tensor
    """uint8 (N, 3, H, W), as all that follow."""
    true: Tensor
    made: Tensor
    again: Tensor
    """Other LQs of the true kind: the same records, other grain."""
    wrong: Tensor


@torch.no_grad()
def measure_family(
    net: nn.Module,
    faces: Crops,
    naturals: Crops,
    family: str,
    scale: int,
    count: int,
    *,
    seed: int,
    full_grid: bool = False,
    pseudo: PseudoHQ | None = None,
    on_progress: OnProgress = no_progress,
) -> FamilySample:
    """Degrade ``count`` faces and natural images alike and put the faces' Ωs on the latter.

    ``count`` is a multiple of ``BATCH``; ``pseudo`` makes pseudo-HQs of the degraded faces.
    """
    chain = families(full_grid, halftone=True)[family]
    degrader = load_degrader({"steps": chain}, scale)
    records: list[dict[str, Any]] = []
    values: dict[str, list[Tensor]] = {}
    grains: dict[str, list[Tensor]] = {}

    def keep(into: dict[str, list[Tensor]], **found: Tensor) -> None:
        for name, tensor in found.items():
            into.setdefault(name, []).append(tensor.cpu())

    def own(lq: Tensor) -> Tensor:
        return lq if full_grid else to_native(lq, scale)

    for each in pair_batches(
        *(net, faces, naturals, degrader, family, count), batch=BATCH, seed=seed, pseudo=pseudo
    ):
        hq, true, omega = each.hq, each.lq, each.face_omega
        made = synthesise(net, hq, omega, scale, each.seeds)
        wrong = synthesise(net, hq, omega.roll(1, 0), scale, each.seeds)
        again = degrade_aligned(hq, each.records, scale, which=2)
        if family in NOISY:
            other = synthesise(net, hq, omega, scale, [seed + 1 for seed in each.seeds])
            keep(
                grains, **_grain_rows(*(own(x) - own(y) for x, y in ((other, made), (again, true))))
            )
        true_here = own(true)
        keep(
            *(values,),
            psnr_hq=psnr(hq, true),
            psnr_right=psnr(made, true),
            psnr_wrong=psnr(wrong, true),
            detail=detail(own(made)) / detail(true_here).clamp(min=1e-6),
            energy=10 * high_ratio(own(made), true_here).log10(),
            energy_hq=10 * high_ratio(own(hq), true_here).log10(),
            spectrum=spectrum_difference(own(made), true_here),
            face_omega=omega.float(),
            natural_omega=each.natural_omega.float(),
        )
        if each.pseudo_omega is not None:
            by_pseudo = synthesise(net, hq, each.pseudo_omega, scale, each.seeds)
            keep(
                *(values,),
                psnr_pseudo=psnr(by_pseudo, true),
                detail_pseudo=detail(own(by_pseudo)) / detail(true_here).clamp(min=1e-6),
            )
        keep(values, **_bytes(hq=hq, true=true, made=made, again=again, wrong=wrong))
        records += each.records
        on_progress(len(records), count, family)
    columns = {name: torch.cat(parts) for name, parts in values.items()}
    right, unchanged = columns["psnr_right"].numpy(), columns["psnr_hq"].numpy()
    figures = FamilyFigures(
        family=family,
        psnr_hq=bootstrap_mean(unchanged),
        psnr_right=bootstrap_mean(right),
        psnr_wrong=bootstrap_mean(columns["psnr_wrong"].numpy()),
        gain=paired_difference(right, unchanged),
        psnr_pseudo=bootstrap_mean(columns["psnr_pseudo"].numpy()) if pseudo else None,
        detail_ratio=float(columns["detail"].median()),
        detail_ratio_pseudo=float(columns["detail_pseudo"].median()) if pseudo else None,
        energy_db=bootstrap_mean(columns["energy"].numpy()),
        energy_hq_db=bootstrap_mean(columns["energy_hq"].numpy()),
        spectrum_db=_floats(columns["spectrum"].mean(0)),
        spectral_distance=bootstrap_mean(log_spectral_distance(columns["spectrum"]).numpy()),
        grain=_grain_figures({name: torch.cat(parts) for name, parts in grains.items()}),
    )
    images = ("face_omega", "natural_omega", "hq", "true", "made", "again", "wrong")
    return FamilySample(figures, records, **{name: columns[name] for name in images})


def _grain_rows(made: Tensor, true: Tensor) -> dict[str, Tensor]:
    """Return what is measured of the differences of two LQs, (B, 3, H, W), row by row."""
    variances = [in_float64(field).var((1, 2, 3)) for field in (made, true)]
    tiny = 1e-9  # -90 dB: no grain at all
    return {
        "deviation": variances[1].div(2).sqrt(),
        "energy": 10 * ((variances[0] + tiny) / (variances[1] + tiny)).log10(),
        "spectrum": 10 * ((radial_power(made) + tiny) / (radial_power(true) + tiny)).log10(),
        "correlation_made": channel_correlation(made),
        "correlation_true": channel_correlation(true),
    }


def _grain_figures(rows: dict[str, Tensor]) -> GrainFigures | None:
    """Return the figures of those images that truly have grain; None if none has."""
    if not rows:
        return None
    grainy = rows["deviation"] > _LEAST_GRAIN
    if not bool(grainy.any()):
        return None
    made, true = rows["correlation_made"][grainy], rows["correlation_true"][grainy]
    return GrainFigures(
        energy_db=bootstrap_mean(rows["energy"][grainy].numpy()),
        spectrum_db=_floats(rows["spectrum"][grainy].mean(0)),
        correlation_true=_floats(true.nanmean(0)),
        correlation_made=_floats(made.nanmean(0)),
        correlation_error=bootstrap_mean((made - true).abs().mean(1).numpy()),
    )


def _bytes(**images: Tensor) -> dict[str, Tensor]:
    return {name: (x * 255).round().to(torch.uint8) for name, x in images.items()}


def _floats(values: Tensor | Sequence[float]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
