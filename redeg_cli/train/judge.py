"""When a ReDegNet is done: what its Ω is worth on images that it was not trained on."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from redeg_cli.omega.transfer import Crops, flat_figures, measure_transfer
from redeg_cli.seeds import sample_seed
from redeg_cli.train.data import ImageStore

_BATCH = 4


def judge_transfer(
    net: nn.Module, held_out: ImageStore, side: int, scale: int, pairs: int
) -> dict[str, float]:
    """Return the figures of ``omega.transfer.flat_figures`` for a network with ``extract``.

    ``pairs`` per family (rounded up to whole batches of 4), crops of ``side`` pixels. Ω comes from
    the last source of the held-out images and goes onto the first: name naturals before faces. Of
    a single source it goes onto other crops.
    """
    naturals, faces = ends_of(held_out, side)
    training = net.training
    net.eval()
    count = -(-pairs // _BATCH) * _BATCH
    table = measure_transfer(net, faces, naturals, scale, count, batch=_BATCH)
    net.train(training)
    return flat_figures(table)


def ends_of(store: ImageStore, side: int) -> tuple[Crops, Crops]:
    """Return what draws crops (B, 3, side, side) of the first source, and of the last one."""

    def draw(part: ImageStore, end: str, seeds: Sequence[int]) -> Tensor:
        own = [sample_seed(seed, end) for seed in seeds]  # else those of one source were the same
        return torch.stack([part.crop(seed, side, (0.5, 1.0)) for seed in own])

    ends = {"first": store.groups[0], "last": store.groups[-1]}
    first, last = (
        partial(draw, ImageStore([group], [1.0], store.device), end) for end, group in ends.items()
    )
    return first, last
