"""LPIPS as a loss: distances of AlexNet's features, weighed as people judge them."""

from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from redeg_cli.downloads import find_download, how_to_get
from redeg_cli.errors import ModelError
from redeg_cli.io.checkpoints import check_layout, load_tensors
from redeg_cli.train.filters import FilterFeatures

Kind = Literal["alexnet", "auto"]

_AFTER_RELU = (1, 4, 7, 9, 11)
"""Places of the five ReLUs among torchvision's ``features``, whose outputs are compared."""


class Lpips(nn.Module):
    """LPIPS 0.1 with AlexNet (Zhang et al., CVPR 2018, arXiv 1801.03924, section 3.1, eq. 1).

    The weights of AlexNet are torchvision's, the linear weights those that torchmetrics comes
    with. Everything is frozen: gradients reach the images alone.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, weights: Path | None = None) -> None:
        """``weights``: torchvision's AlexNet; None searches ``downloads.download_places``.

        Raises ModelError when there are none or they do not fit.
        """
        from torchvision.models import alexnet  # takes longer to import than all else here

        super().__init__()
        path = find_download("alexnet") if weights is None else weights
        if path is None:
            raise ModelError(f"no weights of AlexNet were found for LPIPS: {how_to_get('alexnet')}")
        self.note = f"LPIPS: AlexNet of {path}"
        tensors = load_tensors(path)[0]
        with torch.device("meta"):  # no numbers are drawn only to be replaced
            self.body = alexnet(weights=None).features[: _AFTER_RELU[-1] + 1]
        mine = {
            name.removeprefix("features."): tensor
            for name, tensor in tensors.items()
            if not name.startswith("classifier.")
        }
        check_layout(str(path), self.body, mine)
        self.body.load_state_dict(mine, assign=True)
        for module in self.body:
            if isinstance(module, nn.ReLU):
                module.inplace = False  # what is compared is kept
        self.linear = nn.ParameterList(_linear_weights())
        # What the published LPIPS does to images in [-1, 1].
        self.register_buffer("shift", torch.tensor([-0.030, -0.088, -0.188])[:, None, None])
        self.register_buffer("scale", torch.tensor([0.458, 0.448, 0.450])[:, None, None])
        self.requires_grad_(False).eval()

    def forward(self, made: Tensor, truth: Tensor) -> Tensor:
        """Return the distances (B,) of images (B, 3, H, W) in [0, 1], at least 31 px a side."""
        total = made.new_zeros(made.shape[0])
        pairs = zip(self._features(made), self._features(truth), self.linear, strict=True)
        for of_made, of_truth, weight in pairs:
            squared = (of_made - of_truth).square()
            total = total + (weight * squared).sum(1).mean((1, 2))
        return total

    def _features(self, images: Tensor) -> list[Tensor]:
        """Return the unit-length features of each layer, (B, C, H, W) in float32."""
        x = (2 * images - 1 - self.shift) / self.scale
        found = []
        for index, module in enumerate(self.body):
            x = module(x)
            if index in _AFTER_RELU:
                y = x.float()
                found.append(y / (y.square().sum(1, keepdim=True) + 1e-8).sqrt())
        return found


class FilterLpips(nn.Module):
    """LPIPS' distance over fixed filters: what stands in where there are no weights of AlexNet.

    The squared distance of features of unit length, as in eq. 1, with all weights 1, mean over the
    levels of ``FilterFeatures``. It knows edges, texture and colour at four scales, and nothing of
    what people see in them. Nothing is trained.
    """

    def __init__(self) -> None:
        super().__init__()
        self.features = FilterFeatures()
        self.note = (
            "LPIPS: no weights of AlexNet were found; in its place the distance of fixed filters "
            f"(5×5 DCT on a Gaussian pyramid): {how_to_get('alexnet')}"
        )

    def forward(self, made: Tensor, truth: Tensor) -> Tensor:
        """Return the distances (B,) of images (B, 3, H, W) in [0, 1], of any size."""
        of_made, of_truth = self.features(made), self.features(truth)
        squared = [
            (_unit_length(of_made[layer]) - _unit_length(of_truth[layer])).square().sum(1)
            for layer in self.features.layers
        ]
        return torch.stack([each.mean((1, 2)) for each in squared]).mean(0)


def _unit_length(features: Tensor) -> Tensor:
    """Return features (B, C, H, W) of unit length, shorter where there is next to nothing.

    The response of a filter has a deviation of about 1 on photos: in flat parts its direction is
    that of the noise.
    """
    return features / ((features.square().sum(1, keepdim=True) + 1e-8).sqrt() + 1)


def make_lpips(kind: Kind, weights: Path | None, device: torch.device) -> Lpips | FilterLpips:
    """Return LPIPS; "auto" takes its substitute where no weights of AlexNet are found.

    ``weights`` is an AlexNet file; without it the known places are searched. Print the ``note`` of
    what comes back. Raises ModelError as ``Lpips`` does.
    """
    if kind == "auto" and weights is None and find_download("alexnet") is None:
        return FilterLpips().to(device)
    return Lpips(weights).to(device)


def _linear_weights() -> list[Tensor]:
    """Return w_l (1, C_l, 1, 1) of the five layers, as published, out of torchmetrics."""
    package = find_spec("torchmetrics")
    assert package is not None
    assert package.origin is not None
    path = Path(package.origin).parent / "functional" / "image" / "lpips_models" / "alex.pth"
    tensors = load_tensors(path)[0]
    return [tensors[f"lin{layer}.model.1.weight"] for layer in range(len(_AFTER_RELU))]
