"""A comparison sheet: the same crop of LQ, every method and reference side by side, labelled."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from redeg_cli.degrade.resize import resize
from redeg_cli.errors import InputError, RedegError
from redeg_cli.evaluate.dataset import Dataset, Sample
from redeg_cli.evaluate.metrics import METRICS
from redeg_cli.evaluate.restoration import Evaluation
from redeg_cli.evaluate.tables import number
from redeg_cli.io.images import read_rgb, to_array, to_tensor
from redeg_cli.io.lettering import drawable
from redeg_cli.progress import OnProgress, no_progress
from redeg_cli.validation import did_you_mean

CROP = 128
"""Side in pixels of the part that is shown."""
_CELL = 256
_COLUMNS = 6
_GAP, _TITLE, _LINE, _FONT = 14, 30, 18, 14
_PAPER, _INK, _FAINT, _BEST = (255, 255, 255), (20, 20, 20), (105, 105, 105), (0, 105, 60)


@dataclass(frozen=True)
class Panel:
    """One picture of a strip and what is written under it."""

    picture: np.ndarray
    """(h, w, 3) in [0, 1]; at most a cell large."""
    label: str
    text: str = ""
    best: bool = False


@dataclass(frozen=True)
class Strip:
    """The panels of one image."""

    title: str
    panels: tuple[Panel, ...]


def choose_images(evaluation: Evaluation, count: int) -> list[str]:
    """Return the names of the ``count`` images that show most, in the order of the data set.

    With several methods those on which their first metric differs most; with one the worst, the
    best and those evenly between.
    """
    names = [sample.name for sample in evaluation.dataset.samples]
    if not evaluation.metrics or not names:
        return names[:count]
    metric = evaluation.metrics[0]
    table = np.stack([evaluation.column(method.name, metric) for method in evaluation.methods])
    usable = np.flatnonzero(np.isfinite(table).all(axis=0))
    if len(usable) <= count:
        rest = [place for place in range(len(names)) if place not in set(usable)]
        return [names[place] for place in sorted([*usable, *rest[: count - len(usable)]])]
    if len(table) > 1:
        spread = np.ptp(table[:, usable], axis=0)
        chosen = usable[np.argsort(-spread, kind="stable")[:count]]
    else:
        order = usable[np.argsort(table[0, usable], kind="stable")]
        chosen = order[np.linspace(0, len(order) - 1, count).round().astype(int)]
    return [names[place] for place in sorted(chosen)]


def check_images(dataset: Dataset, names: Sequence[str]) -> None:
    """Raise InputError for a name that no image of the data set has."""
    known = [sample.name for sample in dataset.samples]
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known)
            raise InputError(f"no image of {dataset.name} is called {name!r}{hint}")


def choose_crop(
    results: Sequence[Tensor], reference: Tensor | None, side: int
) -> tuple[int, int, int, int]:
    """Return (top, left, height, width) of the square of ``side`` where there is most to see.

    Images are (1, 3, H, W) of one size. Where the methods differ most; of a single one, where it is
    furthest from its reference; without one, where it has most texture.
    """
    images = torch.cat(list(results))
    if len(images) > 1:
        interest = images.var(dim=0, correction=0)
    elif reference is not None:
        interest = (images[0] - reference[0]).square()
    else:
        interest = F.pad((images[0, :, 1:, 1:] - images[0, :, :-1, :-1]).square(), (0, 1, 0, 1))
    height, width = images.shape[-2:]
    tall, wide = min(side, height), min(side, width)
    step = 8
    # Down and then across: in a twentieth of the time.
    columns = F.avg_pool2d(interest.mean(0)[None, None], (tall, 1), stride=(step, 1))
    means = F.avg_pool2d(columns, (1, wide), stride=(1, step))[0, 0]
    place = int(means.argmax())
    return place // means.shape[1] * step, place % means.shape[1] * step, tall, wide


def make_strips(
    evaluation: Evaluation,
    names: Sequence[str],
    side: int = CROP,
    on_progress: OnProgress = no_progress,
) -> list[Strip]:
    """Return a strip for each image: where the crop lies, then LQ, methods and reference.

    Results are read, or made, once more. A method without a result has an empty panel that says
    so. Raises InputError for a name that is not in the data set.
    """
    check_images(evaluation.dataset, names)
    samples = {sample.name: sample for sample in evaluation.dataset.samples}
    strips = []
    for done, name in enumerate(names):
        on_progress(done, len(names), name)
        strip = _strip(evaluation, samples[name], side)
        strips += [] if strip is None else [strip]
    return strips


def draw_sheet(strips: Sequence[Strip]) -> np.ndarray:
    """Return the sheet (H, W, 3) in [0, 1] of strips, one below the other."""
    columns = min(_COLUMNS, max((len(strip.panels) for strip in strips), default=1))
    lines = [-(-len(strip.panels) // columns) for strip in strips]
    line = _CELL + 2 * _LINE + _GAP
    height = _GAP + sum(_TITLE + count * line for count in lines)
    sheet = Image.new("RGB", (columns * (_CELL + _GAP) + _GAP, height), _PAPER)
    pen = ImageDraw.Draw(sheet)
    title_font, font = ImageFont.load_default(_FONT + 3), ImageFont.load_default(_FONT)
    y = _GAP
    for strip, count in zip(strips, lines, strict=True):
        _write(pen, (_GAP, y), strip.title, _INK, title_font, sheet.width - 2 * _GAP)
        for place, panel in enumerate(strip.panels):
            x = _GAP + place % columns * (_CELL + _GAP)
            top = y + _TITLE + place // columns * line
            picture = Image.fromarray((panel.picture.clip(0, 1) * 255).round().astype(np.uint8))
            sheet.paste(picture, (x, top))
            _write(pen, (x, top + _CELL + 2), panel.label, _INK, font, _CELL)
            colour = _BEST if panel.best else _FAINT
            _write(pen, (x, top + _CELL + 2 + _LINE), panel.text, colour, font, _CELL)
        y += _TITLE + count * line
    return np.asarray(sheet, dtype=np.float32) / 255


def _strip(evaluation: Evaluation, sample: Sample, side: int) -> Strip | None:
    """Return the strip of one image; None when there is nothing of it to show."""
    reference = _try(lambda: _read(sample.reference)) if sample.reference else None
    results = {method.name: _try(lambda m=method: m.make(sample)) for method in evaluation.methods}
    there = {name: image for name, image in results.items() if isinstance(image, Tensor)}
    shown = [*there.values(), *([reference] if isinstance(reference, Tensor) else [])]
    if not there:
        return None
    height, width = (max(image.shape[axis] for image in shown) for axis in (2, 3))
    if isinstance(reference, Tensor):
        height, width = reference.shape[-2:]
    sized = {name: _sized(image, height, width) for name, image in there.items()}
    whole = reference if isinstance(reference, Tensor) else next(iter(sized.values()))
    known = whole if isinstance(reference, Tensor) else None
    top, left, tall, wide = choose_crop(list(sized.values()), known, side)
    box = (top, left, tall, wide)
    panels = [_overview(whole, box)]
    lq = _try(lambda: _read(sample.lq)) if sample.lq else None
    if isinstance(lq, Tensor):
        large = resize(lq, (height, width), "nearest")
        enlarged = ", nearest" if large.shape != lq.shape else ""
        panels.append(Panel(_cut(large, box), "LQ", f"{lq.shape[3]}x{lq.shape[2]}{enlarged}"))
    best = _best(evaluation, sample.name)
    for name, image in results.items():
        if not isinstance(image, Tensor):
            panels.append(Panel(_blank(tall, wide), name, image))
            continue
        text = _figures(evaluation, sample.name, name)
        panels.append(Panel(_cut(sized[name], box), name, text, name in best))
    if isinstance(reference, Tensor):
        panels.append(Panel(_cut(reference, box), "reference"))
    return Strip(sample.name, tuple(panels))


def _read(path: object) -> Tensor:
    return to_tensor(read_rgb(str(path)))


def _try(make: Callable[[], Tensor]) -> Tensor | str:
    """Return an image, or why there is none: it was reported when it was evaluated."""
    try:
        return make()
    except RedegError:
        return "no result"


def _sized(image: Tensor, height: int, width: int) -> Tensor:
    """Return an image as large as the others: by a border of a few pixels, or resized."""
    down, right = height - image.shape[2], width - image.shape[3]
    if max(abs(down), abs(right)) < 4:
        image = image[..., :height, :width]
        return F.pad(image, (0, max(0, right), 0, max(0, down)), mode="replicate")
    return resize(image, (height, width), "bicubic")


def _cut(image: Tensor, box: tuple[int, int, int, int]) -> np.ndarray:
    """Return the crop, each of its pixels enlarged by a whole number to fill a cell."""
    top, left, tall, wide = box
    crop = to_array(image[..., top : top + tall, left : left + wide])
    zoom = max(1, _CELL // max(tall, wide))
    return crop.repeat(zoom, axis=0).repeat(zoom, axis=1)[:_CELL, :_CELL]


def _blank(tall: int, wide: int) -> np.ndarray:
    zoom = max(1, _CELL // max(tall, wide))
    return np.full((min(_CELL, tall * zoom), min(_CELL, wide * zoom), 3), 0.93, np.float32)


def _overview(whole: Tensor, box: tuple[int, int, int, int]) -> Panel:
    """Return the whole image, made small, with a frame around the crop."""
    height, width = whole.shape[-2:]
    factor = min(1.0, _CELL / max(height, width))
    size = (max(1, round(height * factor)), max(1, round(width * factor)))
    picture = Image.fromarray((to_array(resize(whole, size, "bicubic")) * 255).round().astype("u1"))
    top, left, tall, wide = (round(value * factor) for value in box)
    pen = ImageDraw.Draw(picture)
    for inset, colour in ((0, (0, 0, 0)), (1, (255, 214, 0)), (2, (255, 214, 0))):
        corner = (left + wide - 1 - inset, top + tall - 1 - inset)
        if corner[0] > left + inset and corner[1] > top + inset:
            pen.rectangle(((left + inset, top + inset), corner), outline=colour)
    return Panel(np.asarray(picture, np.float32) / 255, "whole image", f"{width}x{height}")


def _best(evaluation: Evaluation, image: str) -> set[str]:
    """Return the methods that are best at the first metric on an image, if there are several."""
    if not evaluation.metrics or len(evaluation.methods) < 2:
        return set()
    metric = evaluation.metrics[0]
    values = {
        row.method: row.values[metric]
        for row in evaluation.rows
        if row.image == image and metric in row.values
    }
    pick = max if METRICS[metric].higher_is_better else min
    finite = [value for value in values.values() if not np.isnan(value)]
    return {name for name, value in values.items() if finite and value == pick(finite)}


def _figures(evaluation: Evaluation, image: str, method: str) -> str:
    """Return the first two metrics of a result: ``PSNR 27.31 dB · SSIM 0.8123``."""
    row = next(r for r in evaluation.rows if (r.image, r.method) == (image, method))
    parts = []
    for name in evaluation.metrics[:2]:
        if name in row.values:
            label, _, unit = METRICS[name].label.partition(" (")
            value = number(row.values[name], METRICS[name].digits)
            parts.append(f"{label} {value} {unit.rstrip(')')}".strip())
    return " · ".join(parts) or "no values"


def _write(
    pen: ImageDraw.ImageDraw,
    place: tuple[int, int],
    text: str,
    colour: tuple[int, int, int],
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    room: int,
) -> None:
    """Write a line, its end left out where there is too little room."""
    text = drawable(text)
    if pen.textlength(text, font) > room:
        while text and pen.textlength(text + "…", font) > room:
            text = text[:-1]
        text += "…"
    pen.text(place, text, colour, font)
