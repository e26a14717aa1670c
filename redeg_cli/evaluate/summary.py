"""Means, intervals and differences of an evaluation: what its tables show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from redeg_cli import __version__
from redeg_cli.errors import InputError
from redeg_cli.evaluate.bootstrap import (
    LEVEL,
    RESAMPLES,
    Interval,
    bootstrap_mean,
    paired_difference,
)
from redeg_cli.evaluate.metrics import METRICS
from redeg_cli.evaluate.restoration import Evaluation
from redeg_cli.validation import did_you_mean


@dataclass(frozen=True)
class Cell:
    """One metric of one method over all images."""

    mean: Interval
    difference: Interval | None
    """To the baseline, on the images that both have; None without baseline and for itself."""


@dataclass(frozen=True)
class Summary:
    """An evaluation and its means."""

    evaluation: Evaluation
    cells: Mapping[tuple[str, str], Cell]
    """(method, metric) -> cell."""
    baseline: str | None
    level: float
    resamples: int
    seed: int


def summarise(
    evaluation: Evaluation,
    baseline: str | None = None,
    *,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Summary:
    """Return the means of an evaluation with bootstrap intervals of ``level``.

    ``baseline`` is the method that the others are compared with. Raises InputError for a baseline
    that was not evaluated.
    """
    names = [method.name for method in evaluation.methods]
    check_baseline(baseline, names)
    settings = (level, resamples, seed)
    cells = {}
    for metric in evaluation.metrics:
        columns = {name: evaluation.column(name, metric) for name in names}
        for name, column in columns.items():
            difference = None
            if baseline is not None and name != baseline:
                difference = paired_difference(column, columns[baseline], *settings)
            cells[name, metric] = Cell(bootstrap_mean(column, *settings), difference)
    return Summary(evaluation, cells, baseline, *settings)


def check_baseline(baseline: str | None, methods: Sequence[str]) -> None:
    """Raise InputError when there is a baseline and it is none of ``methods``."""
    if baseline is not None and baseline not in methods:
        hint = did_you_mean(baseline, methods)
        raise InputError(f"the baseline {baseline!r} is none of {', '.join(methods)}{hint}")


def places(summary: Summary, metric: str) -> dict[str, int]:
    """Return the place, from 1, of each method in a metric; equal means share one.

    Only methods that have the metric on all images on which any has it are placed: means over
    different images cannot be compared. A single method has no place.
    """
    names = [method.name for method in summary.evaluation.methods]
    columns = {name: summary.evaluation.column(name, metric) for name in names}
    measured = {name: ~np.isnan(column) for name, column in columns.items()}
    ever = np.any(list(measured.values()), axis=0)
    digits = METRICS[metric].digits
    # As printed: what looks equal in a table is equal.
    values = {
        name: float(np.round(summary.cells[name, metric].mean.mean, digits))
        for name, there in measured.items()
        if there.any() and np.array_equal(there, ever)
    }
    if len(values) < 2:
        return {}
    better = sorted(set(values.values()), reverse=METRICS[metric].higher_is_better)
    return {name: better.index(value) + 1 for name, value in values.items()}


def to_record(summary: Summary) -> dict[str, Any]:
    """Return everything as JSON values: settings, means, rows, problems."""
    evaluation = summary.evaluation
    methods = []
    for method in evaluation.methods:
        failed = sum(row.method == method.name for row in evaluation.failed)
        cells = {name: summary.cells[method.name, name] for name in evaluation.metrics}
        methods.append(
            {
                "name": method.name,
                **method.settings,
                "failed": failed,
                "metrics": {
                    name: {**vars(cell.mean), "difference": cell.difference}
                    for name, cell in cells.items()
                },
            }
        )
    dataset = evaluation.dataset
    return {
        "dataset": {
            "name": dataset.name,
            "layout": dataset.layout,
            "images": len(dataset.samples),
            "references": dataset.has_references,
        },
        "settings": {
            "colour": evaluation.view.colour,
            "crop": evaluation.view.crop,
            "scale": evaluation.scale,
            "baseline": summary.baseline,
            "level": summary.level,
            "resamples": summary.resamples,
            "seed": summary.seed,
        },
        "versions": {"redeg": __version__, **evaluation.versions},
        "metrics": [METRICS[name] for name in evaluation.metrics],
        "unavailable": evaluation.unavailable,
        "methods": methods,
        "rows": evaluation.rows,
        "problems": evaluation.problems,
    }
