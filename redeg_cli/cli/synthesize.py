"""``redeg synthesize``: HQ images in, degraded ones out."""

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
    run_batch,
    say,
    warn,
)
from redeg_cli.progress import OnProgress

if TYPE_CHECKING:
    import torch

    from redeg_cli.degrade.base import Degrader
    from redeg_cli.run.synthesis import Job, Settings


class DegraderName(str, Enum):
    """What makes the LQ images."""

    omega = "omega"
    classical = "classical"


class LqFormat(str, Enum):
    """Formats of the LQ images."""

    png = "png"
    jpg = "jpg"


def synthesize(
    images: Annotated[
        list[Path], typer.Argument(help="HQ images, or folders of them.", readable=False)
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the LQ images and manifest.jsonl.")
    ],
    pool: Annotated[
        Path | None, typer.Option("--pool", help="Pool of Ωs, made by `redeg build-pool`.")
    ] = None,
    degrader: Annotated[
        DegraderName,
        typer.Option("--degrader", help="omega (needs --pool), or classical: blur, noise, JPEG."),
    ] = DegraderName.omega,
    scale: Annotated[
        int | None,
        typer.Option(
            "--scale",
            min=1,
            max=4,
            help="How much smaller the LQ is. Default: the scale of the pool, or 4.",
            show_default=False,
        ),
    ] = None,
    variants: Annotated[
        int, typer.Option("--variants", min=1, max=9999, help="LQs of each HQ: name_0001 ...")
    ] = 1,
    seed: SeedOption = 0,
    aligned: Annotated[
        bool, typer.Option("--aligned", help="LQs as large as the HQ, not on their own grid.")
    ] = False,
    output_format: Annotated[
        LqFormat, typer.Option("--format", help="Format of the LQs; jpg compresses once more.")
    ] = LqFormat.png,
    redegnet: Annotated[
        str | None,
        typer.Option(
            "--redegnet",
            help="The ReDegNet that made the pool: a name or a file.  [default: redegnet-lite]",
            show_default=False,
        ),
    ] = None,
    tile: TileOption = None,
    skip_existing: Annotated[
        bool, typer.Option("--skip-existing", help="Leave every LQ that exists as it is.")
    ] = False,
    overwrite: OverwriteOption = False,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Degrade HQ images as the photos of a pool were degraded. Starts again where it stopped.

    The written paths go to stdout; manifest.jsonl in the output folder says how each was made.
    """
    if skip_existing and overwrite:
        raise typer.BadParameter("--skip-existing and --overwrite exclude each other")
    if degrader is DegraderName.omega and pool is None:
        raise typer.BadParameter("give --pool, or --degrader classical which needs none")
    if degrader is DegraderName.classical and (pool is not None or redegnet is not None):
        raise typer.BadParameter("--degrader classical takes no --pool and no --redegnet")

    from redeg_cli.device import pick_device
    from redeg_cli.io.manifest import ManifestWriter
    from redeg_cli.run.synthesis import Synthesis, plan

    place = pick_device(device)
    check_folder(output)
    jobs = plan(images, output, variants, f".{output_format.value}")
    if pool is None:
        maker, settings = _classical(scale or 4, aligned, seed)
    else:
        maker, settings = _learned(pool, redegnet, scale, aligned, seed, place)
    run = Synthesis(maker, settings, output, place, tile=tile, overwrite=overwrite)
    todo = run.pending(jobs, skip_existing)
    if len(todo) < len(jobs):
        say(f"{len(jobs) - len(todo)} of {len(jobs)} were made before")

    with ManifestWriter(run.manifest, append=True) as writer:

        def work(job: "Job", on_progress: OnProgress) -> None:
            run.run(job, writer, on_progress)
            if not as_json:
                emit_path(output / job.lq)

        outcome = run_batch(todo, work, lambda job: job.label, title="synthesising")
    rows = run.finish(jobs)
    if as_json:
        emit_json({"manifest": run.manifest, "settings": settings, "files": rows})
    outcome.finish()


def _classical(scale: int, aligned: bool, seed: int) -> tuple["Degrader", "Settings"]:
    from redeg_cli.degrade.classical import ClassicalDegrader
    from redeg_cli.run.synthesis import Settings

    return ClassicalDegrader(scale), Settings("classical", scale, aligned, seed)


def _learned(
    path: Path,
    redegnet: str | None,
    scale: int | None,
    aligned: bool,
    seed: int,
    device: "torch.device",
) -> tuple["Degrader", "Settings"]:
    from redeg_cli.models import DEFAULT_REDEGNET, find_model, load_network, model_fingerprint
    from redeg_cli.omega.learned import OmegaDegrader
    from redeg_cli.omega.pool import load_pool
    from redeg_cli.run.synthesis import Settings

    pool = load_pool(path)
    weights = find_model(redegnet or DEFAULT_REDEGNET)
    fingerprint = model_fingerprint(weights)
    pool.check_model(fingerprint, path, weights.stem)
    if scale is None:
        scale = pool.scale or 4
    elif pool.scale not in (None, scale):
        warn(
            f"{path} was taken at scale {pool.scale} and is used at scale {scale}: "
            "grain and JPEG blocks will have another size than in its photos"
        )
    net = load_network(weights, "redegnet", device)
    settings = Settings(
        "omega", scale, aligned, seed, str(path), pool.digest, weights.stem, fingerprint
    )
    return OmegaDegrader(net, pool, scale, aligned=aligned), settings
