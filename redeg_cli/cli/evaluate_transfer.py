"""``redeg evaluate transfer``: what the Ω of a ReDegNet is worth."""

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from redeg_cli.cli.common import DeviceOption, JsonOption, OverwriteOption, SeedOption, progress
from redeg_cli.cli.messages import emit_json, emit_table, say, tell, warn
from redeg_cli.cli.outputs import check_folder

REPORT, TABLES, SHEET = "transfer.json", "transfer.md", "transfer.png"


class Family(str, Enum):
    """The families of ``omega.families``, which must not be imported here."""

    blur = "blur"
    resampling = "resampling"
    noise = "noise"
    jpeg = "jpeg"
    mixed = "mixed"
    halftone = "halftone"


def transfer(
    faces: Annotated[
        Path, typer.Option("--faces", help="Folder of sharp faces, which Ω is read off.")
    ],
    natural: Annotated[
        Path, typer.Option("--natural", help="Folder of sharp natural images, which it is put on.")
    ],
    redegnet: Annotated[
        str, typer.Option("--redegnet", help="The ReDegNet to measure: a name or a weights file.")
    ] = "redegnet-lite",
    face_restorer: Annotated[
        str,
        typer.Option(
            "--face-restorer",
            help="Makes pseudo-HQs of the degraded faces, as of a photo's; none leaves it out.",
        ),
    ] = "face-restorer",
    face_zoom: Annotated[
        float,
        typer.Option(
            "--face-zoom",
            min=0.25,
            max=8,
            help="How much faces are enlarged for the face restorer, as a photo's small ones are.",
        ),
    ] = 1.0,
    scale: Annotated[
        int, typer.Option("--scale", min=1, max=4, help="How much smaller the LQs are.")
    ] = 1,
    count: Annotated[
        int, typer.Option("--count", "-n", min=12, help="Pairs of images per family.")
    ] = 60,
    crop: Annotated[
        int, typer.Option("--crop", min=64, max=1024, help="Side of the images in pixels.")
    ] = 192,
    only: Annotated[
        list[Family] | None,
        typer.Option("--only", help="A family to measure; may be given several times.  [all]"),
    ] = None,
    full_grid: Annotated[
        bool,
        typer.Option("--full-grid", help="Degrade on the HQ grid, never on the native."),
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help=f"Folder for {REPORT}, {TABLES} and {SHEET}, pictures to see."
        ),
    ] = None,
    seed: SeedOption = 7,
    device: DeviceOption = "auto",
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Measure the Ω of a ReDegNet: put on other content, its realism, its content leak.

    Faces and natural images are degraded alike; Ω is read off the faces and put on the natural
    images, whose true LQs are known. Use images that the network was not trained on.
    """
    from redeg_cli.device import pick_device
    from redeg_cli.evaluate.grids import to_markdown, to_rich
    from redeg_cli.evaluate.sharp_images import read_sharp_images
    from redeg_cli.evaluate.transfer import TransferSettings, evaluate_transfer
    from redeg_cli.evaluate.transfer_sheet import transfer_sheet
    from redeg_cli.evaluate.transfer_tables import transfer_grids
    from redeg_cli.faces.pseudo import enlarged, load_pseudo_hq
    from redeg_cli.io.files import ensure_writable, write_json, write_text
    from redeg_cli.io.images import write_rgb
    from redeg_cli.models import find_model, load_network, model_fingerprint
    from redeg_cli.omega.families import FAMILIES

    if crop % (8 * scale):
        raise typer.BadParameter(f"--crop {crop} must be a multiple of {8 * scale} at this scale")
    if faces.resolve() == natural.resolve():
        raise typer.BadParameter(
            f"{natural} is given twice: Ω of an image would be measured on the image itself",
            param_hint="--natural",
        )
    place = pick_device(device)
    files = [output / name for name in (REPORT, TABLES, SHEET)] if output else []
    if output:
        check_folder(output)
    for file in files:
        ensure_writable(file, overwrite)
    chosen = tuple(family.value for family in only or ())
    settings = TransferSettings(
        scale=scale,
        count=count,
        crop=crop,
        seed=seed,
        families=tuple(name for name in FAMILIES if not chosen or name in chosen),
        full_grid=full_grid,
    )
    weights = find_model(redegnet)
    net = load_network(weights, "redegnet", place)
    pseudo = None
    if face_restorer != "none":
        pseudo = enlarged(load_pseudo_hq(face_restorer, place), face_zoom)
    with progress("reading images") as on_progress:
        sources = [read_sharp_images(folder, crop, on_progress) for folder in (faces, natural)]
    for source in sources:
        if source.small:
            warn(
                f"{source.folder}: {len(source.small)} images are smaller than {crop} px, left out"
            )
    with progress("measuring") as on_progress:
        report, examples = evaluate_transfer(
            net, sources[0], sources[1], settings, place, on_progress, pseudo
        )
    failed = [(str(s.folder / name), why) for s in sources for name, why in s.failed]
    record = {
        "model": weights.stem,
        "fingerprint": model_fingerprint(weights),
        "face_restorer": face_restorer,
        "face_zoom": face_zoom,
        "faces": {"folder": faces, "images": len(sources[0].images)},
        "natural": {"folder": natural, "images": len(sources[1].images)},
        **vars(report),
        "failed": [{"name": name, "message": why} for name, why in failed],
    }
    grids = transfer_grids(report)
    if output:
        title = f"Transfer of {weights.stem} ({record['fingerprint']}) at scale {scale}"
        write_json(files[0], record)
        write_text(files[1], to_markdown(grids, title))
        write_rgb(files[2], transfer_sheet(examples))
    if as_json:
        emit_json(record)
    else:
        emit_table(to_rich(grids), 200)
    if output:
        say(f"written to {output}: {', '.join(file.name for file in files)}")
    for name, why in failed:
        tell(f"error: {why}" if name in why else f"error: {name}: {why}")
    if failed:
        tell(f"{len(failed)} images could not be read; the others were measured")
        raise typer.Exit(1)
