"""When a ReDegNet is done: what its Ω is worth on images that it was not trained on."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from redeg_cli.omega.transfer import flat_figures, measure_transfer
from redeg_cli.train.data import ImageStore

_BATCH = 4


def judge_transfer(
    net: nn.Module, held_out: ImageStore, side: int, scale: int, pairs: int
) -> dict[str, float]:
    """Return the figures of ``omega.transfer.flat_figures`` for a network with ``extract``.

    ``pairs`` per family (rounded up to whole batches of 4), crops of ``side`` pixels. Ω comes from
    the last source of the held-out images and goes onto the first: name naturals before faces.
    """
    naturals, faces = (
        partial(crops_of, ImageStore([group], [1.0], held_out.device), side)
        for group in (held_out.groups[0], held_out.groups[-1])
    )
    training = net.training
    net.eval()
    count = -(-pairs // _BATCH) * _BATCH
    table = measure_transfer(net, faces, naturals, scale, count, batch=_BATCH)
    net.train(training)
    return flat_figures(table)


def crops_of(store: ImageStore, side: int, seeds: Sequence[int]) -> Tensor:
    """Return a crop (B, 3, side, side) in [0, 1] for each seed."""
    return torch.stack([store.crop(seed, side, (0.5, 1.0)) for seed in seeds])
