"""``redeg build-noise``: real LR images in, patches of their noise out."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from redeg_cli.cli.common import JsonOption, OverwriteOption, run_batch
from redeg_cli.cli.messages import counted, emit_json, emit_path, say
from redeg_cli.cli.outputs import check_pool
from redeg_cli.errors import InputError
from redeg_cli.progress import OnProgress

if TYPE_CHECKING:
    from redeg_cli.degrade.noise_pool import NoiseRows
    from redeg_cli.io.listing import ImageFile


def build_noise(
    images: Annotated[
        list[Path],
        typer.Argument(help="Real LR images, or folders of them.", readable=False),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The pool to write (.npz).")],
    patch: Annotated[
        int, typer.Option("--patch", min=16, help="Side p of a patch in pixels.")
    ] = 32,
    part: Annotated[int, typer.Option("--part", min=2, help="Side q of its parts in pixels.")] = 8,
    mean: Annotated[
        float, typer.Option("--mean", min=0, help="μ of eq. 4: how far the parts' means may be.")
    ] = 0.1,
    variance: Annotated[
        float,
        typer.Option("--variance", min=0, help="γ of eq. 5: how far their variances may be."),
    ] = 0.25,
    least: Annotated[
        float, typer.Option("--least", min=0, help="φ of eq. 6: least variance, in levels².")
    ] = 0.5,
    per_image: Annotated[
        int, typer.Option("--per-image", min=1, help="Most patches of one image.")
    ] = 64,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Cut patches of noise from the smooth parts of real images, into a pool.

    The JPEG quality of each image is noted too: read from its tables, or estimated from its
    pixels when the file is no JPEG. What was left out is said, with the rule that left it out.
    """
    from redeg_cli.cli.estimated_pools import noise_summary
    from redeg_cli.degrade.noise_patches import Rules, find_noise
    from redeg_cli.degrade.noise_pool import NoiseRows
    from redeg_cli.io.listing import list_images

    rules = Rules(patch, part, mean, variance, least, limit=per_image)
    check_pool(output, overwrite)
    files = list_images(images)
    rows = NoiseRows()

    def work(file: "ImageFile", on_progress: OnProgress) -> None:
        del on_progress
        from redeg_cli.degrade.jpeg_quality import jpeg_traits
        from redeg_cli.io.images import read_photo, require_size

        photo = read_photo(file.path)
        require_size(photo, rules.p, file.name)
        rows.add(file.name, find_noise(photo.rgb, rules), jpeg_traits(file.path, photo.rgb))

    outcome = run_batch(files, work, lambda file: file.name, title="looking for noise")
    if rows.patches:
        pool = rows.pool(rules)
        pool.save(output)
        summary = noise_summary(output, pool)
        say(f"{counted(len(pool), 'patch', 'patches')} of noise, {summary['text']}")
        say(f"of {rows.looked_at} looked at, left out: {_reasons(pool.rejected)}")
        if as_json:
            failed = [{"name": name, "message": message} for name, message in outcome.failed]
            emit_json({**summary, "looked_at": rows.looked_at, "failed": failed})
        else:
            emit_path(output)
    elif outcome.done:
        outcome.tell_failures()
        raise InputError(_nothing(rows))
    outcome.finish()


def _reasons(rejected: dict[str, int]) -> str:
    from redeg_cli.degrade.noise_patches import REASONS

    return "; ".join(
        f"{count} {REASONS.get(reason, reason)}" for reason, count in rejected.items() if count
    )


def _nothing(rows: "NoiseRows") -> str:
    """Return why there is no pool."""
    return (
        f"no smooth patch with noise in {len(rows.found)} images; of {rows.looked_at} patches left "
        f"out: {_reasons(rows.rejected)}; a smaller --patch or a larger --variance finds more"
    )
