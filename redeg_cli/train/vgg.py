"""VGG-19 as a feature extractor: its layers and its weights."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from redeg_cli.downloads import find_download, how_to_get
from redeg_cli.errors import ModelError
from redeg_cli.io.checkpoints import load_tensors

PAPER_LAYERS = ("conv1_2", "conv2_2", "conv3_4", "conv4_4")
"""Φ_1 to Φ_4 of eqs. 8 and 9. "The i-th convolution layer" is read as the last one of each block:
the release has these, and conv5_4 beside them."""

ESRGAN_LAYERS = (*PAPER_LAYERS, "conv5_4")
"""The layers of Real-ESRGAN and of the release."""


class Vgg19Features(nn.Module):
    """VGG-19 (arXiv 1409.1556) of torchvision, frozen, up to the last layer asked for.

    Layers are called conv{block}_{index}: the output of the convolution *before* its ReLU, as
    ESRGAN, Real-ESRGAN and the release take it. Images are normalised as for ImageNet. They must
    be at least 16 px wide and high for conv5_4 (8 for conv4_4, and so on).
    """

    name = "vgg19"
    mean: Tensor
    deviation: Tensor

    def __init__(self, weights: Path | None = None, layers: Sequence[str] = ESRGAN_LAYERS) -> None:
        """``weights``: torchvision's state dict, or its features part, as .pth or safetensors.

        None searches ``downloads.download_places``. Raises ModelError when there are none or
        they do not fit.
        """
        super().__init__()
        indices = _vgg19_layers()
        if unknown := [layer for layer in layers if layer not in indices] or not layers:
            raise ModelError(f"VGG-19 has no layers {unknown!r}, but: {', '.join(indices)}")
        path = find_download("vgg19") if weights is None else weights
        if path is None:
            raise ModelError(f"no weights of VGG-19 were found: {how_to_get('vgg19')}")
        self.layers = tuple(layers)
        self.note = f"features: VGG-19 of {path}"
        self._names = {indices[layer]: layer for layer in layers}
        self.body = _build_vgg19(path, last=max(self._names))
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406])[:, None, None])
        self.register_buffer("deviation", torch.tensor([0.229, 0.224, 0.225])[:, None, None])
        self.requires_grad_(False).eval()

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Return Φ of images (B, 3, H, W) in [0, 1]; gradients reach the images alone."""
        x = (images - self.mean) / self.deviation
        found = {}
        for index, module in enumerate(self.body):
            x = module(x)
            if index in self._names:
                found[self._names[index]] = x
        return found


_BLOCKS = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4))
"""Channels and convolutions of VGG-19's blocks; each block but the last ends in a max-pooling."""


def _vgg19_layers() -> dict[str, int]:
    """Return the place of each convolution among torchvision's ``features``."""
    places, index = {}, 0
    for block, (_, count) in enumerate(_BLOCKS, 1):
        for number in range(1, count + 1):
            places[f"conv{block}_{number}"] = index
            index += 2  # itself and its ReLU
        index += 1  # the pooling
    return places


def _build_vgg19(path: Path, last: int) -> nn.Sequential:
    """Return torchvision's ``features[: last + 1]`` with the weights of a file."""
    modules: list[nn.Module] = []
    before = 3
    with torch.device("meta"):  # no numbers are drawn only to be replaced
        for channels, count in _BLOCKS:
            for _ in range(count):
                modules += [nn.Conv2d(before, channels, 3, padding=1), nn.ReLU()]
                before = channels
            modules.append(nn.MaxPool2d(2, 2))
        body = nn.Sequential(*modules[: last + 1])
    tensors = {name.removeprefix("features."): x for name, x in load_tensors(path)[0].items()}
    wanted = body.state_dict()
    for name, empty in wanted.items():
        if name not in tensors:
            raise ModelError(f"{path}: features.{name} is missing; not weights of VGG-19")
        if tensors[name].shape != empty.shape:
            got, want = list(tensors[name].shape), list(empty.shape)
            raise ModelError(f"{path}: features.{name} is {got}, wanted {want}")
    body.load_state_dict({name: tensors[name].clone() for name in wanted}, assign=True)
    return body
