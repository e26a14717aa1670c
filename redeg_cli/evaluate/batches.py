"""Metrics of many images: those of one size are computed together."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from redeg_cli.device import free_memory, is_out_of_memory, map_single_threaded
from redeg_cli.errors import MetricError, RedegError
from redeg_cli.evaluate.metrics import METRICS, Score


@dataclass
class Scored:
    """The metrics of one image, filled in when its batch is computed."""

    values: dict[str, float] = field(default_factory=dict)
    messages: dict[str, str] = field(default_factory=dict)
    """Why a metric has no value."""


class Batches:
    """Collects images and computes their metrics as soon as there are enough of one size."""

    def __init__(self, scores: Mapping[str, Score], device: torch.device) -> None:
        self._scores = scores
        self._device = device
        # 16 images of 512x512 keep every core busy; a GPU wants more.
        self._pixels = (4 if device.type == "cpu" else 16) * 2**20
        self._waiting: dict[tuple[int, ...], list[tuple[Scored, Tensor, Tensor | None]]] = {}

    def add(self, result: Tensor, reference: Tensor | None) -> Scored:
        """Take an image (1, 3, H, W) and its reference of the same shape, or None."""
        scored = Scored()
        size = (*result.shape[-2:], reference is not None)
        group = self._waiting.setdefault(size, [])
        group.append((scored, result, reference))
        pixels = {key: len(images) * key[0] * key[1] for key, images in self._waiting.items()}
        if pixels[size] >= self._pixels:
            self._compute(self._waiting.pop(size))
        elif sum(pixels.values()) >= 2 * self._pixels:  # many sizes: the fullest group goes
            self._compute(self._waiting.pop(max(pixels, key=lambda key: pixels[key])))
        return scored

    def finish(self) -> None:
        """Compute what is still waiting."""
        while self._waiting:
            self._compute(self._waiting.popitem()[1])

    def _compute(self, group: list[tuple[Scored, Tensor, Tensor | None]]) -> None:
        if self._device.type == "cpu":
            # One image a thread takes a fifth of the time that a batch split over threads takes.
            map_single_threaded(lambda each: self._score([each]), group)
        else:
            self._score(group)

    def _score(self, group: list[tuple[Scored, Tensor, Tensor | None]]) -> None:
        results = torch.cat([result for _, result, _ in group]).to(self._device)
        given = [reference for _, _, reference in group if reference is not None]
        references = torch.cat(given).to(self._device) if given else None
        for name, score in self._scores.items():
            other = references if METRICS[name].reference else None
            for (scored, _, _), value in zip(group, measure(score, results, other), strict=True):
                if isinstance(value, str):
                    scored.messages[name] = value
                else:
                    scored.values[name] = value


def measure(score: Score, results: Tensor, references: Tensor | None) -> list[float | str]:
    """Return the metric of each image, or the message that says why these have none.

    Images are (B, 3, H, W). A batch for which the memory is too small is halved; raises RedegError
    when a single image is too large.
    """
    try:
        return [float(value) for value in score(results, references)]
    except MetricError as error:
        return [str(error)] * len(results)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
    free_memory(results.device)  # outside the except block, whose traceback holds the tensors
    if len(results) == 1:
        height, width = results.shape[-2:]
        raise RedegError(
            f"{results.device} has too little memory for an image of {width}x{height}: "
            "close other programs that use it, or use --device cpu"
        )
    half = len(results) // 2
    parts = [slice(None, half), slice(half, None)]
    return [
        value
        for part in parts
        for value in measure(score, results[part], None if references is None else references[part])
    ]
