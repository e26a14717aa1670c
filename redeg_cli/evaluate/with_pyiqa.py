"""Metrics that the optional package pyiqa computes; it is imported when one of them is loaded."""

import contextlib
import io
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from threading import Lock

import torch
from torch import Tensor

from redeg_cli.errors import MetricError

WEIGHTS: dict[str, tuple[str, ...]] = {
    "dists": ("checkpoints/vgg16-397923af.pth", "pyiqa/DISTS_weights-f5e65c96.pth"),
    "nlpd": (),
    "brisque": ("pyiqa/brisque_svm_weights.pth",),
    "piqe": (),
    "nrqm": ("pyiqa/NRQM_model.mat",),
    "pi": ("pyiqa/NRQM_model.mat", "pyiqa/niqe_modelparameters.mat"),
    "nima": ("pyiqa/NIMA_InceptionV2_ava-b0c77c00.pth",),
}
"""Files in torch's cache that pyiqa would otherwise download, by metric."""

_HUB_WEIGHTS = {"nima": ("timm/inception_resnet_v2.tf_in1k", "model.safetensors")}
"""Files in Hugging Face's cache: the repository and the file's name."""


def why_unavailable(name: str) -> str | None:
    """Return what to do when pyiqa or the weights of a metric are missing, None if neither is."""
    if find_spec("pyiqa") is None:
        return "it needs the package pyiqa, run `pip install 'redeg[metrics]'`"
    if missing_weights(name):
        return f"its weights are not here, run `redeg models download pyiqa-{name}`"
    return None


def missing_weights(name: str) -> list[str]:
    """Return the files that a metric of pyiqa lacks on this machine. pyiqa must be installed."""
    cache = Path(torch.hub.get_dir())
    missing = [file for file in WEIGHTS[name] if not (cache / file).is_file()]
    if name in _HUB_WEIGHTS:
        from huggingface_hub import try_to_load_from_cache

        repository, file = _HUB_WEIGHTS[name]
        if not isinstance(try_to_load_from_cache(repository, file), str):
            missing.append(f"{repository}/{file}")
    return missing


def load(name: str, device: torch.device) -> Callable[..., Tensor]:
    """Return a metric of pyiqa (B,) of RGB images (B, 3, H, W) in [0, 1], and their references.

    As pyiqa has it by default; PI leaves out a border of 4 pixels (of what it is given) as its
    authors do. Raises MetricError when it cannot be computed without a download.
    """
    if reason := why_unavailable(name):
        raise MetricError(f"{name} cannot be computed: {reason}")
    with _offline():
        metric = create(name, device)
    turn = Lock()

    def score(*images: Tensor) -> Tensor:
        # One image at a time, whoever asks: some of these metrics keep what they worked out in
        # themselves (PIQE), and some take or give another shape for batches.
        singles = zip(*(batch.split(1) for batch in images), strict=True)
        with turn:
            return torch.cat([metric(*single).reshape(1) for single in singles])

    return score


def create(name: str, device: torch.device) -> torch.nn.Module:
    """Return pyiqa's metric; pyiqa downloads what it lacks. What pyiqa prints is held back."""
    with contextlib.redirect_stdout(io.StringIO()):
        import pyiqa  # pyright: ignore[reportMissingImports]

        return pyiqa.create_metric(name, device=device)


@contextlib.contextmanager
def _offline() -> Iterator[None]:
    """Within, files in Hugging Face's cache are taken as they are: no newer ones are looked for."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
