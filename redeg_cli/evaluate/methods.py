"""What is compared: folders of results, bicubic enlargement, and restorers run on the fly."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from redeg_cli.degrade.resize import resize, to_native
from redeg_cli.errors import InputError, PairError
from redeg_cli.evaluate.dataset import Dataset, Sample, pictures_of, result_stems
from redeg_cli.evaluate.matching import match_names
from redeg_cli.io.images import Photo, image_size, read_photo, read_rgb, to_tensor
from redeg_cli.io.pairs import pair_scale
from redeg_cli.restore.photo import RestorerLike, restore_photo


@dataclass(frozen=True)
class Method:
    """Something that has a result for each image."""

    name: str
    make: Callable[[Sample], Tensor]
    """Sample -> its result (1, 3, H, W) in [0, 1] on the CPU. Raises RedegError, one line."""
    reads_files: bool
    """``make`` only reads a file: several may be read at once."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Where the results come from, for the record."""


def folder_method(name: str, folder: Path, dataset: Dataset) -> tuple[Method, list[str]]:
    """Return the method whose results lie in ``folder``, and a line for each picture left out.

    Results are matched by name (see ``match_names``); an image without one is an error when it is
    asked for. Raises InputError when no name matches at all.
    """
    pictures = pictures_of(folder, "hr")
    matched = match_names(result_stems(dataset.samples), pictures)
    if not matched.found:
        names = ", ".join(sample.name for sample in dataset.samples[:3])
        raise InputError(
            f"no picture in {folder} has the name of one of the data set ({names}, ...)"
        )

    def make(sample: Sample) -> Tensor:
        path = matched.found.get(sample.name)
        if path is None:
            raise InputError(f"no result in {folder}")
        return to_tensor(read_rgb(path))

    return Method(name, make, True, {"folder": str(folder)}), matched.problems


def bicubic_method(name: str, scale: int | None) -> Method:
    """Return bicubic enlargement (a = -0.5, as MATLAB's imresize) of the LQs.

    ``scale`` is needed where there is no reference to tell the size. An LQ that has the size of
    its reference already is taken as it is.
    """

    def make(sample: Sample) -> Tensor:
        lq = to_tensor(read_rgb(_lq_of(sample)))
        factor, native = lq_scale(sample, (lq.shape[2], lq.shape[3]), scale)
        if not native:
            return lq
        size = (lq.shape[2] * factor, lq.shape[3] * factor)
        return as_saved(resize(lq, size, "bicubic", antialias=True))

    return Method(name, make, True, {"model": "bicubic", "scale": scale})


def restorer_method(
    name: str,
    load: Callable[[int], RestorerLike],
    scale: int | None,
    device: torch.device,
    precision: str = "auto",
    tile: int | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Method:
    """Return a restorer run on the LQs, as ``redeg restore`` runs it on files.

    ``load`` gives the restorer of a scale. Without ``scale`` it is that between LQ and reference,
    where an LQ on the grid of its reference is restored at scale 1; with one, such an LQ is brought
    to its own grid first. The result has 8 bits a channel, as if it had been saved. ``settings``
    are kept for the record.
    """
    loaded: dict[int, RestorerLike] = {}

    def make(sample: Sample) -> Tensor:
        photo = read_photo(_lq_of(sample))
        height, width = photo.rgb.shape[:2]
        factor, native = lq_scale(sample, (height, width), scale)
        if not native and factor > 1:
            photo = _on_own_grid(photo, factor)
        if factor not in loaded:
            loaded[factor] = load(factor)
        restored = restore_photo(
            photo, loaded[factor], tile=tile, device=device, precision=precision
        )
        return as_saved(to_tensor(restored.rgb))

    own = {"scale": scale, "precision": precision, "tile": tile}
    return Method(name, make, False, {**(settings or {}), **own})


def as_saved(image: Tensor) -> Tensor:
    """Return an image rounded to the 256 levels of an 8-bit file."""
    return (image.clamp(0, 1) * 255).round() / 255


def lq_scale(sample: Sample, lq_hw: tuple[int, int], scale: int | None) -> tuple[int, bool]:
    """Return (scale, whether the LQ is on its own grid) of a sample's LQ of (height, width).

    Raises PairError when LQ and reference do not fit, InputError when nothing tells the scale.
    """
    if sample.reference is None:
        if scale is None:
            raise InputError("there is no reference that tells the scale: give --scale")
        return scale, True
    hq_hw = image_size(sample.reference)
    factor, native = pair_scale(lq_hw, hq_hw, scale)
    return factor if native or scale is not None else 1, native


def dataset_scale(dataset: Dataset) -> int | None:
    """Return the scale of the first pair that can be read and fits one; None if there is none."""
    for sample in dataset.samples:
        if sample.lq is not None and sample.reference is not None:
            with suppress(InputError):  # it is named when it is evaluated
                return lq_scale(sample, image_size(sample.lq), None)[0]
    return None


def _lq_of(sample: Sample) -> Path:
    if sample.lq is None:
        raise InputError("no LQ to restore")
    return sample.lq


def _on_own_grid(photo: Photo, scale: int) -> Photo:
    height, width = photo.rgb.shape[:2]
    if height % scale or width % scale:
        raise PairError(
            f"the LQ has the size of its reference, {width}x{height}, which is no multiple of "
            f"{scale}: give LQs on their own grid, or --scale 1"
        )
    native = to_native(to_tensor(photo.rgb), scale)
    rgb = np.ascontiguousarray(native[0].permute(1, 2, 0).numpy())
    return Photo(rgb, None, photo.gray, photo.bit_depth)
