"""A labelled contact sheet of what a degrader does to one image."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from redeg_cli.degrade.base import Record
from redeg_cli.io.lettering import drawable

COLUMNS = 4
_GAP, _LINE, _FONT_SIZE = 12, 15, 12
_PAPER, _INK, _FAINT = (250, 250, 248), (25, 25, 25), (110, 110, 110)


def describe_step(step: Mapping[str, Any]) -> str:
    """Return a recorded step as a few words, ``jpeg quality 63``; seeds are left out."""
    words = [str(step.get("op", "?"))]
    for key, value in step.items():
        if isinstance(value, bool):
            words += [key] if value else []
        elif isinstance(value, int | float) and key != "seed":
            words.append(f"{key} {value:.3g}")
        elif isinstance(value, str) and key != "op":
            words.append(value)
        elif isinstance(value, list) and all(isinstance(each, int | float) for each in value):
            words.append(f"{key} {'/'.join(f'{each:.3g}' for each in value)}")
        elif value is not None and key not in ("op", "seed"):
            words.append(key)
    return " ".join(words)


def describe_record(record: Record) -> str:
    """Return what a record does: its steps, or what it names of pools."""
    if "omega" in record:
        return f"Ω of {record['omega']}"
    if "kernel" in record:
        jpeg = record["jpeg"]
        text = f"kernel {record['kernel']} · noise {record['noise']['patch']}"
        if jpeg is None:
            return text
        chroma = ", 4:2:0" if jpeg["subsample"] else ""
        return f"{text} · JPEG {jpeg['quality']:.0f}{chroma}"
    return " · ".join(describe_step(step) for step in record.get("steps", ()))


def contact_sheet(
    original: np.ndarray, lqs: Sequence[np.ndarray], titles: Sequence[str], texts: Sequence[str]
) -> np.ndarray:
    """Return a sheet (H, W, 3) in [0, 1]: the original first, then each LQ with its label.

    ``original`` is (h, w, 3) in [0, 1]; the LQs, aligned, have its size. ``titles`` and ``texts``
    are those of the LQs; a long text is wrapped.
    """
    height, width = original.shape[:2]
    wrapped = [textwrap.wrap(text, max(16, width // 6)) for text in texts]
    label = _LINE * (1 + max(map(len, wrapped), default=0)) + 6
    cells = [(original, "the image itself", [f"{width} x {height} pixels"])]
    cells += list(zip(lqs, titles, wrapped, strict=True))
    columns = min(COLUMNS, len(cells))
    rows = math.ceil(len(cells) / columns)
    cell = (width + _GAP, height + label + _GAP)
    sheet = Image.new("RGB", (columns * cell[0] + _GAP, rows * cell[1] + _GAP), _PAPER)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(_FONT_SIZE)
    for place, (rgb, title, lines) in enumerate(cells):
        x = _GAP + place % columns * cell[0]
        y = _GAP + place // columns * cell[1]
        sheet.paste(Image.fromarray((rgb.clip(0, 1) * 255).round().astype(np.uint8)), (x, y))
        y += height + 3
        pen.text((x, y), drawable(title), _INK, font)
        for number, line in enumerate(lines, 1):
            pen.text((x, y + number * _LINE), drawable(line), _FAINT, font)
    return np.asarray(sheet, dtype=np.float32) / 255
