"""``redeg extract-omega``: one LQ/HQ pair in, its Ω out."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from redeg_cli.cli.common import DeviceOption, JsonOption, OverwriteOption, RedegnetOption
from redeg_cli.cli.messages import emit_json, emit_path, say, warn
from redeg_cli.cli.outputs import check_pool


def extract_omega(
    lq: Annotated[Path, typer.Argument(help="The degraded image.", readable=False)],
    hq: Annotated[Path, typer.Argument(help="The same image, sharp.", readable=False)],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="The file to write.  "
            "[default: the LQ's name with .omega.npz, in the working folder]",
            show_default=False,
        ),
    ] = None,
    scale: Annotated[
        int | None,
        typer.Option(
            "--scale",
            min=1,
            max=4,
            help="How much larger the HQ is. Default: the ratio of the sizes; 4 if they are equal.",
            show_default=False,
        ),
    ] = None,
    redegnet: RedegnetOption = "redegnet-lite",
    overwrite: OverwriteOption = False,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Extract the degradation Ω of an LQ/HQ pair as a pool with one row."""
    from redeg_cli.device import pick_device
    from redeg_cli.io.images import image_size
    from redeg_cli.models import find_model, load_redegnet, model_fingerprint
    from redeg_cli.omega import extract
    from redeg_cli.omega.pool import PoolRows
    from redeg_cli.omega.printed import printed_note

    place = pick_device(device)
    target = output or Path(f"{lq.stem}.omega.npz")
    check_pool(target, overwrite)
    pair = extract.single(lq, hq, scale)
    if text := extract.doubt(pair):
        warn(text)
    weights = find_model(redegnet)
    net = load_redegnet(weights, place)
    omega = extract.extract_omega(net, pair, place)
    how = extract.print_of(net, omega[0])
    if how is not None:
        say(printed_note(how, pair.scale))
    rows = PoolRows()
    rows.add(omega.numpy(), ["whole"], lq.name, pair.scale)
    pool = rows.pool(weights.stem, model_fingerprint(weights))
    pool.save(target)
    if not as_json:
        emit_path(target)
        return
    emit_json(
        {
            "pool": target,
            "omega": pool.omegas[0],
            "scale": pair.scale,
            "native": image_size(lq) != image_size(hq),
            "model": pool.model,
            "fingerprint": pool.fingerprint,
            "print": None if how is None else asdict(how),
        }
    )
