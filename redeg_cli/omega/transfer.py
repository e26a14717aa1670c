"""How well Ω of one image's pair degrades other images: the measurement that says what Ω is worth.

Per family of degradations, a face and a natural image are degraded by one record. Ω of the face's
pair is put on the natural image, and what SynNet makes is compared with the natural image's true
LQ: by PSNR, beside that of the HQ itself and of another pair's Ω, and by the energy of its high
frequencies. And the families of natural images' Ωs are told by the nearest face Ωs.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from redeg_cli.degrade.base import Degrader
from redeg_cli.degrade.chain import load_degrader
from redeg_cli.degrade.resize import aligned_pixels
from redeg_cli.degrade.steps import run_chains
from redeg_cli.degrade.tone import to_luma
from redeg_cli.omega.learned import OmegaDegrader
from redeg_cli.omega.pool import Pool
from redeg_cli.seeds import sample_seed

Entry = dict[str, Any]
Crops = Callable[[Sequence[int]], Tensor]
"""Returns HQ crops (B, 3, H, W) in [0, 1], one for each seed."""
NEIGHBOURS = 5

_FILTER = {"choice": ["area", "bilinear", "bicubic"]}


def _blur(p: float, low: float, high: float) -> Entry:
    sigma = [low, f"{high} * (2 + scale) / 3"]
    turned = {"op": "blur", "sigma": sigma, "sigma_y": sigma, "theta": [0, math.pi]}
    return {"p": p, "one_of": [{"op": "blur", "sigma": sigma}, turned]}


def _shrink(p: float, low: float, high: float) -> Entry:
    factor = {"log_uniform": [f"3 / ({high} * (2 + scale))", 1 / low]}
    step = {"op": "resize", "of": "hq", "factor": factor, "filter": _FILTER}
    return {"p": p, **step, "antialias": {"chance": 0.7}}


def _noise(p: float, low: float, high: float) -> Entry:
    gray = {"chance": 0.4}
    added = {"op": "noise", "sigma": {"log_uniform": [low, high]}, "gray": gray}
    shot = {"op": "poisson", "photons": {"log_uniform": [100, 5000]}, "gray": gray}
    return {"p": p, "one_of": [{"weight": 3, **added}, {"weight": 1, **shot}]}


def _compress(p: float, low: int, high: int) -> Entry:
    quality = {"integers": [low, high]}
    return {"p": p, "op": "jpeg", "quality": quality, "subsample": {"chance": 0.7}}


def families(full_grid: bool = False) -> dict[str, list[Entry]]:
    """Return the chains of each family: the paper's four groups (section 4.5), and all of them.

    With ``full_grid`` the LQ was never on the native grid.
    """
    of = "hq" if full_grid else "native"
    grid: Entry = {"op": "resize", "of": of, "filter": _FILTER, "antialias": True}
    return {
        "blur": [_blur(1, 0.8, 3.0), grid],
        "resampling": [_shrink(1, 2.0, 4.0), grid],
        "noise": [_noise(1, 0.02, 0.1), grid],
        "jpeg": [grid, _compress(1, 15, 80)],
        "mixed": [
            *(_blur(0.8, 0.5, 2.5), _shrink(0.7, 1.3, 3.0), _noise(0.7, 0.01, 0.06)),
            *(grid, _compress(0.8, 25, 90)),
        ],
    }


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
        for start in range(0, count, batch):
            seeds = [sample_seed(seed, family, i) for i in range(start, start + batch)]
            face_hq, hq = faces(seeds), naturals(seeds)
            face_lq, lq = (_aligned(x, degrader, seeds, i) for i, x in enumerate((face_hq, hq)))
            omega = _extract(net, face_hq, face_lq, scale)
            pairs.append((omega, _extract(net, hq, lq, scale)))
            made, wrong = (synthesise(net, hq, o, scale) for o in (omega, omega.roll(1, 0)))
            figures = [_psnr(hq, lq), _psnr(made, lq), _psnr(wrong, lq)]
            figures += [detail(made) / detail(lq), detail(hq) / detail(lq)]
            rows.append(torch.stack(figures, 1))
        values = torch.cat(rows)
        names = ("hq", "right_omega", "wrong_omega", "detail_ratio", "detail_ratio_hq")
        table[family] = {
            name: float(column.median() if "detail" in name else column.mean())
            for name, column in zip(names, values.T, strict=True)
        }
        if family != "mixed":
            face_omegas, natural_omegas = zip(*pairs, strict=True)
            omegas.append((torch.cat(face_omegas), torch.cat(natural_omegas)))
    table["retrieval"] = {"accuracy_5nn": retrieval(omegas)}
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


def synthesise(net: nn.Module, hq: Tensor, omega: Tensor, scale: int) -> Tensor:
    """Return the aligned LQs of HQs (B, 3, H, W) under Ωs (B, 512), each with grain of its own."""
    count = omega.shape[0]
    names = tuple(map(str, range(count)))
    pool = Pool(omega.float().cpu().numpy(), names, np.full(count, scale), "measured", "0" * 12)
    degrader = OmegaDegrader(net, pool, scale, aligned=True)
    return degrader.apply(hq, [{**degrader.draw(row), "row": row} for row in range(count)])


def retrieval(groups: Sequence[tuple[Tensor, Tensor]]) -> float:
    """Return how often the ``NEIGHBOURS`` nearest face Ωs tell the group of a natural Ω.

    ``groups``: of each the face Ωs and the natural Ωs, (N, 512) both, N the same for all.
    """
    faces = torch.cat([face for face, _ in groups])
    naturals = torch.cat([natural for _, natural in groups])
    labels = torch.arange(len(groups), device=faces.device).repeat_interleave(len(groups[0][0]))
    nearest = torch.cdist(naturals, faces).topk(min(NEIGHBOURS, len(faces)), largest=False).indices
    return float((labels[nearest].mode(1).values == labels).float().mean())


def _extract(net: nn.Module, hq: Tensor, lq: Tensor, scale: int) -> Tensor:
    return net.extract(hq, lq, scale)  # pyright: ignore[reportCallIssue]


def _psnr(a: Tensor, b: Tensor) -> Tensor:
    return -10 * (a - b).square().mean((1, 2, 3)).clamp(min=1e-6).log10()


def _aligned(hq: Tensor, degrader: Degrader, seeds: Sequence[int], which: int) -> Tensor:
    """Degrade each by its record; the random fields of faces and naturals differ."""
    chains = [
        [
            {**step, "seed": step["seed"] + which} if "seed" in step else step
            for step in degrader.draw(seed)["steps"]
        ]
        for seed in seeds
    ]
    made = run_chains(hq, chains, degrader.scale)
    return aligned_pixels(made.with_pixels((made.pixels * 255).round() / 255))
