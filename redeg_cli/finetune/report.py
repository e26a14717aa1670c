"""What a person looks at afterwards: a before/after picture and a page with sliders."""

import base64
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from redeg_cli.io.files import atomic_path, write_text
from redeg_cli.io.page import build_page

_LARGEST, _LARGEST_ALONE = 1600, 2400
"""Pixels of the longer side of the pictures inside the page: of an album's, and of one photo's."""
_POINTS = 120
"""Of a curve."""
_ROWS = 256
"""Rows of a picture that are brought to 8 bits at once."""

METHODS = {
    "general": "the general restorer (fine-tuning did not help on held-out parts)",
    "omega": "fine-tuned with Ω alone",
    "adapted": "fine-tuned, on what Ω makes and SynNet adapted to this photo",
}


@dataclass(frozen=True)
class Views:
    """Pictures for the page, (H, W, 3) in [0, 1]."""

    photos: Sequence[dict[str, Any]]
    """Of each, its ``slider``."""
    regions: Sequence[tuple[str, Sequence[tuple[str, np.ndarray]]]] = ()
    """Name, and labelled pictures of what the degradation was read off: faces and others."""
    likeness: Sequence[tuple[np.ndarray, np.ndarray]] = ()
    """A part of the photo and a synthetic one."""
    curves: dict[str, list[float]] | None = None
    """Method -> loss at each step."""


def write_before_after(path: Path, before: np.ndarray, after: np.ndarray) -> None:
    """Write a PNG of the enlarged photo and the restored one side by side, labelled.

    Both are (H, W, 3), in [0, 1] or of 8 bits, and of one size.
    """
    gap, band = 8, 28
    height, width = after.shape[:2]
    sheet = Image.new("RGB", (2 * width + gap, height + band), "white")
    draw = ImageDraw.Draw(sheet)
    for column, (label, picture) in enumerate((("before", before), ("after", after))):
        x = column * (width + gap)
        sheet.paste(_image(picture), (x, band))
        draw.text((x + 4, 6), label, fill="black", font=ImageFont.load_default(14))
    with atomic_path(path) as temporary:
        sheet.save(temporary, format="PNG")


def slider(
    name: str, before: np.ndarray, after: np.ndarray, *, alone: bool = True
) -> dict[str, Any]:
    """Return what the page shows of an enlarged photo and the restored one, (H, W, 3), in [0, 1]
    or of 8 bits: small next to them, so that an album's need not be held.

    The pictures of a photo that is ``alone`` on its page are larger.
    """
    height, width = after.shape[:2]
    largest = _LARGEST_ALONE if alone else _LARGEST
    return {
        "name": name,
        "before": _data_url(before, largest),
        "after": _data_url(after, largest),
        "width": width,
        "height": height,
        "shown": min(1.0, largest / max(width, height)),
    }


def write_page(path: Path, title: str, views: Views, summary: dict[str, Any]) -> None:
    """Write a self-contained HTML page: sliders that uncover the restored photos, links to their
    files beside the page, the faces and other regions, and, for who wants to know, what was found,
    synthetic LQs beside the photo, and the losses."""
    curves, every = _shortened(views.curves or {})
    data = {
        "title": title,
        "told": _told(summary),
        "photos": [
            {**each, **_links(summary["files"], index), "boxes": _boxes(summary["photos"][index])}
            for index, each in enumerate(views.photos)
        ],
        "regions": [
            {"name": name, "pictures": [(label, _data_url(each)) for label, each in pictures]}
            for name, pictures in views.regions
        ],
        "likeness": [
            [_data_url(each, lossless=True) for each in pictures] for pictures in views.likeness
        ],
        "curves": curves,
        "every": every,
        "methods": METHODS,
        "findings": _findings(summary),
    }
    write_text(path, build_page("finetune", f"{title}, restored", data))


def _told(summary: dict[str, Any]) -> str:
    """Return in one plain sentence what was done and whether it helped."""
    first, *others = summary["photos"]
    (width, height), (to_width, to_height) = first["size"], first["restored_size"]
    its = "their" if others else "its"
    what = f"{1 + len(others)} photos were" if others else "The photo was"
    size = f"at {to_width // width} times {its} size" if to_width > width else f"at {its} own size"
    if not others:
        size += f" ({width}x{height} to {to_width}x{to_height} pixels)"
    any_photo, own = "the restorer for any photo", f"one trained on {its} own kind of damage"
    test = "parts that were kept as a test"
    how = f"half by {any_photo} and half by {own}: {test} did not tell which is better"
    if summary["share"] == 0:
        how = f"by {any_photo}: {own} did not help on {test}"
        if summary.get("dirt") is not None:
            how = f"by {any_photo}: {own} left dirt on smooth parts of the faces"
    elif summary["share"] == 1:
        how = f"by {own}, which helped: {test} came out clearly better"
    return f"{what} restored {size}, {how}."


def _links(files: dict[str, Any], index: int) -> dict[str, str]:
    """Return the addresses, relative to the page, of what was written of a photo."""
    keys = {"restored": "restored", "sheet": "before_after"}
    return {key: quote(os.fsencode(files[kind][index])) for key, kind in keys.items()}


def _boxes(photo: dict[str, Any]) -> list[tuple[float, float, float, float]]:
    """Return where the faces and other regions are: (left, top, width, height), of the photo's."""
    width, height = photo["size"]
    regions = (each.get("region") for each in (*photo["faces"], *photo["given"]))
    return [
        (x0 / width, y0 / height, (x1 - x0) / width, (y1 - y0) / height)
        for x0, y0, x1, y1 in filter(None, regions)
    ]


def _findings(summary: dict[str, Any]) -> list[tuple[str, str]]:
    photos = summary["photos"]
    scores = ", ".join(_score_text(*each) for each in summary["held_out_scores"].items())
    faces = [face["name"] for photo in photos for face in photo["faces"]]
    given = [region["name"] for photo in photos for region in photo["given"]]
    dropped = [reason for photo in photos for reason in photo["faces_not_used"]]
    pattern = f"{len(summary['lattice'])} frequencies" if summary["lattice"] else "none"
    if dots := summary["print"]:
        inks = "black ink" if len(dots["angles"]) == 1 else "four inks"
        pattern = f"printed in dots {dots['pitch']:.1f} px apart, {inks}"
    sizes = ", ".join(
        f"{photo['size'][0]}x{photo['size'][1]} to {photo['restored_size'][0]}x"
        f"{photo['restored_size'][1]} px"
        for photo in photos
    )
    return [
        ("restored by", _restored_by(summary)),
        ("faces used", ", ".join(faces) or "none"),
        *([("sharp versions given", ", ".join(given))] if given else []),
        ("faces left out", "; ".join(dropped) or "none"),
        ("checked on parts that were not fitted", scores),
        ("periodic pattern", pattern),
        ("size", sizes),
        ("time", f"{summary['seconds']:.0f} s on {summary['device']}"),
    ]


def _restored_by(summary: dict[str, Any]) -> str:
    text = METHODS[summary["chosen"]]
    if 0 < summary["share"] < 1:
        return f"half-way between the general restorer and one {text}"
    return text


def _score_text(method: str, score: dict[str, Any]) -> str:
    if "steps" not in score:
        return f"{method} {score['psnr']:.2f} dB"
    text = f"{method} {score['psnr']:.2f} dB after {score['steps']} steps"
    best = score.get("best", score)
    if best["steps"] == score["steps"]:
        return text
    return f"{text} and {best['psnr']:.2f} dB after {best['steps']}, its best"


def _shortened(curves: dict[str, list[float]]) -> tuple[dict[str, list[float]], int]:
    """Return the curves as means over equally many steps, at most ``_POINTS``, and how many."""
    longest = max((len(values) for values in curves.values()), default=1)
    every = max(1, -(-longest // _POINTS))
    return {
        method: [
            round(float(np.mean(values[start : start + every])), 5)
            for start in range(0, len(values), every)
        ]
        for method, values in curves.items()
    }, every


def eight_bits(picture: np.ndarray) -> np.ndarray:
    """Return a picture (H, W, 3) in [0, 1] as uint8, made by rows: it may be huge."""
    samples = np.empty(picture.shape, np.uint8)
    for top in range(0, len(picture), _ROWS):
        rows = slice(top, top + _ROWS)
        samples[rows] = (np.clip(picture[rows], 0, 1) * 255).round()
    return samples


def _image(picture: np.ndarray) -> Image.Image:
    return Image.fromarray(picture if picture.dtype == np.uint8 else eight_bits(picture))


def _data_url(picture: np.ndarray, largest: int = _LARGEST, lossless: bool = False) -> str:
    image = _image(picture)
    image.thumbnail((largest, largest), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    if lossless:
        image.save(buffer, format="PNG")
    else:
        image.save(buffer, format="JPEG", quality=92)
    kind = "png" if lossless else "jpeg"
    return f"data:image/{kind};base64," + base64.b64encode(buffer.getvalue()).decode()
