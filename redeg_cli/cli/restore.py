"""``redeg restore``: photos in, restored photos out."""

import os
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated

import typer

from redeg_cli.cli.common import (
    DeviceOption,
    GrainOption,
    JsonOption,
    Outcome,
    OverwriteOption,
    PrecisionOption,
    TileOption,
    run_batch,
)
from redeg_cli.cli.masks import MaskOption, filled, find_masks
from redeg_cli.cli.messages import emit_json, emit_path, say, warn
from redeg_cli.cli.outputs import check_folder
from redeg_cli.errors import InputError, ModelError, OutputError, one_line
from redeg_cli.progress import OnProgress

if TYPE_CHECKING:
    import torch

    from redeg_cli.io.listing import ImageFile
    from redeg_cli.models import Restorer

DEFAULT_SCALE = 2
_PIXEL_BYTES = 45
"""Of memory that restoring takes for each pixel of the result: 42 were measured, with grain."""


class OutputFormat(str, Enum):
    """Formats of the restored photos."""

    png = "png"
    jpg = "jpg"
    keep = "keep"


@dataclass(frozen=True)
class Job:
    """One photo and where its restored version goes."""

    name: str
    source: Path
    target: Path


def restore(
    # readable=False: an unreadable photo is one failure of the batch, not wrong usage.
    photos: Annotated[
        list[Path], typer.Argument(help="Photos, or folders of photos.", readable=False)
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            readable=False,
            help="Folder for the results, or a file name for a single photo.",
        ),
    ],
    model: Annotated[
        str, typer.Option("--model", help="A model's name (see `redeg models list`) or its file.")
    ] = "f2n-compact",
    scale: Annotated[
        int | None,
        typer.Option(
            "--scale",
            min=1,
            max=4,
            help="How much larger the result is. Default: 2, or what the model was made for.",
            show_default=False,
        ),
    ] = None,
    texture: Annotated[
        float,
        typer.Option(
            "--texture",
            min=0,
            max=1,
            help="How much texture may be invented: 0 stays with what the photo tells, 1 looks "
            "sharpest. Of f2n-compact, or a model with NAME-perceptual.safetensors beside it.",
        ),
    ] = 0.0,
    mask: MaskOption = None,
    grain: GrainOption = 0.0,
    tile: TileOption = None,
    output_format: Annotated[
        OutputFormat | None,
        typer.Option(
            "--format",
            help="Format of the results. Default: png, or what a file name with -o says.",
            show_default=False,
        ),
    ] = None,
    match_colour: Annotated[
        bool,
        typer.Option(
            "--match-colour", "--match-color", help="Take large-scale colour from the photo."
        ),
    ] = False,
    turns: Annotated[
        bool,
        typer.Option(
            "--turns",
            help="Self-ensemble: restore in all four rotations and take the mean. A little better, "
            "four times as long.",
        ),
    ] = False,
    strip_metadata: Annotated[
        bool, typer.Option("--strip-metadata", help="Write no EXIF, XMP, text or profile.")
    ] = False,
    skip_existing: Annotated[
        bool, typer.Option("--skip-existing", help="Leave out photos whose result exists.")
    ] = False,
    overwrite: OverwriteOption = False,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Restore whole photos. Folders keep their tree; the written paths go to stdout."""
    import numpy as np

    from redeg_cli.device import autocast_dtype, files_at_once, pick_device
    from redeg_cli.io.files import ensure_writable
    from redeg_cli.io.images import check_can_write, read_photo, write_photo
    from redeg_cli.io.listing import list_usable
    from redeg_cli.io.metadata import Metadata
    from redeg_cli.memory import Room, available_memory
    from redeg_cli.restore.grain import add_grain
    from redeg_cli.restore.photo import restore_photo
    from redeg_cli.seeds import sample_seed

    if skip_existing and overwrite:
        raise typer.BadParameter("--skip-existing and --overwrite exclude each other")
    place = pick_device(device)
    autocast_dtype(place, precision)  # says now, not once per photo, that it is impossible
    listed, unusable = list_usable(photos, output, mask)
    jobs = _plan(listed, photos, output, output_format)
    masks = find_masks(mask, listed)
    check_folder(output)
    skipped = {job for job in jobs if skip_existing and os.path.exists(job.target)}
    todo = [job for job in jobs if job not in skipped]
    _refuse_existing(todo, overwrite)
    restorer = None
    if any(overwrite or not os.path.exists(job.target) for job in todo):
        restorer = _load(model, texture, scale, place)
    sizes: dict[str, list[int]] = {}
    room = Room(available_memory())

    def work(job: Job, on_progress: OnProgress) -> None:
        ensure_writable(job.target, overwrite)
        if restorer is None:  # the target was there at the start and has gone since
            raise OutputError(f"{job.target} was removed while redeg ran: start again")
        photo = filled(read_photo(job.source), job.name, masks.get(job.source))
        height, width = (side * restorer.scale for side in photo.rgb.shape[:2])
        # The size of the result without its memory: only the shape is looked at.
        blank = np.broadcast_to(np.float32(0), (height, width, 3))
        check_can_write(job.target, replace(photo, rgb=blank))
        with room.taken(height * width * _PIXEL_BYTES):
            restored = restore_photo(
                photo,
                restorer,
                tile=tile,
                device=place,
                match_colour=match_colour,
                precision=precision,
                turns=turns,
                on_progress=on_progress,
            )
            restored = add_grain(restored, grain, sample_seed(0, job.name))
            if strip_metadata:
                restored = replace(restored, metadata=Metadata())
            write_photo(job.target, restored)
        sizes[job.name] = [width, height]

    outcome = run_batch(
        todo,
        work,
        lambda job: job.name,
        title="restoring",
        report=None if as_json else lambda job: emit_path(job.target),
        threads=files_at_once(place),
    )
    outcome.failed[:0] = [(name, one_line(message)) for name, message in unusable]
    if skipped:
        say(f"{len(skipped)} skipped: the result exists")
    if as_json:
        emit_json(_result(jobs, sizes, skipped, outcome, restorer))
    outcome.finish()


def _refuse_existing(jobs: Sequence[Job], overwrite: bool) -> None:
    """Raise OutputError, before any work, when results exist that may not be replaced."""
    existing = [job.target for job in jobs if os.path.exists(job.target) and not overwrite]
    if len(jobs) > 1 and existing:
        raise OutputError(
            f"{len(existing)} of {len(jobs)} results exist ({existing[0]}"
            f"{', ...' if len(existing) > 1 else ''}): give --skip-existing to leave them as they "
            "are, or --overwrite to make them again"
        )


def _plan(
    listed: Sequence["ImageFile"],
    inputs: Sequence[Path],
    output: Path,
    output_format: OutputFormat | None,
) -> list[Job]:
    """Return what goes where. Results that would have one name have their photo's suffix in it.

    Raises OutputError when a result would replace its photo, or is of a format that is not written,
    and InputError when two results would have one name all the same.
    """
    from redeg_cli.io.images import check_suffix, names_picture
    from redeg_cli.io.listing import file_key

    to_file = names_picture(output)
    if to_file:
        check_suffix(output)
    if to_file and (len(listed) != 1 or len(inputs) != 1 or inputs[0].is_dir()):
        raise typer.BadParameter(
            f"{output} is a file name, but there is more than one photo or a folder: "
            "give a folder with -o"
        )
    if to_file and output_format is not None:
        wanted = PurePosixPath(_named(listed[0].name, output_format)).suffix
        if _kind(wanted) != _kind(output.suffix):
            raise typer.BadParameter(
                f"{output} is no {wanted} file, which --format {output_format.value} asks for: "
                "leave out --format, or name another file"
            )
    jobs: dict[str, Job] = {}
    kind = output_format or OutputFormat.png
    taken = Counter(file_key(_named(each.name, kind)) for each in listed)
    for each in listed:
        name = _named(each.name, kind)
        if taken[file_key(name)] > 1:  # a.bmp and a.jp2: a.bmp.png and a.jp2.png
            name = each.name + PurePosixPath(name).suffix
        target = output if to_file else output / name
        if (key := file_key(target)) in jobs:
            raise InputError(
                f"{jobs[key].name} and {each.name} would both become {target}: restore them into "
                "two folders"
            )
        if file_key(target.resolve()) == file_key(each.path.resolve()):
            raise OutputError(f"{target} is the photo itself: give another folder with -o")
        jobs[key] = Job(each.name, each.path, target)
    return list(jobs.values())


def _named(name: str, output_format: OutputFormat) -> str:
    from redeg_cli.io.images import WRITE_SUFFIXES

    path = PurePosixPath(name)
    if output_format is not OutputFormat.keep:
        return str(path.with_suffix(f".{output_format.value}"))
    # A photo of a kind that is read but not written (BMP, GIF) becomes a PNG.
    return name if path.suffix.lower() in WRITE_SUFFIXES else str(path.with_suffix(".png"))


def _kind(suffix: str) -> str:
    """Return one spelling for the suffixes of one format."""
    return {".jpeg": ".jpg", ".tiff": ".tif"}.get(suffix.lower(), suffix.lower())


def _load(model: str, texture: float, scale: int | None, device: "torch.device") -> "Restorer":
    from redeg_cli.models import tuned_scale
    from redeg_cli.restore.texture import load_textured

    tuned = tuned_scale(model)
    scale = scale or tuned
    if tuned and scale != tuned:
        warn(
            f"{model} was fine-tuned at scale {tuned}: at {scale} it restores as before fine-tuning"
        )
    if scale is not None:
        return load_textured(model, texture, scale, device)
    try:
        return load_textured(model, texture, DEFAULT_SCALE, device)
    except ModelError:  # it does another scale only; if it is broken the next line says so
        return load_textured(model, texture, None, device)


def _result(
    jobs: Sequence[Job],
    sizes: dict[str, list[int]],
    skipped: Collection[Job],
    outcome: Outcome,
    restorer: "Restorer | None",
) -> dict[str, object]:
    failed = dict(outcome.failed)
    rows: list[dict[str, object]] = []
    for job in jobs:
        row: dict[str, object] = {"input": job.source, "output": job.target}
        if job.name in failed:
            row |= {"status": "failed", "output": None, "message": failed.pop(job.name)}
        elif job in skipped:
            row["status"] = "skipped"
        else:
            row |= {"status": "done", "size": sizes[job.name]}
        rows.append(row)
    rows += [
        {"input": name, "output": None, "status": "failed", "message": message}
        for name, message in failed.items()
    ]
    model = None
    if restorer is not None:
        model = {key: getattr(restorer, key) for key in ("name", "scale", "fingerprint")}
    return {"model": model, "photos": rows}
