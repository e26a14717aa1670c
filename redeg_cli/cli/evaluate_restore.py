"""``redeg evaluate restore``: restored images against references, in numbers and in a picture."""

from collections.abc import Sequence
from enum import Enum
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from redeg_cli.cli.common import (
    DeviceOption,
    JsonOption,
    OverwriteOption,
    PrecisionOption,
    SeedOption,
    TileOption,
    progress,
)
from redeg_cli.cli.messages import emit_json, emit_table, emit_text, say, tell
from redeg_cli.cli.outputs import check_folder
from redeg_cli.errors import UsageError

if TYPE_CHECKING:
    import torch

    from redeg_cli.evaluate.dataset import Dataset
    from redeg_cli.evaluate.methods import Method
    from redeg_cli.evaluate.restoration import Evaluation
    from redeg_cli.evaluate.summary import Summary

BICUBIC = "bicubic"
ALL = "all"
_NAMED = 20
"""How many failures are named; the others are counted, and all of them are in the report."""


class Colour(str, Enum):
    """What of the colours is compared."""

    rgb = "rgb"
    y = "y"


def restore(
    results: Annotated[
        list[str] | None,
        typer.Argument(
            help="Folders of restored images, one a method: FOLDER or NAME=FOLDER.",
            show_default=False,
        ),
    ] = None,
    reference: Annotated[
        Path | None, typer.Option("--reference", "-r", help="Folder of the references (HR).")
    ] = None,
    lq: Annotated[
        Path | None, typer.Option("--lq", help="Folder of the LQs that a --model restores.")
    ] = None,
    dataset: Annotated[
        Path | None,
        typer.Option(
            "--dataset",
            help="A data set as it is published (DIV2K, RealSR, DRealSR, RealSRSet, hr/ and lr/), "
            "in place of --reference and --lq.",
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            help="A restorer to run on the LQs: bicubic, a model's name or its file, or NAME=FILE. "
            "f2n-compact@0.5 is half way to its weights with texture. May be given several times.",
        ),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            "--metric",
            "-m",
            help="What to measure (--list shows the names), or all; may be given several times. "
            "Default: psnr and ssim; niqe without references.",
            show_default=False,
        ),
    ] = None,
    colour: Annotated[
        Colour, typer.Option("--colour", "--color", help="Compare RGB, or Y as many papers do.")
    ] = Colour.rgb,
    crop: Annotated[
        int,
        typer.Option(
            "--border", "--crop", min=0, help="Border in pixels left out; papers: the scale."
        ),
    ] = 0,
    scale: Annotated[
        int | None,
        typer.Option(
            "--scale",
            min=1,
            max=4,
            help="How much larger than the LQs. Default: read off the pairs.",
            show_default=False,
        ),
    ] = None,
    baseline: Annotated[
        str | None, typer.Option("--baseline", help="The method the others are compared with.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder for tables, values and comparison sheet."),
    ] = None,
    sheet: Annotated[
        int, typer.Option("--sheet", min=0, max=50, help="How many images the sheet shows.")
    ] = 4,
    show: Annotated[
        list[str] | None,
        typer.Option("--show", help="An image for the sheet, by name; several."),
    ] = None,
    sheet_crop: Annotated[
        int, typer.Option("--sheet-crop", min=16, max=256, help="Side of the part it shows.")
    ] = 128,
    seed: SeedOption = 0,
    tile: TileOption = None,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
    list_metrics: Annotated[
        bool, typer.Option("--list", help="List the metrics and what they need.")
    ] = False,
) -> None:
    """Measure restored images, or restorers, on a data set; the table goes to stdout.

    Images are matched by name. What is missing, duplicate or of another size is named, everything
    else is measured, and the exit code is 1.
    """
    if list_metrics:
        _list(as_json)
        return
    if not results and not model:
        raise typer.BadParameter("give folders of results, or --model")
    if (dataset is None) == (reference is None and lq is None):
        raise typer.BadParameter("give --dataset, or --reference and --lq (or one of them)")

    from redeg_cli.device import autocast_dtype, pick_device
    from redeg_cli.evaluate.dataset import pair_folders
    from redeg_cli.evaluate.layouts import find_dataset
    from redeg_cli.evaluate.methods import dataset_scale
    from redeg_cli.evaluate.metrics import View
    from redeg_cli.evaluate.report import REPORT_FILES, write_report
    from redeg_cli.evaluate.restoration import evaluate
    from redeg_cli.evaluate.sheet import check_images
    from redeg_cli.evaluate.summary import check_baseline, summarise, to_record
    from redeg_cli.io.files import ensure_writable

    place = pick_device(device)
    autocast_dtype(place, precision)
    if output is not None:
        check_folder(output / REPORT_FILES[0])
        for name in REPORT_FILES:
            ensure_writable(output / name, overwrite)
    images = find_dataset(dataset, scale) if dataset else pair_folders(reference, lq)
    metrics = _metrics(metric or [], images)
    methods, problems = _folders(results or [], images)
    methods += _models(model or [], images, scale, place, precision, tile)
    check_baseline(baseline, [each.name for each in methods])
    check_images(images, show or [])
    with progress("evaluating") as on_progress:
        measured = evaluate(
            images,
            methods,
            metrics,
            View(colour.value, crop),
            place,
            scale=scale or dataset_scale(images),
            problems=problems,
            on_progress=on_progress,
        )
    summary = summarise(measured, baseline, seed=seed)
    written = []
    if output is not None:
        with progress("comparison sheet") as on_progress:
            written = write_report(
                output,
                summary,
                images=sheet,
                names=tuple(show or ()),
                crop=sheet_crop,
                on_progress=on_progress,
            )
    if as_json:
        emit_json(to_record(summary))
    else:
        _print(summary)
    if written:
        say(f"written to {output}: {', '.join(path.name for path in written)}")
    asked = [name for name in measured.unavailable if name in (metric or ())]
    _finish(measured, asked)


def _list(as_json: bool) -> None:
    """Write the metrics, and of each whether it can be computed here."""
    from redeg_cli.evaluate.metrics import METRICS, why_unavailable

    rows = [(METRICS[name], why_unavailable(name)) for name in METRICS]
    if as_json:
        emit_json([{**vars(each), "unavailable": why} for each, why in rows])
        return
    width = max(len(each.name) for each, _ in rows)
    for each, why in rows:
        kind = "reference   " if each.reference else "no reference"
        better = "higher" if each.higher_is_better else "lower "
        state = f"unavailable: {why}" if why else "available"
        emit_text(f"{each.name:<{width}}  {kind}  {better} is better  {each.package:<12}  {state}")


def _metrics(asked: Sequence[str], dataset: "Dataset") -> list[str]:
    """Return the metrics to compute. Raises UsageError for an unknown name."""
    from redeg_cli.evaluate.metrics import METRICS
    from redeg_cli.validation import did_you_mean

    usable = [name for name in METRICS if dataset.has_references or not METRICS[name].reference]
    if not asked:
        wanted = ("psnr", "ssim") if dataset.has_references else ("niqe",)
        return [name for name in wanted if name in METRICS]
    for name in asked:
        if name != ALL and name not in METRICS:
            known = ", ".join([*METRICS, ALL])
            hint = did_you_mean(name, [*METRICS, ALL])
            raise UsageError(f"there is no metric {name!r}{hint}: there are {known}")
    return usable if ALL in asked else list(dict.fromkeys(asked))


def _folders(results: Sequence[str], dataset: "Dataset") -> tuple[list["Method"], list[str]]:
    """Return the methods whose results lie in folders, and a line for each file left out."""
    from redeg_cli.evaluate.methods import folder_method

    methods: list[Method] = []
    problems: list[str] = []
    for given in results:
        name, text = _named(given)
        folder = Path(text)
        method, left_out = folder_method(name or folder.resolve().name, folder, dataset)
        methods.append(method)
        problems += left_out
    return methods, problems


def _models(
    models: Sequence[str],
    dataset: "Dataset",
    scale: int | None,
    device: "torch.device",
    precision: str,
    tile: int | None,
) -> list["Method"]:
    """Return the methods that restore the LQs themselves; a wrong model is an error now."""
    from redeg_cli.evaluate.methods import bicubic_method, dataset_scale, restorer_method
    from redeg_cli.models import find_model, model_fingerprint
    from redeg_cli.restore.texture import load_textured

    if models and not dataset.has_lqs:
        raise typer.BadParameter("--model restores LQs: give them with --lq or --dataset")
    factor = scale or dataset_scale(dataset)
    if models and scale is None and not dataset.has_references:
        raise typer.BadParameter("there are no references that tell the scale: give --scale")
    methods = []
    for given in models:
        name, text = _named(given)
        if text == BICUBIC:
            methods.append(bicubic_method(name or BICUBIC, scale))
            continue
        model, texture = _textured(text)
        path = find_model(model)
        load = cache(partial(load_textured, model, texture, device=device))
        if factor is not None:
            load(factor)  # a scale that it cannot do is an error now
        methods.append(
            restorer_method(
                name or (f"{path.stem}@{texture:g}" if texture else path.stem),
                load,
                scale,
                device,
                precision,
                tile,
                {"model": model, "texture": texture, "fingerprint": model_fingerprint(path)},
            )
        )
    return methods


def _named(given: str) -> tuple[str, str]:
    """Return (name, rest) of ``NAME=REST``; the name is empty without one."""
    name, separator, rest = given.partition("=")
    if not separator or not name or "/" in name or Path(given).exists():
        return "", given
    return name, rest


def _textured(given: str) -> tuple[str, float]:
    """Return (model, texture) of ``MODEL@TEXTURE``; texture 0 without one."""
    model, separator, text = given.rpartition("@")
    if not separator or Path(given).exists():
        return given, 0.0
    try:
        texture = float(text)
    except ValueError:
        return given, 0.0
    if not 0 <= texture <= 1:
        raise typer.BadParameter(f"{given}: texture is from 0 to 1")
    return model, texture


def _print(summary: "Summary") -> None:
    from redeg_cli.evaluate.tables import notes, to_rich

    emit_table(to_rich(summary), 60 + 30 * len(summary.evaluation.metrics))
    for line in notes(summary):
        emit_text(line)


def _finish(measured: "Evaluation", asked: Sequence[str]) -> None:
    """Name what failed on stderr and leave with code 1 if anything did."""
    lines = [f"{name} is unavailable: {measured.unavailable[name]}" for name in asked]
    lines += measured.problems
    alike: dict[tuple[str, str], list[str]] = {}
    for row in measured.failed:
        alike.setdefault((row.method, row.message), []).append(row.image)
    for (method, message), names in alike.items():
        some = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
        lines.append(f"{method}: {message} ({len(names)} images: {some})")
    for line in lines[:_NAMED]:
        tell(f"error: {line}")
    if len(lines) > _NAMED:
        tell(f"error: and {len(lines) - _NAMED} more (--json and the report name all of them)")
    if measured.failed or measured.problems:
        tell(
            f"{len(measured.failed)} of {len(measured.rows)} results without all values, "
            f"{len(measured.problems)} pictures left out"
        )
    if lines:
        raise typer.Exit(1)
