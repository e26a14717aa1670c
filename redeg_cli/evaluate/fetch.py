"""Weights of pyiqa's metrics, fetched when a person asks for them and never by an evaluation."""

from importlib.util import find_spec

import torch

from redeg_cli.errors import MetricError, ModelError
from redeg_cli.evaluate import with_pyiqa
from redeg_cli.validation import did_you_mean


def fetchable() -> list[str]:
    """Return the metrics of pyiqa that have weights."""
    return [name for name, files in with_pyiqa.WEIGHTS.items() if files]


def fetch_pyiqa(name: str) -> list[str]:
    """Let pyiqa download the weights of a metric; return the files that came (none: all were here).

    Raises MetricError when pyiqa is missing or has no weights of that name, ModelError when they
    cannot be fetched.
    """
    if name not in fetchable():
        known = ", ".join(f"pyiqa-{each}" for each in fetchable())
        near = did_you_mean(name, fetchable())
        raise MetricError(f"there are no weights pyiqa-{name}{near}: one of {known}")
    if find_spec("pyiqa") is None:
        raise MetricError(
            "fetching these weights needs the package pyiqa, run `pip install 'redeg[metrics]'`"
        )
    missing = with_pyiqa.missing_weights(name)
    if not missing:
        return []
    try:
        with_pyiqa.create(name, torch.device("cpu"))
    except (OSError, RuntimeError) as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ModelError(f"pyiqa could not fetch the weights of {name}: {reason}") from error
    if left := with_pyiqa.missing_weights(name):
        raise ModelError(
            f"pyiqa has fetched the weights of {name}, but not to where they are looked for: "
            f"{', '.join(left)} (does this version of pyiqa call them otherwise?)"
        )
    return missing
