"""``redeg finetune``: one old photo in, its restoration out."""

import os
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from redeg_cli.cli.common import (
    DeviceOption,
    JsonOption,
    OverwriteOption,
    SeedOption,
    TileOption,
    check_folder,
    emit_json,
    emit_path,
    progress,
    say,
)


class PasteRule(str, Enum):
    """When restored faces are blended into the photo."""

    auto = "auto"
    always = "always"
    never = "never"


def finetune(
    photo: Annotated[Path, typer.Argument(help="The photo to restore.", readable=False)],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Folder for the results. Default: <photo's name>_restored, here.",
            show_default=False,
        ),
    ] = None,
    scale: Annotated[int, typer.Option("--scale", min=1, max=4, help="1, 2 or 4.")] = 2,
    steps: Annotated[
        int, typer.Option("--steps", min=1, help="Steps of fine-tuning; more is slower.")
    ] = 400,
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
    paste: Annotated[
        PasteRule,
        typer.Option(
            "--paste",
            help="Blend the restored faces in: auto does it with a --face-restorer you chose; "
            "the embedded one is soft.",
        ),
    ] = PasteRule.auto,
    max_faces: Annotated[int, typer.Option("--max-faces", min=1, help="Use the largest N.")] = 8,
    model: Annotated[
        str, typer.Option("--model", help="Restorer to start from: a name or a file.")
    ] = "f2n-compact",
    face_restorer: Annotated[
        str, typer.Option("--face-restorer", help="Face restorer: a name or a file (GFPGAN, ...).")
    ] = "face-restorer",
    redegnet: Annotated[
        str, typer.Option("--redegnet", help="DegNet and SynNet: a name or a file.")
    ] = "redegnet-lite",
    detector: Annotated[
        str, typer.Option("--detector", help="centerface, or retinaface once it is installed.")
    ] = "centerface",
    seed: SeedOption = 0,
    tile: TileOption = None,
    overwrite: OverwriteOption = False,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Restore a photo with a restorer fine-tuned on its own degradation, read off its faces."""
    if scale == 3:
        raise typer.BadParameter("no embedded restorer does 3: use 2 or 4", param_hint="--scale")
    if face_box and face_pair:
        raise typer.BadParameter("--face-box and --face-pair exclude each other")
    boxes = tuple(_box(text) for text in face_box or ())
    from redeg_cli.io.images import image_size

    height, width = image_size(photo)
    folder = output or Path(f"{photo.stem}_restored")
    check_folder(folder)
    _announce(photo, width, height, scale, steps, folder, device)

    from redeg_cli.finetune.outputs import plan_outputs, write_outputs
    from redeg_cli.finetune.photo import Settings, finetune_photo
    from redeg_cli.io.images import read_photo

    outputs = plan_outputs(photo, folder)
    outputs.ensure_writable(overwrite)
    settings = Settings(
        scale=scale,
        steps=steps,
        adapt_steps=min(steps, Settings.adapt_steps),
        model=model,
        redegnet=redegnet,
        face_restorer=face_restorer,
        hq_dir=hq_dir,
        boxes=boxes,
        face_pair=face_pair,
        detector=detector,
        max_faces=max_faces,
        paste=paste.value,
        seed=seed,
        device=device,
        tile=tile,
    )
    picture = read_photo(photo)
    with progress("finetune", every_seconds=15) as on_progress:
        result = finetune_photo(picture, settings, on_progress, say)
    summary = write_outputs(outputs, photo.name, picture, result, settings)
    say(f"look at {outputs.page} in a browser: a slider uncovers the restored photo")
    if as_json:
        emit_json({**summary, "folder": folder})
    else:
        emit_path(outputs.restored)


def _box(text: str) -> tuple[float, float, float, float]:
    try:
        left, top, right, bottom = (float(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter(
            f"{text!r}: expected LEFT,TOP,RIGHT,BOTTOM in pixels", param_hint="--face-box"
        ) from None
    return left, top, right, bottom


def _announce(
    photo: Path, width: int, height: int, scale: int, steps: int, folder: Path, device: str
) -> None:
    """Say what is going to happen and how long it takes, before anything slow is imported."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    seconds = (_FIXED + _PER_STEP * steps + _PER_PIXEL * width * height) * 2 / min(cores or 2, 16)
    say(
        f"{photo.name}: {width}x{height} px, to be restored at {width * scale}x{height * scale} "
        f"px into {folder}{os.sep}"
    )
    where = "" if device.startswith("cuda") else f" on {cores} CPU cores (a GPU is much faster)"
    say(
        "find the faces, restore them, read the degradation off them, fine-tune a restorer on it "
        f"({steps} steps), restore the photo: about {max(1, round(seconds / 60))} min{where}"
    )


# Seconds measured on two CPU cores with AVX512-BF16: start, faces and adaptation; one step of the
# restorer; one pixel of the photo, restored twice at scale 2.
_FIXED = 55.0
_PER_STEP = 0.4
_PER_PIXEL = 2.5e-5
