"""``redeg degrade-preview``: a sheet that shows what a degrader does."""

from pathlib import Path
from typing import Annotated

import typer

from redeg_cli.cli.common import DeviceOption, JsonOption, OverwriteOption, SeedOption
from redeg_cli.cli.degrader_choice import Asked, choose
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
from redeg_cli.cli.messages import emit_json, emit_path
from redeg_cli.cli.outputs import check_folder


def degrade_preview(
    image: Annotated[Path, typer.Argument(help="A sharp image.", readable=False)],
    degrader: DegraderOption = None,
    pool: PoolOption = None,
    adapted: AdaptedOption = None,
    model: ModelOption = None,
    noise_sigma: NoiseSigmaOption = None,
    kernels: KernelsOption = None,
    noise: NoiseOption = None,
    jpeg: JpegOption = None,
    count: Annotated[
        int, typer.Option("--count", "-n", min=1, max=200, help="How many times to degrade it.")
    ] = 12,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="The sheet.  [default: IMAGE_DEGRADER.png]", show_default=False
        ),
    ] = None,
    scale: ScaleOption = None,
    crop: Annotated[
        int,
        typer.Option("--crop", min=64, max=2048, help="Side of the middle part that is shown."),
    ] = 256,
    seed: SeedOption = 0,
    redegnet: RedegnetOption = None,
    device: DeviceOption = "auto",
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show what a degrader does: a labelled sheet of one image degraded several times.

    Each cell is an LQ enlarged to the size of the image (bicubic), named by its seed.
    """
    asked = Asked(
        degrader,
        pool,
        redegnet,
        adapted,
        model=model,
        noise_sigma=noise_sigma,
        kernels=kernels,
        noise=noise,
        jpeg=jpeg,
    )
    asked.check("--adapted, ")

    from redeg_cli.degrade.preview import contact_sheet, describe_record
    from redeg_cli.device import pick_device
    from redeg_cli.errors import OutputError
    from redeg_cli.io.files import ensure_writable
    from redeg_cli.io.images import check_suffix, write_rgb
    from redeg_cli.run.preview import degrade_crop, read_crop

    place = pick_device(device)
    chosen = choose(asked, scale, False, seed, place)
    label = chosen.settings.degrader.removesuffix(".toml")
    output = output or Path(f"{image.stem}_{label}.png")
    if output.resolve() == image.resolve():
        raise OutputError(f"{output} is the image itself: give another file with -o")
    check_folder(output)
    ensure_writable(output, overwrite)
    check_suffix(output)
    hq = read_crop(image, crop, chosen.settings.scale)
    previews = degrade_crop(hq, chosen.degrader, seed, count, place)
    titles = [f"{label}, seed {seed}, no. {number}" for number in range(1, count + 1)]
    texts = [describe_record(preview.record) for preview in previews]
    sheet = contact_sheet(hq, [preview.aligned for preview in previews], titles, texts)
    write_rgb(output, sheet)
    if as_json:
        emit_json({"sheet": output, "records": [preview.record for preview in previews]})
    else:
        emit_path(output)
