"""Measure how Ω of one image's pair degrades other images, on images that were not trained on.

    python benchmarks/transfer.py --faces DIR --natural DIR [--redegnet NAME] [--scale 1]

See redeg_cli/omega/transfer.py for what is measured.
"""

import argparse
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
from torch import nn

from redeg_cli.models import load_redegnet
from redeg_cli.omega.transfer import measure_transfer
from redeg_cli.train.data import ImageStore, load_store
from redeg_cli.train.recipes import DataSource


def crops(store: ImageStore, side: int, seeds: Sequence[int]) -> torch.Tensor:
    return torch.stack([store.crop(seed, side, (0.5, 1.0)) for seed in seeds])


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
    net = load_redegnet(args.redegnet)
    assert isinstance(net, nn.Module)
    cpu = torch.device("cpu")
    stores = [
        load_store([DataSource(folder=folder)], cpu, args.crop)
        for folder in (args.faces, args.natural)
    ]
    faces, naturals = (partial(crops, store, args.crop) for store in stores)
    table = measure_transfer(
        *(net, faces, naturals, args.scale, args.count),
        batch=args.batch,
        full_grid=args.full_grid,
    )
    for family, figures in table.items():
        print(family, {name: round(value, 3) for name, value in figures.items()})
    print(json.dumps(table))


if __name__ == "__main__":
    main()
