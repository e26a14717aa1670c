"""``redeg finetune``: an old photo in, its restoration out; or an album of one origin."""

import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from redeg_cli.cli.announce import announce
from redeg_cli.cli.common import (
    DetectorOption,
    DeviceOption,
    FaceRestorerOption,
    GrainOption,
    JsonOption,
    MaxFacesOption,
    Outcome,
    OverwriteOption,
    RedegnetOption,
    SeedOption,
    TileOption,
    progress,
    told_how_to_carry_on,
)
from redeg_cli.cli.masks import MaskOption, filled, find_masks
from redeg_cli.cli.messages import emit_json, emit_path, say
from redeg_cli.cli.outputs import check_folder, refuse_file_name
from redeg_cli.errors import RedegError, one_line
from redeg_cli.finetune.effort import EFFORT, LEAST_SIDE, FaceRule, Quality

if TYPE_CHECKING:
    from redeg_cli.io.images import Photo

MODEL = "f2n-compact"
Read = TypeVar("Read")


def finetune(
    photos: Annotated[
        list[Path],
        typer.Argument(
            help="The photo to restore; or several of one origin (an album, a newspaper), files or "
            "folders, which one restorer is fine-tuned on.",
            metavar="PHOTO...",
            readable=False,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Folder for the results. Default: <name>_restored in the working folder, named "
            "after the photo or the first one's folder.",
            show_default=False,
        ),
    ] = None,
    scale: Annotated[
        int,
        typer.Option(
            "--scale",
            min=1,
            max=4,
            help="How much larger the result is: 1, 2 or 4 (what --model can).",
        ),
    ] = 2,
    quality: Annotated[
        Quality,
        typer.Option("--quality", help="fast, standard or best: how long to fit."),
    ] = "fast",
    steps: Annotated[
        int | None,
        typer.Option(
            "--steps",
            min=1,
            help="Steps of fine-tuning, if not those of --quality "
            f"({', '.join(str(effort.steps) for effort in EFFORT.values())}).",
            show_default=False,
        ),
    ] = None,
    general_share: Annotated[
        float,
        typer.Option(
            "--general-share",
            min=0,
            max=1,
            help="Part of the training that is not on the photo's degradation but on mild ones.",
        ),
    ] = 0.25,
    hq_dir: Annotated[
        Path | None,
        typer.Option("--hq-dir", help="Folder of your own sharp photographs to train on."),
    ] = None,
    face_box: Annotated[
        list[str] | None,
        typer.Option(
            "--face-box",
            help="A face the detector misses: LEFT,TOP,RIGHT,BOTTOM in pixels. Repeatable.",
        ),
    ] = None,
    face_pair: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            "--face-pair",
            metavar="LQ HQ",
            help="A crop of the photo and its sharp version, restored elsewhere.",
        ),
    ] = None,
    region: Annotated[
        tuple[str, Path] | None,
        typer.Option(
            "--region",
            metavar="BOX SHARP",
            help="A part of the photo (LEFT,TOP,RIGHT,BOTTOM) and a sharp version of it, from "
            "wherever: a building, a page of text. No face is needed then.",
        ),
    ] = None,
    true_colours: Annotated[
        bool,
        typer.Option(
            "--true-colours",
            "--true-colors",
            help="The sharp version of --region or --face-pair shows the true colours: the "
            "photo's fading is measured on it and undone.",
        ),
    ] = False,
    faces: Annotated[
        FaceRule | None,
        typer.Option(
            "--faces",
            help="Restored faces: keep the photo's own, blend them in where that is an "
            "improvement, or restore all. Default: blend with a --face-restorer you chose; keep "
            "with the embedded one, which is soft.",
            show_default=False,
        ),
    ] = None,
    face_strength: Annotated[
        float,
        typer.Option("--face-strength", min=0, max=1, help="How much of a restored face."),
    ] = 1.0,
    max_faces: MaxFacesOption = 8,
    model: Annotated[
        str, typer.Option("--model", help="Restorer to start from: a name or a file.")
    ] = MODEL,
    face_restorer: FaceRestorerOption = "face-restorer",
    redegnet: RedegnetOption = "redegnet-lite",
    detector: DetectorOption = "centerface",
    turns: Annotated[
        bool | None,
        typer.Option(
            "--turns/--no-turns",
            help="Self-ensemble: restore in all four rotations and take the mean. A little better, "
            "and the last stage takes four times as long. Default: photos up to a megapixel.",
            show_default=False,
        ),
    ] = None,
    mask: MaskOption = None,
    grain: GrainOption = 0.0,
    seed: SeedOption = 0,
    tile: TileOption = None,
    overwrite: OverwriteOption = False,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Restore a photo with a restorer fine-tuned on its own degradation, read off its faces."""
    if scale == 3:
        reason = "a photo's degradation is learned at 1, 2 and 4: use 2 or 4"
        raise typer.BadParameter(reason, param_hint="--scale")
    if face_box and face_pair:
        raise typer.BadParameter("--face-box and --face-pair exclude each other")
    if face_pair and region:
        raise typer.BadParameter("--face-pair and --region exclude each other")
    if true_colours and region and face_box:
        raise typer.BadParameter("with --true-colours no face is used: leave --face-box out")
    if true_colours and not (face_pair or region):
        raise typer.BadParameter("--true-colours needs --region or --face-pair to know them from")
    if (face_pair or (region and true_colours)) and (faces or face_strength != 1):
        given = "--face-pair" if face_pair else "--true-colours"
        raise typer.BadParameter(
            f"no face is looked for with {given}: leave --faces and --face-strength out"
        )
    boxes = tuple(_box(text) for text in face_box or ())
    part = (_box(region[0], "--region"), region[1]) if region else None
    from redeg_cli.io.listing import list_usable

    first = Path(os.path.abspath(photos[0]))  # a link's own name, not its target's
    alone = len(photos) == 1 and first.is_file()
    folder = output or Path(f"{first.stem if alone else _album(first)}_restored")
    refuse_file_name(folder)
    check_folder(folder, only_folder=True)
    listed, unusable = list_usable(photos, folder, mask)
    files = [image.path for image in listed]
    if len(files) > 1 and (face_box or face_pair or region):
        raise typer.BadParameter(
            f"--face-box, --face-pair and --region belong to one photo, {len(files)} were given"
        )
    masks = find_masks(mask, listed)
    outcome = Outcome(failed=[(name, one_line(message)) for name, message in unusable])
    effort = EFFORT[quality]
    wanted = steps or effort[0]
    adapt = min(wanted, effort[1])
    sizes = _readable(files, _size, outcome)
    known = model == MODEL
    announce(sizes, scale, wanted, adapt, folder, device, turns=bool(turns), known=known)

    from redeg_cli.finetune.album import Fitted, finetune_album
    from redeg_cli.finetune.outputs import Photos, plan_outputs, write_fitted, write_outputs
    from redeg_cli.finetune.photos import PhotoFiles
    from redeg_cli.finetune.settings import Settings
    from redeg_cli.io.files import remove_leftovers
    from redeg_cli.io.lock import folder_lock

    told: set[Path] = set()

    def prepare(file: Path, photo: "Photo") -> "Photo":
        done = filled(photo, file.name, masks.get(file), tell=file not in told)
        told.add(file)
        return done

    pictures = PhotoFiles(prepare)
    files = [file for file, _ in _readable([file for file, _ in sizes], pictures.add, outcome)]
    for index, file in enumerate(files):
        if file in masks:
            pictures[index]  # a wrong mask is told at once
    outputs = plan_outputs(files, folder)
    outputs.ensure_apart(files)
    state = folder / "state.pt"
    # A run that was stopped while it restored has written some of them: it is carried on.
    outputs.ensure_writable(overwrite or (state.exists() and not outputs.summary.exists()))
    settings = Settings(
        scale=scale,
        steps=wanted,
        adapt_steps=adapt,
        general_share=general_share,
        model=model,
        redegnet=redegnet,
        face_restorer=face_restorer,
        hq_dir=hq_dir,
        boxes=boxes,
        face_pair=face_pair,
        detector=detector,
        max_faces=max_faces,
        region=part,
        true_colours=true_colours,
        faces=faces,
        face_strength=face_strength,
        turns=turns,
        grain=grain,
        seed=seed,
        device=device,
        tile=tile,
    )
    if face_strength != 1 and settings.face_rule == "keep":
        raise typer.BadParameter("--face-strength mixes in restored faces: give --faces blend too")
    written = Photos(outputs, scale, pictures)
    title = files[0].name if len(files) == 1 else f"{len(files)} photos of {_album(first)}"
    kept = False

    def keep(fitted: Fitted) -> None:
        nonlocal kept
        write_fitted(outputs, title, fitted, settings)
        kept = True

    try:
        with (
            folder_lock(folder),
            told_how_to_carry_on(state),
            progress("finetune", every_seconds=15) as on_progress,
        ):
            remove_leftovers(state)
            result = finetune_album(
                pictures, settings, on_progress, say, written.write, keep, state, overwrite
            )
        summary = write_outputs(written, title, result)
    except BaseException:  # Ctrl-C too: hours of tuning may lie behind it
        if kept:
            say(f"the fine-tuned restorer is {outputs.weights}: `redeg restore --model` takes it")
        raise
    say(f"look at {outputs.page} in a browser: a slider uncovers the restored photo")
    if as_json:
        emit_json({**summary, "folder": folder, "failed": outcome.failed})
    else:
        for path in outputs.restored:
            emit_path(path)
    outcome.done = len(files)
    outcome.finish()


def _readable(
    files: Sequence[Path], read: Callable[[Path], Read], outcome: Outcome
) -> list[tuple[Path, Read]]:
    """Return the files with what ``read`` makes of them; those that it refuses are told and
    noted in ``outcome``. Leaves the command when none is left."""
    done = []
    for file in files:
        try:
            done.append((file, read(file)))
        except RedegError as error:
            outcome.failed.append((str(file), one_line(error)))
            if len(files) > 1:
                say(f"left out: {one_line(error)}")
    if not done:
        outcome.finish()
    return done


def _size(file: Path) -> tuple[int, int]:
    """Return (height, width) of a photo. Raises InputError for one that is too small."""
    from redeg_cli.io.images import image_size, require_sides

    size = image_size(file)
    require_sides(size, LEAST_SIDE, str(file))
    return size


def _album(first: Path) -> str:
    """Return what to call an album, by its first photo or folder."""
    return (first.name if first.is_dir() else first.parent.name) or "album"


def _box(text: str, option: str = "--face-box") -> tuple[float, float, float, float]:
    try:
        left, top, right, bottom = (float(part) for part in text.split(","))
        if not all(map(math.isfinite, (left, top, right, bottom))):
            raise ValueError("not a place")
    except ValueError:
        raise typer.BadParameter(
            f"{text!r}: expected LEFT,TOP,RIGHT,BOTTOM in pixels", param_hint=option
        ) from None
    return left, top, right, bottom
