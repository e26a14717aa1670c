"""Community networks, recognised by their layout through spandrel, under our own contract."""

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from redeg_cli.errors import ModelError

Run = Callable[[Tensor], Tensor]


def load_community(source: str, tensors: Mapping[str, Tensor], device: torch.device | str) -> Any:
    """Return spandrel's ImageModelDescriptor of a state dict, in eval mode on ``device``.

    Raises ModelError, naming ``source``, when spandrel does not know the layout, the weights do
    not fit it, or the model needs a mask.
    """
    import spandrel

    if find_spec("spandrel_extra_arches") is not None:
        import_module("spandrel_extra_arches").install(ignore_duplicates=True)
    try:
        # spandrel may rename keys in place.
        model = spandrel.ModelLoader(device).load_from_state_dict(dict(tensors))
    except spandrel.UnsupportedModelError as error:
        raise ModelError(
            f"{source}: no known network has this layout (CodeFormer and some others need "
            "`pip install spandrel_extra_arches`)"
        ) from error
    except (RuntimeError, KeyError, ValueError, AssertionError, IndexError) as error:
        # PyTorch lists every tensor that differs: the first one says enough.
        lines = [line.strip() for line in str(error).splitlines()[:2]]
        first = " ".join(lines) or type(error).__name__
        raise ModelError(f"{source}: the weights do not fit their network: {first}") from error
    if not isinstance(model, spandrel.ImageModelDescriptor):
        raise ModelError(
            f"{source}: {model.architecture.name} works on an image and a mask, "
            "wanted a model that takes one image"
        )
    return model.eval()


class CommunityNetwork(nn.Module):
    """A network of spandrel's under the contract of restorers, as it is trained.

    (B, 3, h, w) -> (B, 3, h·scale, w·scale), both in [0, 1], with gradients, which spandrel's own
    call does not keep, and not clamped; only of sizes that the network takes. A gray network sees
    the three channels one after the other, so colours stay. Raises ModelError, naming ``source``,
    for one that restores no photos.
    """

    def __init__(self, source: str, model: Any) -> None:
        super().__init__()
        if model.purpose == "FaceSR":
            raise ModelError(
                f"{source}: {model.architecture.name} restores aligned faces, wanted a restorer of "
                "whole photos"
            )
        self.channels = (model.input_channels, model.output_channels)
        if self.channels not in ((1, 1), (3, 3), (3, 1), (4, 4)):
            raise ModelError(
                f"{source}: {model.architecture.name} takes {self.channels[0]} channels and gives "
                f"{self.channels[1]}, wanted RGB or gray"
            )
        self.network: nn.Module = model.model
        # What spandrel does around the network (a noise map, another range, the first of several
        # outputs), it does for single images; where it does nothing, batches are as good.
        self._call: Callable[[nn.Module, Tensor], Tensor] = model._call_fn
        self._alone = "ImageModelDescriptor" not in self._call.__qualname__
        self._folds = any(name.endswith("eval_conv") for name, _ in self.network.named_modules())

    def train(self, mode: bool = True) -> "CommunityNetwork":
        """Stay in evaluation mode: training modes drop paths out, by no seed.

        SPAN alone is trained in training mode: in the other it computes with a folded copy of its
        weights, which hands no gradient on to them.
        """
        super().train(mode)
        self.network.train(mode and self._folds)
        return self

    def forward(self, images: Tensor) -> Tensor:
        """Restore (B, 3, h, w)."""
        return as_rgb(self._own, images, self.channels)

    def _own(self, images: Tensor) -> Tensor:
        parts = images.split(1) if self._alone else (images,)
        return torch.cat([self._call(self.network, part) for part in parts])


def community_run(model: Any) -> Run:
    """Return (B, 3, h, w) -> (B, 3, h·scale, w·scale), [0, 1], of a spandrel image model.

    Any size; no gradient is kept.
    """
    channels = (model.input_channels, model.output_channels)
    # spandrel promises single images only.
    return lambda images: torch.cat([as_rgb(model, each, channels) for each in images.split(1)])


def as_rgb(call: Run, images: Tensor, channels: tuple[int, int]) -> Tensor:
    """Return RGB of RGB (B, 3, h, w) from a ``call`` that takes and gives so many channels."""
    if channels == (1, 1):
        return torch.cat([call(plane) for plane in images.split(1, dim=1)], dim=1)
    if channels == (4, 4):
        return call(torch.cat([images, torch.ones_like(images[:, :1])], dim=1))[:, :3]
    return call(images).expand(-1, 3, -1, -1)


def face_run(source: str, model: Any) -> Run:
    """Return (B, 3, 512, 512) -> the same, [0, 1], of a spandrel face model.

    Raises ModelError when the model is not made for aligned faces.
    """
    name = model.architecture.id
    if model.purpose != "FaceSR" or (model.input_channels, model.output_channels) != (3, 3):
        raise ModelError(
            f"{source}: {name} does not restore aligned faces; wanted a face model such as "
            "GFPGAN, CodeFormer or RestoreFormer"
        )
    # spandrel hands GFPGAN and CodeFormer their input as it is, but both run in [-1, 1]. GFPGAN
    # also draws fresh noise at each call: fixed noise makes a face come out the same every time.
    fixed = {"GFPGAN": {"return_rgb": False, "randomize_noise": False}, "CodeFormer": {}}
    if name in fixed:
        network, options = model.model, fixed[name]

        def signed(face: Tensor) -> Tensor:
            return (network(face * 2 - 1, **options)[0] + 1) / 2

        return lambda faces: torch.cat([signed(face) for face in faces.split(1)])
    return lambda faces: torch.cat([model(face) for face in faces.split(1)])
