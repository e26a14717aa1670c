"""The piece of an LQ picture that an Ω was read off, small enough for a page."""

import base64
import io
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from redeg_cli.errors import RedegError
from redeg_cli.io.files import stays_inside
from redeg_cli.io.images import read_rgb
from redeg_cli.omega.pool_groups import picture_name
from redeg_cli.progress import OnProgress, no_progress

SIDES = (128, 96, 64, 48, 32)
"""Largest sides in pixels of a crop on the page, tried until it is small enough."""
QUALITY = 85
"""Of WebP: grain and JPEG blocks are still seen at it, 128x128 px take about 5 kB."""

_CROP = re.compile(r"^crop at (\d+),(\d+) of (\d+) px")
_REGION = re.compile(r"region at (\d+),(\d+) of (\d+)x(\d+) px$")


class Place(NamedTuple):
    """A rectangle of a picture, in pixels."""

    left: int
    top: int
    width: int
    height: int


@dataclass
class Crops:
    """The crops of a pool's Ωs."""

    pictures: list[str]
    """Per Ω: a data URI, or nothing when its picture was not found or does not fit."""
    missing: list[str] = field(default_factory=list)
    """Names of pictures that are in none of the folders."""
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    """(name, message) of those that are there and cannot be read."""


def read_crops(
    names: Sequence[str],
    notes: Sequence[str],
    scales: Sequence[int] | np.ndarray,
    folders: Sequence[Path],
    max_bytes: int,
    on_progress: OnProgress = no_progress,
) -> Crops:
    """Return the LQ crop of each Ω, from the pictures in ``folders`` that the names stand for.

    A name is looked for in a folder, in its ``lq`` and beside it. All crops together take at most
    ``max_bytes``: larger ones are shown smaller, down to 32 pixels, or left out.
    """
    crops = Crops([""] * len(names))
    rows_of: dict[str, list[int]] = {}
    for row, name in enumerate(names):
        rows_of.setdefault(name, []).append(row)
    for done, (name, rows) in enumerate(rows_of.items()):
        on_progress(done, len(rows_of), name)
        path = find_picture(name, folders)
        if path is None:
            crops.missing.append(name)
            continue
        try:
            picture = read_rgb(path)
        except RedegError as error:
            crops.unreadable.append((name, str(error)))
            continue
        places = lq_places([notes[row] for row in rows], int(scales[rows[0]]), picture.shape[:2])
        sides = SIDES
        for row, place in zip(rows, places, strict=True):
            crops.pictures[row], side = _data_uri(picture, place, sides, max_bytes // len(names))
            # What did not fit one crop of a picture need not be tried on the next.
            sides = tuple(smaller for smaller in SIDES if smaller <= side)
    return crops


def find_picture(name: str, folders: Sequence[Path]) -> Path | None:
    """Return the LQ picture that a pool's name stands for, None when no folder holds it."""
    for wanted in dict.fromkeys((name, picture_name(name))):
        # A pool is a file from anywhere: its names must not lead out of the folders given.
        if not stays_inside(wanted):
            continue
        for folder in folders:
            for place in (folder, folder / "lq", folder / "LQ", folder.absolute().parent):
                # A name that no file can have is none here; Path.is_file raises for some.
                if os.path.isfile(place / wanted):
                    return place / wanted
    return None


def lq_places(notes: Sequence[str], scale: int, size: tuple[int, int]) -> list[Place]:
    """Return where in a picture of ``size`` (height, width) the Ωs of one pair were taken.

    Notes give places on the HQ's grid. Whether the LQ is on that grid too is not noted: it is when
    no crop reaches beyond it. What a note does not tell is the whole picture.
    """
    height, width = size
    crops = [_CROP.match(note) for note in notes]
    found = [tuple(map(int, crop.groups())) if crop else None for crop in crops]
    reach = max((max(left, top) + side for left, top, side in filter(None, found)), default=0)
    places = []
    for note, crop in zip(notes, found, strict=True):
        region = _REGION.search(note)
        x, y, across, down = map(int, region.groups()) if region else (0, 0, width, height)
        # The region of a face is cut from its photo, whose grid is never the HQ's.
        factor = scale if region or reach > max(size) else 1
        if crop is not None:
            left, top, side = (value // factor for value in crop)
            x, y, across, down = x + left, y + top, side, side
        x, y = min(x, width - 1), min(y, height - 1)
        places.append(Place(x, y, max(1, min(across, width - x)), max(1, min(down, height - y))))
    return places


def _data_uri(
    picture: np.ndarray, place: Place, sides: Sequence[int], limit: int
) -> tuple[str, int]:
    """Return the middle of a place, and the first side at which it takes up to ``limit`` bytes.

    It keeps its own pixels, so that what degraded it can be seen. Nothing when no side will do.
    """
    for side in sides:
        across, down = min(place.width, side), min(place.height, side)
        left = place.left + (place.width - across) // 2
        top = place.top + (place.height - down) // 2
        pixels = np.rint(picture[top : top + down, left : left + across] * 255).astype(np.uint8)
        content = io.BytesIO()
        Image.fromarray(pixels).save(content, format="WEBP", quality=QUALITY, method=4)
        uri = "data:image/webp;base64," + base64.b64encode(content.getvalue()).decode()
        if len(uri) <= limit:
            return uri, side
    return "", sides[-1]
