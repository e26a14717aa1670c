"""Measure how Ω of one image's pair degrades other images, on images that were not trained on.

    python benchmarks/transfer.py --faces DIR --natural DIR [--redegnet NAME] [--scale 1]

Per family of degradations: Ω from a face pair, LQ of a natural image, against the true LQ (the
same record): PSNR of the HQ itself, of the LQ with the right Ω and with another pair's Ω, and the
ratio of high-frequency energy (standard deviation of the Laplacian of the luma) to the true LQ's.
Also the 5-nearest-neighbour accuracy of telling the families of natural Ωs by face Ωs.
"""

import argparse
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

from redeg_cli.degrade.base import Degrader
from redeg_cli.degrade.chain import load_degrader
from redeg_cli.degrade.resize import Resize, apply_resize
from redeg_cli.degrade.steps import run_chains
from redeg_cli.degrade.tone import to_luma
from redeg_cli.models import load_redegnet
from redeg_cli.omega.learned import OmegaDegrader
from redeg_cli.omega.pool import Pool
from redeg_cli.seeds import sample_seed
from redeg_cli.train.data import load_store
from redeg_cli.train.recipes import DataSource

Entry = dict[str, Any]
FILTER = {"choice": ["area", "bilinear", "bicubic"]}
GRID: Entry = {"op": "resize", "of": "native", "filter": FILTER, "antialias": True}


def blur(p: float, low: float, high: float) -> Entry:
    sigma = [low, f"{high} * (2 + scale) / 3"]
    turned = {"op": "blur", "sigma": sigma, "sigma_y": sigma, "theta": [0, math.pi]}
    return {"p": p, "one_of": [{"op": "blur", "sigma": sigma}, turned]}


def shrink(p: float, low: float, high: float) -> Entry:
    factor = {"log_uniform": [f"3 / ({high} * (2 + scale))", 1 / low]}
    step = {"op": "resize", "of": "hq", "factor": factor, "filter": FILTER}
    return {"p": p, **step, "antialias": {"chance": 0.7}}


def noise(p: float, low: float, high: float) -> Entry:
    gray = {"chance": 0.4}
    added = {"op": "noise", "sigma": {"log_uniform": [low, high]}, "gray": gray}
    shot = {"op": "poisson", "photons": {"log_uniform": [100, 5000]}, "gray": gray}
    return {"p": p, "one_of": [{"weight": 3, **added}, {"weight": 1, **shot}]}


def compress(p: float, low: int, high: int) -> Entry:
    quality = {"integers": [low, high]}
    return {"p": p, "op": "jpeg", "quality": quality, "subsample": {"chance": 0.7}}


FAMILIES: dict[str, list[Entry]] = {
    "blur": [blur(1, 0.8, 3.0), GRID],
    "resampling": [shrink(1, 2.0, 4.0), GRID],
    "noise": [noise(1, 0.02, 0.1), GRID],
    "jpeg": [GRID, compress(1, 15, 80)],
    "mixed": [
        *(blur(0.8, 0.5, 2.5), shrink(0.7, 1.3, 3.0), noise(0.7, 0.01, 0.06)),
        *(GRID, compress(0.8, 25, 90)),
    ],
}


def psnr(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return -10 * (a - b).square().mean((1, 2, 3)).clamp(min=1e-6).log10()


def detail(x: torch.Tensor) -> torch.Tensor:
    luma = to_luma(x)
    kernel = torch.tensor([[0.0, -1, 0], [-1, 4, -1], [0, -1, 0]]).view(1, 1, 3, 3)
    return torch.nn.functional.conv2d(luma, kernel).std((1, 2, 3))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faces", type=Path, required=True)
    parser.add_argument("--natural", type=Path, required=True)
    parser.add_argument("--redegnet", default="redegnet-lite")
    parser.add_argument("--scale", type=int, default=1)
    parser.add_argument("--full-grid", action="store_true", help="LQ never on the native grid")
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--crop", type=int, default=192)
    parser.add_argument("--batch", type=int, default=4)
    args = parser.parse_args()
    torch.set_grad_enabled(False)
    net = load_redegnet(args.redegnet)
    stores = [
        load_store([DataSource(folder=folder)], torch.device("cpu"), args.crop)
        for folder in (args.faces, args.natural)
    ]
    omegas: dict[str, list[torch.Tensor]] = {}
    table: dict[str, dict[str, float]] = {}
    grid = {**GRID, "of": "hq"} if args.full_grid else GRID
    for family, entries in FAMILIES.items():
        steps = [grid if entry is GRID else entry for entry in entries]
        degrader = load_degrader({"steps": steps}, args.scale)
        rows: list[torch.Tensor] = []
        face_omegas, natural_omegas = [], []
        for start in range(0, args.count, args.batch):
            seeds = [sample_seed(7, family, i) for i in range(start, start + args.batch)]
            images = [
                torch.stack([s.crop(seed, args.crop, (0.5, 1.0)) for seed in seeds]) for s in stores
            ]
            lqs = [_aligned(x, degrader, seeds, args.scale, i) for i, x in enumerate(images)]
            face, natural = (
                net.extract(x, lq, args.scale) for x, lq in zip(images, lqs, strict=True)
            )
            face_omegas.append(face)
            natural_omegas.append(natural)
            made = [_synthesise(net, images[1], o, args.scale) for o in (face, face.roll(1, 0))]
            truth = lqs[1]
            rows.append(
                torch.stack(
                    [
                        psnr(images[1], truth),
                        psnr(made[0], truth),
                        psnr(made[1], truth),
                        detail(made[0]) / detail(truth),
                        detail(images[1]) / detail(truth),
                    ],
                    1,
                )
            )
        omegas[family] = [torch.cat(face_omegas), torch.cat(natural_omegas)]
        means = torch.cat(rows)
        names = ("hq", "right_omega", "wrong_omega", "detail_ratio", "detail_ratio_hq")
        table[family] = {
            name: round(float(column.median() if "detail" in name else column.mean()), 2)
            for name, column in zip(names, means.T, strict=True)
        }
        print(family, table[family], flush=True)
    groups = ("blur", "resampling", "noise", "jpeg")
    table["retrieval"] = {"accuracy_5nn": round(_retrieval([omegas[g] for g in groups]), 3)}
    print(json.dumps(table))


def _aligned(
    hq: torch.Tensor, degrader: Degrader, seeds: list[int], scale: int, which: int
) -> torch.Tensor:
    """Degrade each by its record; the noise fields of faces and naturals differ."""
    chains = [
        [
            {**step, "seed": step["seed"] + which} if "seed" in step else step
            for step in degrader.draw(seed)["steps"]
        ]
        for seed in seeds
    ]
    made = run_chains(hq, chains, scale)
    eight_bits = made.with_pixels((made.pixels * 255).round() / 255)
    to_hq = Resize(of="hq", filter="bicubic", antialias=True)
    return apply_resize(eight_bits, [to_hq] * len(seeds)).pixels


def _synthesise(net: object, hq: torch.Tensor, omega: torch.Tensor, scale: int) -> torch.Tensor:
    count = omega.shape[0]
    pool = Pool(omega.numpy(), tuple(map(str, range(count))), np.full(count, scale), "m", "0" * 12)
    degrader = OmegaDegrader(net, pool, scale, aligned=True)  # pyright: ignore[reportArgumentType]
    records = [{**degrader.draw(row), "row": row} for row in range(count)]
    return degrader.apply(hq, records)


def _retrieval(groups: list[list[torch.Tensor]]) -> float:
    faces = torch.cat([group[0] for group in groups])
    labels = torch.arange(len(groups)).repeat_interleave(len(groups[0][0]))
    naturals = torch.cat([group[1] for group in groups])
    nearest = torch.cdist(naturals, faces).topk(5, largest=False).indices
    votes = labels[nearest].mode(1).values
    return float((votes == labels).float().mean())


if __name__ == "__main__":
    main()
