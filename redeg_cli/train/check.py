"""Look through the images of a recipe before a run: what cannot be used, what is there twice."""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from redeg_cli.errors import InputError
from redeg_cli.io.ahead import map_ahead
from redeg_cli.io.decode import decode, read_bytes
from redeg_cli.io.listing import list_images
from redeg_cli.progress import OnProgress, no_progress
from redeg_cli.train.check_pairs import check_pairs
from redeg_cli.train.recipe_base import DataSource
from redeg_cli.train.recipes import AnyRecipe, Recipe, parts_of
from redeg_cli.train.registered import HELD_OUT_SIDE, check_registered

Problem = Literal["unreadable", "small", "duplicate", "mismatched", "unusable"]
"""The last is a folder's, the others are an image's."""


@dataclass(frozen=True)
class Finding:
    """What is wrong with one image, or with a folder."""

    path: Path
    problem: Problem
    message: str
    """One line that names it."""


@dataclass(frozen=True)
class Check:
    """What was found in all images of a recipe."""

    images: int
    findings: list[Finding]

    def count(self, problem: Problem) -> int:
        """Return how many images have a problem."""
        return sum(finding.problem == problem for finding in self.findings)


class _Image(NamedTuple):
    """What is remembered of an image that was read."""

    size: tuple[int, int] = (0, 0)
    of_bytes: bytes = b""
    of_pixels: bytes = b""
    fault: str = ""


def check_data(recipe: AnyRecipe, progress: OnProgress = no_progress) -> Check:
    """Read every image of ``recipe`` once and return what is unreadable, too small or double, real
    pairs that do not match, and folders that have no image left.

    Images with the same bytes, and with the same pixels in other files, are duplicates of the
    first one, across sources too: a training image in the validation shows there. Raises
    InputError for a folder that does not exist or holds no images.
    """
    parts = parts_of(recipe)
    needs = _inputs(parts)
    findings: list[Finding] = []
    firsts: dict[bytes, Path] = {}
    sides: dict[str, int] = {}
    for index, (path, image) in enumerate(zip(needs, map_ahead(_read, needs), strict=True)):
        if found := _judge(path, image, needs[path], firsts):
            findings.append(found)
        sides[os.path.realpath(path)] = min(image.size)
        progress(index + 1, len(needs), "reading images")
    for part in parts:
        findings += _unusable(part, sides)
        if part.kind == "redegnet-paper" and part.pairs:
            findings += [
                Finding(path, "mismatched", text) for path, text in check_pairs(part.pairs)
            ]
        for folders, scale, least, max_shift in _registered(part):
            wrong = check_registered(folders, scale, least, max_shift)
            findings += [Finding(path, "mismatched", text) for path, text in wrong]
    return Check(len(needs), findings)


def smallest_side(recipe: Recipe) -> int:
    """Return the side in pixels below which an image is left out."""
    return recipe.crop * max(recipe.scales) if recipe.kind == "restorer" else recipe.crop


def _sources(recipe: Recipe) -> list[DataSource]:
    """Return where the HQ images of a recipe are from."""
    if recipe.kind == "dml":
        return []
    faces = recipe.faces if recipe.kind == "redegnet-paper" else []
    return [*recipe.data, *recipe.validation, *faces]


def _least_side(recipe: Recipe, source: DataSource) -> int:
    """Return the side that a source's images need; faces are cut out and may be any."""
    return 1 if source.align_faces else smallest_side(recipe)


def _unusable(recipe: Recipe, sides: Mapping[str, int]) -> Iterator[Finding]:
    """Yield the folders none of whose images, of ``sides`` by their real paths, can be used."""
    for source in _sources(recipe):
        least, files = _least_side(recipe, source), list_images([source.folder])
        if all(sides[os.path.realpath(file.path)] < least for file in files):
            message = f"{source.folder} has no image of at least {least} px on its shorter side"
            yield Finding(source.folder, "unusable", message)


def _registered(recipe: Recipe) -> list[tuple[list[Path], int, int, float]]:
    """Return sets of folders of registered pairs: their scale, least side of an HQ, and shift."""
    if recipe.kind == "dml":
        wanted = ((recipe.pairs, recipe.crop), (recipe.held_out, HELD_OUT_SIDE))
        scale = recipe.scale
    elif recipe.kind == "restorer":
        wanted, scale = ((recipe.pairs, smallest_side(recipe)),), max(recipe.scales)
    else:
        return []
    return [(folders, scale, least, recipe.max_shift) for folders, least in wanted if folders]


def _inputs(parts: Sequence[Recipe]) -> dict[Path, int]:
    """Return each image file once, with the side it needs."""
    folders: list[tuple[Path, int]] = []
    for recipe in parts:
        for registered, *_ in _registered(recipe):
            folders += [(folder, 0) for folder in registered]
        folders += [(each.folder, _least_side(recipe, each)) for each in _sources(recipe)]
        if recipe.kind == "redegnet-paper":
            folders += [(pair, 0) for pair in recipe.pairs if pair.is_dir()]
    needs: dict[str, tuple[Path, int]] = {}
    for folder, need in folders:
        for file in list_images([folder]):
            real = os.path.realpath(file.path)
            path, before = needs.get(real, (file.path, 0))
            needs[real] = path, max(before, need)
    return dict(needs.values())


def _read(path: Path) -> _Image:
    try:
        data = read_bytes(path)
        rgb = decode(path, data)[0]
    except InputError as error:
        return _Image(fault=str(error))
    size = rgb.shape[0], rgb.shape[1]
    pixels = np.ascontiguousarray((rgb * 65535).round().astype(np.uint16))
    of_pixels = hashlib.blake2b(pixels.data, digest_size=16, salt=b"%dx%d" % size).digest()
    return _Image(size, hashlib.blake2b(data, digest_size=16).digest(), of_pixels)


def _judge(path: Path, image: _Image, need: int, firsts: dict[bytes, Path]) -> Finding | None:
    if image.fault:
        return Finding(path, "unreadable", image.fault)
    for key, what in ((image.of_bytes, "bytes"), (image.of_pixels, "pixels")):
        if key in firsts:
            if path.parent == firsts[key].parent and path.samefile(firsts[key]):
                return None  # a hard link: in a made set the HQs of an image's variants are one
            message = f"{path} has the same {what} as {firsts[key]}"
            return Finding(path, "duplicate", message)
    firsts[image.of_bytes] = firsts[image.of_pixels] = path
    if min(image.size) < need:
        height, width = image.size
        message = f"{path} is {width}x{height} pixels: at least {need}x{need} are needed"
        return Finding(path, "small", message)
    return None
