"""Community networks, recognised by their layout through spandrel, under our own contract."""

from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

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


def restorer_runs(source: str, model: Any) -> tuple[Run, Run]:
    """Return (B, 3, h, w) -> (B, 3, h·scale, w·scale), [0, 1], of a spandrel image model.

    The second keeps gradients, which spandrel's own call does not, but takes only sizes that the
    network does. A gray network sees the three channels one after the other, so colours stay.
    """
    if model.purpose == "FaceSR":
        raise ModelError(
            f"{source}: {model.architecture.name} restores aligned faces, wanted a restorer of "
            "whole photos"
        )
    channels = (model.input_channels, model.output_channels)
    if channels not in ((1, 1), (3, 3), (3, 1), (4, 4)):
        raise ModelError(
            f"{source}: {model.architecture.name} takes {channels[0]} channels and gives "
            f"{channels[1]}, wanted RGB or gray"
        )

    def as_rgb(call: Run, images: Tensor) -> Tensor:
        if channels == (1, 1):
            return torch.cat([call(plane) for plane in images.split(1, dim=1)], dim=1)
        if channels == (4, 4):
            return call(torch.cat([images, torch.ones_like(images[:, :1])], dim=1))[:, :3]
        return call(images).expand(-1, 3, -1, -1)

    def run(images: Tensor) -> Tensor:
        # spandrel promises single images only.
        return torch.cat([as_rgb(model, image) for image in images.split(1)])

    return run, partial(as_rgb, model.model)


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
