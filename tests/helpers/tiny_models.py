"""Tiny networks of every kind: their configurations, and an RRDBNet."""

from pathlib import Path

from torch import nn

from redeg_cli import models
from redeg_cli.nets.rrdb import RRDBNet

COMPACT = {"features": 4, "blocks": 1, "scales": [1, 2]}
REDEGNET = {
    "degnet": {"widths": [4, 4]},
    "synnet": {"widths": [4, 4], "style": 8, "kernel": 5, "grain_kernel": 5},
}
FACE = {"widths": [4, 4], "blocks": [1, 1]}
RRDB = {"features": 8, "growth": 32, "blocks": 1}  # spandrel knows no other growth


def tiny_rrdb(scale: int = 4) -> RRDBNet:
    net = RRDBNet(scale=scale, **RRDB)
    for parameter in net.parameters():  # default weights give an almost constant picture
        nn.init.normal_(parameter, std=0.15)
    return net.eval()


def save_rrdb(path: Path, net: RRDBNet, **notes: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    models.save_network(path, "f2n", {"scale": net.scale, **RRDB}, net.state_dict(), notes=notes)
    return path
