"""``redeg synthesize``: HQ images in, degraded ones out."""

from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from redeg_cli.cli.common import (
    DeviceOption,
    JsonOption,
    Outcome,
    OverwriteOption,
    SeedOption,
    TileOption,
    progress,
    run_batch,
)
from redeg_cli.cli.degrader_choice import Asked, Chosen, check_used, choose, choose_again
from redeg_cli.cli.degraders import (
    AdaptedOption,
    DegraderOption,
    JpegOption,
    KernelsOption,
    ModelOption,
    NoiseOption,
    NoiseSigmaOption,
    PoolOption,
    RedegnetOption,
    ScaleOption,
)
from redeg_cli.cli.messages import emit_json, emit_path, say, warn
from redeg_cli.cli.outputs import check_folder, refuse_file_name
from redeg_cli.progress import OnProgress


class LqFormat(str, Enum):
    """Formats of the LQ images."""

    png = "png"
    jpg = "jpg"


def synthesize(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the LQ images and manifest.jsonl.")
    ],
    images: Annotated[
        list[Path] | None,
        typer.Argument(
            help="HQ images, or folders of them. With --replay: the folders "
            "where they are now, or files, to make only theirs again.",
            readable=False,
            show_default=False,
        ),
    ] = None,
    pool: PoolOption = None,
    adapted: AdaptedOption = None,
    degrader: DegraderOption = None,
    model: ModelOption = None,
    noise_sigma: NoiseSigmaOption = None,
    kernels: KernelsOption = None,
    noise: NoiseOption = None,
    jpeg: JpegOption = None,
    replay: Annotated[
        Path | None,
        typer.Option(
            "--replay", help="A manifest.jsonl: make its LQs again, pixel for pixel, as it says."
        ),
    ] = None,
    scale: ScaleOption = None,
    variants: Annotated[
        int, typer.Option("--variants", min=1, max=9999, help="LQs of each HQ: name_0001 ...")
    ] = 1,
    seed: SeedOption = 0,
    pairs: Annotated[
        bool,
        typer.Option(
            "--pairs",
            help="Pairs for training: LQs in lq/ and, by the same names, their HQs in hq/, as PNG "
            "and cut to multiples of the scale.",
        ),
    ] = False,
    aligned: Annotated[
        bool, typer.Option("--aligned", help="LQs as large as the HQ, not on their own grid.")
    ] = False,
    output_format: Annotated[
        LqFormat | None,
        typer.Option(
            "--format",
            help="Format of the LQs; jpg compresses once more.  [default: png]",
            show_default=False,
        ),
    ] = None,
    redegnet: RedegnetOption = None,
    tile: TileOption = None,
    skip_existing: Annotated[
        bool, typer.Option("--skip-existing", help="Leave every LQ that exists as it is.")
    ] = False,
    overwrite: OverwriteOption = False,
    shard: Annotated[
        str | None,
        typer.Option(
            "--shard",
            metavar="K/N",
            help="The K-th of N parts of the images: for N processes, a folder each.",
            show_default=False,
        ),
    ] = None,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Degrade HQ images as a photo or a pool's photos were, or by a handcrafted degrader.

    Starts again where it stopped. The written paths go to stdout; manifest.jsonl in the output
    folder says how each was made.
    """
    if skip_existing and overwrite:
        raise typer.BadParameter("--skip-existing and --overwrite exclude each other")
    part = None if shard is None else _read_shard(shard)
    asked = Asked(degrader, pool, redegnet, adapted, model, noise_sigma, kernels, noise, jpeg)
    if replay is None:
        asked.check("--adapted, --replay, ")
        if not images:
            raise typer.BadParameter("give HQ images, or folders of them")
    elif (degrader, noise_sigma, scale, variants, seed, pairs, aligned, jpeg, output_format) != (
        *(None, None, None, 1, 0),
        *(False, False, None, None),
    ):
        raise typer.BadParameter(
            "--replay takes the degrader, its noise, scale, variants, seed, --pairs, --aligned, "
            "--jpeg and --format from the manifest"
        )

    from redeg_cli.device import pick_device
    from redeg_cli.io.lock import folder_lock
    from redeg_cli.run.jobs import Job, check_apart, plan, take_shard
    from redeg_cli.run.replay import check_there, plan_replay

    place = pick_device(device)
    refuse_file_name(output)
    check_folder(output, only_folder=True)
    groups: list[tuple[Chosen, list[Job]]] = []
    if replay is None:
        suffix = f".{(output_format or LqFormat.png).value}"
        with progress("listing", every_seconds=5) as listed:
            jobs = plan(
                *(images or [], output, variants, suffix),
                pairs=pairs,
                part=part,
                on_progress=listed,
            )
        chosen = choose(asked, scale, aligned, seed, place)
        groups.append((chosen, jobs))
    else:
        replayed, left_out = plan_replay(replay, images or [])
        if left_out:
            say(f"{left_out} of the LQs in {replay} are of other images: they are left out")
        check_used(asked, {group.settings.degrader for group in replayed})
        for group in replayed:
            check_apart(group.jobs, output)
            chosen = choose_again(group.settings, asked, place)
            jobs = group.jobs if part is None else take_shard(group.jobs, *part)
            groups.append((chosen, jobs))
        gone = check_there([job for _, jobs in groups for job in jobs], output, overwrite)
        if gone:
            warn(
                f"{gone} HQs are not where {replay} says: give a folder that holds all of them as "
                "an argument"
            )
    if not any(jobs for _, jobs in groups):
        say(f"none of the images falls into part {shard}")

    outcome, rows = Outcome(), []
    with folder_lock(output):
        for chosen, jobs in groups:
            made, some = _make(chosen, jobs, output, place, tile, skip_existing, overwrite, as_json)
            rows += some
            outcome.done += made.done
            outcome.failed += made.failed
    if as_json:
        settings = [chosen.settings for chosen, _ in groups]
        told = settings[0] if len(settings) == 1 else settings
        emit_json({"manifest": output / "manifest.jsonl", "settings": told, "files": rows})
    outcome.finish()


def _read_shard(text: str) -> tuple[int, int]:
    """Return (K, N) of ``K/N``. Raises BadParameter."""
    number, slash, count = text.partition("/")
    if slash and number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count):
        return int(number), int(count)
    raise typer.BadParameter(f"--shard {text}: expected K/N, such as 1/8 to 8/8")


def _make(
    chosen: Chosen,
    jobs: list[Any],
    output: Path,
    device: Any,
    tile: int | None,
    skip_existing: bool,
    overwrite: bool,
    as_json: bool,
) -> tuple[Outcome, list[dict[str, Any]]]:
    """Make the LQs of one degrader that are not there yet; return what became of them."""
    from redeg_cli.io.manifest import ManifestWriter
    from redeg_cli.omega.learned import OmegaDegrader
    from redeg_cli.run.jobs import Job
    from redeg_cli.run.synthesis import Synthesis

    if tile is not None and not isinstance(chosen.degrader, OmegaDegrader):
        warn(f"--tile: {chosen.settings.degrader} takes pictures whole")
    run = Synthesis(*chosen, output, device, tile=tile, overwrite=overwrite)
    todo = run.pending(jobs, skip_existing)
    if len(todo) < len(jobs):
        say(f"{len(jobs) - len(todo)} of {len(jobs)} were made before")
    if run.others is not None:
        count, first = run.others
        warn(f"the folder holds {count} LQs of other images that were made in another way: {first}")
    if run.changed:
        say(f"{len(run.changed)} are made again: a file is not of the size that it was written in")
    if run.replaced:
        say(f"{len(run.replaced)} are made again: their HQ images were replaced")

    with ManifestWriter(run.manifest, append=True) as writer:

        def report(job: Job) -> None:
            for name in job.files:
                emit_path(output / name)

        def work(job: Job, on_progress: OnProgress) -> None:
            run.run(job, writer, on_progress)

        outcome = run_batch(
            todo,
            work,
            lambda job: job.label,
            title="synthesising",
            report=None if as_json else report,
            threads=run.threads,
        )
    run.finish(jobs)
    if run.uneven:
        count = len(run.uneven)
        these = "1 image has" if count == 1 else f"{count} images have"
        say(
            f"{these} sides that are no multiple of {chosen.settings.scale}: their LQs are rounded "
            "up; --pairs cuts HQs to fit"
        )
    failed, labels = dict(outcome.failed), {job.lq: job.label for job in jobs}
    rows = [
        # Of one that was to be made again, the manifest says what is there still.
        {**row, "status": "failed", "message": failed[labels[row["lq"]]]}
        if labels[row["lq"]] in failed
        else row
        for row in (run.rows(jobs) if as_json else [])
    ]
    return outcome, rows
