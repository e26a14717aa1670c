"""Feature extractors Φ for perceptual and style losses: VGG-19, or filters that need no weights."""

from pathlib import Path
from typing import Literal, Protocol

import torch
from torch import Tensor

from redeg_cli.downloads import find_download, how_to_get
from redeg_cli.errors import ModelError
from redeg_cli.train.filters import FilterFeatures
from redeg_cli.train.vgg import ESRGAN_LAYERS, PAPER_LAYERS, Vgg19Features

Kind = Literal["auto", "vgg19", "filters"]
Table = Literal["paper", "released", "real-esrgan"]

LAYER_WEIGHTS: dict[Table, dict[str, float]] = {
    "paper": dict.fromkeys(PAPER_LAYERS, 1.0),
    "released": dict(zip(ESRGAN_LAYERS, (2.0, 1.2, 0.6, 0.2, 0.1), strict=True)),
    # arXiv 2107.10833, section 4.1; the release's F2N-ESRGAN has them too.
    "real-esrgan": dict(zip(ESRGAN_LAYERS, (0.1, 0.1, 1.0, 1.0, 1.0), strict=True)),
}
"""Weights w_i of VGG-19's layers, by whose choice they are."""


class FeatureExtractor(Protocol):
    """What turns images into the features Φ_i that losses compare."""

    name: str
    note: str
    """For the user: which features these are and where they come from."""
    layers: tuple[str, ...]

    def __call__(self, images: Tensor, /) -> dict[str, Tensor]:
        """Return Φ_i (B, C_i, H_i, W_i) by layer of RGB images (B, 3, H, W) in [0, 1]."""
        ...


def make_features(
    kind: Kind = "auto", weights: Path | None = None, device: torch.device | str = "cpu"
) -> FeatureExtractor:
    """Return the extractor of a kind; "auto" takes VGG-19 where its weights are, else filters.

    ``weights`` is a VGG-19 file; without it the known places are searched. Print the ``note`` of
    what comes back: losses of one kind do not compare with those of the other. Raises ModelError
    when there are no weights for "vgg19" or the file given cannot be used.
    """
    if kind == "filters" and weights is not None:
        raise ModelError(f"filters take no weights, got {weights}: ask for vgg19 or auto")
    if kind == "filters":
        return FilterFeatures().to(device)
    if kind == "auto" and weights is None and find_download("vgg19") is None:
        filters = FilterFeatures().to(device)
        filters.note += f", since no weights of VGG-19 were found: {how_to_get('vgg19')}"
        return filters
    return Vgg19Features(weights).to(device)


def layer_weights(extractor: FeatureExtractor, table: Table) -> dict[str, float]:
    """Return the weights w_i for the layers of ``extractor`` after a table.

    An extractor with other layers than VGG-19's has equal weights that sum to the same.
    """
    weights = LAYER_WEIGHTS[table]
    if set(weights) <= set(extractor.layers):
        return dict(weights)
    return dict.fromkeys(extractor.layers, sum(weights.values()) / len(extractor.layers))
