"""``redeg evaluate faces``: what a face restorer is worth."""

from pathlib import Path
from typing import Annotated

import typer

from redeg_cli.cli.common import (
    DeviceOption,
    FaceRestorerOption,
    JsonOption,
    OverwriteOption,
    SeedOption,
    progress,
)
from redeg_cli.cli.messages import emit_json, emit_table, say, tell
from redeg_cli.cli.outputs import check_folder

REPORT, TABLE, SHEET = "faces.json", "faces.md", "faces.png"


def faces(
    portraits: Annotated[
        list[Path], typer.Argument(help="Sharp portraits, or folders of them.", readable=False)
    ],
    face_restorer: FaceRestorerOption = "face-restorer",
    side: Annotated[
        list[int] | None,
        typer.Option(
            "--side",
            help="Side in pixels of the degraded faces' aligned squares: 32, 64, 128, 256 or 512; "
            "may be given several times.  [64 128 256]",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help=f"Folder for {REPORT}, {TABLE} and {SHEET}."),
    ] = None,
    seed: SeedOption = 7,
    device: DeviceOption = "auto",
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Measure a face restorer: sharp faces, degraded and restored, against themselves.

    Use portraits that it was not trained on.
    """
    from redeg_cli.device import pick_device
    from redeg_cli.evaluate.faces import (
        POSSIBLE_SIDES,
        SIDES,
        evaluate_faces,
        example_rows,
        face_grids,
        read_faces,
    )
    from redeg_cli.evaluate.grids import to_markdown, to_rich
    from redeg_cli.io.files import ensure_writable, write_json, write_text
    from redeg_cli.io.images import write_rgb
    from redeg_cli.models import load_face_restorer

    for each in side or ():
        if each not in POSSIBLE_SIDES:
            wanted = ", ".join(map(str, POSSIBLE_SIDES))
            raise typer.BadParameter(f"--side {each}: wanted one of {wanted}")
    if output:
        check_folder(output)
        for name in (REPORT, TABLE, SHEET):
            ensure_writable(output / name, overwrite)
    restorer = load_face_restorer(face_restorer, pick_device(device))
    with progress("finding faces") as on_progress:
        found, without, failed = read_faces(portraits, on_progress)
    with progress("measuring") as on_progress:
        figures, examples = evaluate_faces(
            restorer, found, tuple(side or SIDES), seed=seed, on_progress=on_progress
        )
    grids = face_grids(figures)
    record = {
        "model": restorer.name,
        "fingerprint": restorer.fingerprint,
        "faces": len(found),
        "sizes": figures,
        "left_out": [f"{name}: no face was found" for name in without],
        "failed": [{"name": name, "message": why} for name, why in failed],
    }
    if output:
        title = f"Faces restored by {restorer.name} ({restorer.fingerprint})"
        write_json(output / REPORT, record)
        write_text(output / TABLE, to_markdown(grids, title))
        write_rgb(output / SHEET, example_rows(examples))
    if as_json:
        emit_json(record)
    else:
        emit_table(to_rich(grids), 200)
    if output:
        say(f"written to {output}: {REPORT}, {TABLE}, {SHEET}")
    for line in record["left_out"]:
        say(f"left out: {line}")
    for name, why in failed:
        tell(f"error: {why}" if name in why else f"error: {name}: {why}")
    if failed:
        tell(f"{len(failed)} portraits could not be read; the others were measured")
        raise typer.Exit(1)
