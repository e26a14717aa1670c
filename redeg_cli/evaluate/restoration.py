"""Several restorers on one data set: a row of metrics for each image and method."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from redeg_cli.errors import InputError, PairError, RedegError
from redeg_cli.evaluate.batches import Batches, Scored
from redeg_cli.evaluate.dataset import Dataset, Sample
from redeg_cli.evaluate.methods import Method
from redeg_cli.evaluate.metrics import METRICS, View, load_metric, versions, why_unavailable
from redeg_cli.io.ahead import map_ahead
from redeg_cli.io.images import read_rgb, to_tensor
from redeg_cli.progress import OnProgress, no_progress


@dataclass(frozen=True)
class Row:
    """One image by one method."""

    image: str
    method: str
    values: Mapping[str, float] = field(default_factory=dict)
    """Metric -> value; one that could not be computed is not there."""
    message: str = ""
    """Why there are no values, or not all of them; empty when all went well."""
    note: str = ""
    """What was done to the result before it was compared."""


@dataclass(frozen=True)
class Evaluation:
    """Everything that was measured, and how."""

    dataset: Dataset
    methods: tuple[Method, ...]
    metrics: tuple[str, ...]
    """Those that were computed, in the order asked for."""
    unavailable: Mapping[str, str]
    """Metric -> why it cannot be computed here, with the command that makes it so."""
    view: View
    scale: int | None
    rows: tuple[Row, ...]
    """Image by image, method by method."""
    problems: tuple[str, ...]
    """A line for each picture that has no partner or is double."""
    versions: Mapping[str, str]
    """Of the packages that computed the metrics."""

    @property
    def failed(self) -> tuple[Row, ...]:
        """The rows with a message."""
        return tuple(row for row in self.rows if row.message)

    def column(self, method: str, metric: str) -> np.ndarray:
        """Return the values (images,) of a metric, NaN where there is none, in one order."""
        return np.array(
            [row.values.get(metric, np.nan) for row in self.rows if row.method == method]
        )


def evaluate(
    dataset: Dataset,
    methods: Sequence[Method],
    metrics: Sequence[str],
    view: View,
    device: torch.device,
    *,
    scale: int | None = None,
    problems: Sequence[str] = (),
    on_progress: OnProgress = no_progress,
) -> Evaluation:
    """Measure the results of ``methods`` on ``dataset``.

    ``metrics`` that are unavailable are listed as such and left out. ``scale`` is how much a
    result may be larger or smaller than its reference: up to ``scale - 1`` rows and columns at the
    right and the bottom, which a size that is no multiple of the scale leaves, are cut off both and
    noted. Any other size is an error row that names both. What cannot be read is an error row, and
    the rest goes on. Raises InputError without methods and for metrics that want references where
    there are none, MetricError for an unknown metric.
    """
    names = [method.name for method in methods]
    if not methods or len(set(names)) < len(names):
        got = ", ".join(names) or "none"
        raise InputError(f"wanted methods of different names, got {got}: give NAME=FOLDER")
    reasons = {name: why_unavailable(name) for name in dict.fromkeys(metrics)}
    blind = [name for name in reasons if METRICS[name].reference and not dataset.has_references]
    if blind:
        raise InputError(f"{dataset.name} has no references, which {', '.join(blind)} needs")
    usable = tuple(name for name, reason in reasons.items() if reason is None)
    batches = Batches({name: load_metric(name, view, device) for name in usable}, device)
    drafts: list[tuple[Sample, Method, Scored | str, str]] = []
    total = len(dataset.samples) * len(methods)
    on_progress(0, total)
    for sample, read in _read_ahead(dataset.samples, methods):
        for method in methods:
            try:
                result, reference, note = _comparable(sample, method, read, scale)
            except RedegError as error:
                drafts.append((sample, method, " ".join(str(error).split()), ""))
            else:
                drafts.append((sample, method, batches.add(result, reference), note))
            on_progress(len(drafts), total, sample.name)
    batches.finish()
    return Evaluation(
        dataset=dataset,
        methods=tuple(methods),
        metrics=usable,
        unavailable={name: reason for name, reason in reasons.items() if reason is not None},
        view=view,
        scale=scale,
        rows=tuple(_row(*draft) for draft in drafts),
        problems=(*dataset.problems, *problems),
        versions=versions(usable),
    )


_Read = Mapping[str, Tensor | RedegError]
"""What was read of a sample: method -> result, and "" -> reference."""


def _read_ahead(
    samples: Sequence[Sample], methods: Sequence[Method]
) -> Iterator[tuple[Sample, _Read]]:
    """Return each sample with its reference and those results that are files, read by threads."""
    return zip(samples, map_ahead(lambda sample: _read(sample, methods), samples), strict=True)


def _read(sample: Sample, methods: Sequence[Method]) -> _Read:
    read: dict[str, Tensor | RedegError] = {}
    if sample.reference is not None:
        try:
            read[""] = to_tensor(read_rgb(sample.reference))
        except RedegError as error:
            read[""] = error
    for method in methods:
        if method.reads_files:
            try:
                read[method.name] = method.make(sample)
            except RedegError as error:
                read[method.name] = error
    return read


def _comparable(
    sample: Sample, method: Method, read: _Read, scale: int | None
) -> tuple[Tensor, Tensor | None, str]:
    """Return result and reference of one size, and a note on what was cut off."""
    reference = read.get("")
    if isinstance(reference, RedegError):
        raise reference
    result = read[method.name] if method.reads_files else method.make(sample)
    if isinstance(result, RedegError):
        raise result
    if reference is None or result.shape == reference.shape:
        return result, reference, ""
    return _cut_alike(result, reference, scale)


def _cut_alike(result: Tensor, reference: Tensor, scale: int | None) -> tuple[Tensor, Tensor, str]:
    sizes = [tuple(image.shape[-2:]) for image in (result, reference)]
    (height, width), (wanted_height, wanted_width) = sizes
    apart = max(abs(height - wanted_height), abs(width - wanted_width))
    said = f"the result is {width}x{height}, its reference {wanted_width}x{wanted_height} pixels"
    if apart >= (scale or 1):
        if scale is None and apart < 4:
            said += f": give --scale {max(2, apart + 1)} or its scale to compare what they share"
        raise PairError(said)
    height, width = min(height, wanted_height), min(width, wanted_width)
    return (
        result[..., :height, :width].contiguous(),
        reference[..., :height, :width].contiguous(),
        f"{said}: compared on {width}x{height}",
    )


def _row(sample: Sample, method: Method, scored: Scored | str, note: str) -> Row:
    if isinstance(scored, str):
        return Row(sample.name, method.name, {}, scored, note)
    message = "; ".join(f"{name}: {why}" for name, why in scored.messages.items())
    return Row(sample.name, method.name, dict(scored.values), message, note)
