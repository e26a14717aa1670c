"""How well Ω of one image's pair degrades other images: the measurement that says what Ω is worth.

Per family of degradations, a face and a natural image are degraded by one record. Ω of the face's
pair is put on the natural image, and what SynNet makes is compared with the natural image's true
LQ: by PSNR, beside that of the HQ itself and of another pair's Ω, and by the energy of its high
frequencies. And the families of natural images' Ωs are told by the nearest face Ωs.

This is what is watched while a ReDegNet trains; ``evaluate.transfer`` measures much more of the
same pairs.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from redeg_cli.degrade.chain import ChainDegrader, load_degrader
from redeg_cli.degrade.resize import aligned_pixels
from redeg_cli.degrade.steps import run_chains
from redeg_cli.degrade.tone import to_luma
from redeg_cli.faces.pseudo import PseudoHQ
from redeg_cli.omega.extract import extract_batch
from redeg_cli.omega.families import GROUPS, families
from redeg_cli.omega.learned import OmegaDegrader
from redeg_cli.omega.pool import Pool
from redeg_cli.seeds import sample_seed

Crops = Callable[[Sequence[int]], Tensor]
"""Returns HQ crops (B, 3, H, W) in [0, 1], one for each seed."""
NEIGHBOURS = 5


class PairBatch(NamedTuple):
    """Faces and natural images degraded alike, image by image, and the Ω of each pair."""

    hq: Tensor
    """The natural HQs, (B, 3, H, W) in [0, 1]."""
    lq: Tensor
    """Their true LQs, aligned, of the same shape, in 8-bit levels."""
    face_omega: Tensor
    """(B, 512)."""
    natural_omega: Tensor
    """(B, 512)."""
    pseudo_omega: Tensor | None
    """(B, 512) of the faces with pseudo-HQs, if something makes them."""
    records: list[dict[str, Any]]
    """What was done to both, one each."""
    seeds: list[int]
    """What crops and records were drawn with, one each."""


def pair_batches(
    net: nn.Module,
    faces: Crops,
    naturals: Crops,
    degrader: ChainDegrader,
    name: str,
    count: int,
    *,
    batch: int = 4,
    seed: int = 7,
    pseudo: PseudoHQ | None = None,
) -> Iterator[PairBatch]:
    """Yield ``count`` pairs, the last batch filled up; ``name`` and ``seed`` decide them all.

    ``pseudo`` makes of the degraded faces the HQs of ``pseudo_omega``.
    """
    scale = degrader.scale
    for start in range(0, count, batch):
        seeds = [sample_seed(seed, name, i) for i in range(start, start + batch)]
        records = [degrader.draw(seed) for seed in seeds]
        face_hq, hq = faces(seeds), naturals(seeds)
        face_lq, lq = (degrade_aligned(x, records, scale, i) for i, x in enumerate((face_hq, hq)))
        pairs = [(face_hq, face_lq), (hq, lq)]
        if pseudo is not None:
            pairs.append((pseudo(face_lq), face_lq))
        omega, own, *of_pseudo = (
            extract_batch(net, *pair, scale)  # pyright: ignore[reportArgumentType]
            for pair in pairs
        )
        yield PairBatch(hq, lq, omega, own, of_pseudo[0] if of_pseudo else None, records, seeds)


@torch.no_grad()
def measure_transfer(
    net: nn.Module,
    faces: Crops,
    naturals: Crops,
    scale: int,
    count: int,
    *,
    batch: int = 4,
    seed: int = 7,
    full_grid: bool = False,
) -> dict[str, dict[str, float]]:
    """Return figures by family, of ``count`` pairs each, and the accuracy of telling families.

    Per family: ``hq``, ``right_omega`` and ``wrong_omega``, the mean PSNR in dB (at most 60) of the
    natural HQ, of its LQ made with the face pair's Ω and with another pair's Ω; ``detail_ratio``
    and ``detail_ratio_hq``, the median ratio of the standard deviation of the Laplacian to the true
    LQ's. ``retrieval`` has ``accuracy_5nn``, chance being 1/4. ``batch`` must be above 1.
    """
    table: dict[str, dict[str, float]] = {}
    omegas: list[tuple[Tensor, Tensor]] = []
    for family, steps in families(full_grid).items():
        degrader = load_degrader({"steps": steps}, scale)
        rows, pairs = [], []
        for each in pair_batches(
            *(net, faces, naturals, degrader, family, count), batch=batch, seed=seed
        ):
            hq, lq, omega = each.hq, each.lq, each.face_omega
            pairs.append((omega, each.natural_omega))
            made, wrong = (
                synthesise(net, hq, o, scale, each.seeds) for o in (omega, omega.roll(1, 0))
            )
            figures = [psnr(hq, lq), psnr(made, lq), psnr(wrong, lq)]
            own = detail(lq).clamp(min=1e-6)
            figures += [detail(made) / own, detail(hq) / own]
            rows.append(torch.stack(figures, 1))
        values = torch.cat(rows)
        names = ("hq", "right_omega", "wrong_omega", "detail_ratio", "detail_ratio_hq")
        table[family] = {
            name: float(column.median() if "detail" in name else column.mean())
            for name, column in zip(names, values.T, strict=True)
        }
        if family in GROUPS:
            face_omegas, natural_omegas = zip(*pairs, strict=True)
            omegas.append((torch.cat(face_omegas), torch.cat(natural_omegas)))
    table["retrieval"] = {"accuracy_5nn": float(retrieval(omegas).float().mean())}
    return table


def flat_figures(table: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Return the figures by which a training is watched, of ``measure_transfer``'s table.

    ``transfer_psnr`` is the mean over the families, in dB.
    """
    by_family = {name: row["right_omega"] for name, row in table.items() if "right_omega" in row}
    details = {name: row["detail_ratio"] for name, row in table.items() if "detail_ratio" in row}
    return {
        "transfer_psnr": sum(by_family.values()) / len(by_family),
        **{f"transfer_psnr_{name}": value for name, value in by_family.items()},
        **{f"detail_ratio_{name}": value for name, value in details.items()},
        "omega_retrieval": table["retrieval"]["accuracy_5nn"],
    }


def detail(images: Tensor) -> Tensor:
    """Return the standard deviation of the luma's Laplacian of (B, 3, H, W), (B,)."""
    kernel = images.new_tensor([[0.0, -1, 0], [-1, 4, -1], [0, -1, 0]]).view(1, 1, 3, 3)
    return F.conv2d(to_luma(images), kernel).std((1, 2, 3))


def psnr(a: Tensor, b: Tensor) -> Tensor:
    """Return the PSNR in dB, at most 60, of images (B, 3, H, W) in [0, 1], (B,)."""
    return -10 * (a - b).square().mean((1, 2, 3)).clamp(min=1e-6).log10()


def synthesise(
    net: nn.Module, hq: Tensor, omega: Tensor, scale: int, seeds: Sequence[int]
) -> Tensor:
    """Return the aligned LQs of HQs (B, 3, H, W) under Ωs (B, 512), in 8-bit levels.

    ``seeds`` decide the grain of each.
    """
    degrader = degrader_of(net, omega, scale)
    records = [degrader.record(row, seed) for row, seed in enumerate(seeds)]
    return to_levels(degrader.apply(hq, records))


def degrader_of(net: nn.Module, omega: Tensor, scale: int) -> OmegaDegrader:
    """Return what makes aligned LQs under Ωs (N, 512); its records name their rows."""
    return OmegaDegrader(net, pool_of(omega, scale), scale, aligned=True)


def pool_of(omega: Tensor, scale: int) -> Pool:
    """Return a pool of Ωs (N, 512) that is never written, named by their rows."""
    count = omega.shape[0]
    names = tuple(f"row {row}" for row in range(count))
    scales = np.full(count, scale)
    return Pool(omega.float().cpu().numpy(), names, scales, model="none", fingerprint="")


def retrieval(groups: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """Return whether the ``NEIGHBOURS`` nearest face Ωs tell the group of each natural Ω.

    ``groups``: of each the face Ωs and the natural Ωs, (N, 512) both, N the same for all. Each
    neighbour has a vote, and of groups with as many the one with the nearest wins. The answer is a
    bool for each natural Ω in order, (N * groups,).
    """
    faces = torch.cat([face for face, _ in groups])
    naturals = torch.cat([natural for _, natural in groups])
    labels = torch.arange(len(groups), device=faces.device).repeat_interleave(len(groups[0][0]))
    nearest = torch.cdist(naturals, faces).topk(min(NEIGHBOURS, len(faces)), largest=False).indices
    said = labels[nearest]  # from the nearest on
    votes = (said[:, :, None] == said[:, None]).sum(2)
    order = torch.arange(said.shape[1], device=faces.device) / said.shape[1]
    winner = (votes - order).argmax(1, keepdim=True)
    return said.gather(1, winner)[:, 0] == labels


def degrade_aligned(
    hq: Tensor, records: Sequence[Mapping[str, Any]], scale: int, which: int = 0
) -> Tensor:
    """Return the aligned LQs, in 8-bit levels, of HQs (B, 3, H, W) degraded by a record each.

    ``which`` makes random fields (grain, phases) of the same record differ.
    """
    chains = [
        [
            {**step, "seed": step["seed"] + which} if "seed" in step else step
            for step in record["steps"]
        ]
        for record in records
    ]
    made = run_chains(hq, chains, scale)
    return to_levels(aligned_pixels(made.with_pixels(to_levels(made.pixels))))


def to_levels(images: Tensor) -> Tensor:
    """Return images in [0, 1] in the 256 levels that a file has."""
    return (images * 255).round() / 255
