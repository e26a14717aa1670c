"""The options that choose a degrader, and ``redeg degraders``, which lists those with a name."""

from pathlib import Path
from typing import Annotated

import typer

from redeg_cli.cli.common import JsonOption
from redeg_cli.cli.messages import emit_json, emit_text

LEARNED = {
    "omega": ("Ωs of a pool: --pool FILE", "Li et al. 2022, ReDegNet"),
    "adapted": ("the degradation of one photo: --adapted FILE", "redeg finetune"),
    "kernel-noise": (
        "estimated kernels and noise: --degrader kernel-noise --kernels FILE --noise FILE",
        "Aakerberg et al. 2021, after RealSR",
    ),
    "dml": (
        "a model learned from registered pairs: --degrader dml --model FILE",
        "Xiao et al. 2020",
    ),
}
"""What a file decides: (description, source) by name."""

DegraderOption = Annotated[
    str | None,
    typer.Option(
        "--degrader",
        help="omega (needs --pool), dml (needs --model), kernel-noise (needs --kernels and "
        "--noise), a preset such as bsrgan, real-esrgan or old-photo (`redeg degraders` lists "
        "them), or a TOML file.",
        show_default=False,
    ),
]
PoolOption = Annotated[
    Path | None, typer.Option("--pool", help="Pool of Ωs, made by `redeg build-pool`.")
]
AdaptedOption = Annotated[
    Path | None,
    typer.Option(
        "--adapted",
        help="A photo's degradation, the adapted.safetensors that `redeg finetune` writes.",
    ),
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="FILE",
        help="Of --degrader dml: what `redeg train dml` wrote.",
        show_default=False,
    ),
]
NoiseSigmaOption = Annotated[
    float | None,
    typer.Option(
        "--noise-sigma",
        min=0,
        max=255,
        help="Of --degrader dml: standard deviation of the white noise, of 255.  [default: 5]",
        show_default=False,
    ),
]
KernelsOption = Annotated[
    Path | None,
    typer.Option("--kernels", help="Pool of blur kernels, made by `redeg build-kernels`."),
]
NoiseOption = Annotated[
    Path | None, typer.Option("--noise", help="Pool of noise, made by `redeg build-noise`.")
]
JpegOption = Annotated[
    str | None,
    typer.Option(
        "--jpeg",
        help="Of kernel-noise. auto: each LQ as one of the images that the noise is of; a quality "
        "from 1 to 100: nine of ten LQs are compressed at it; none: no JPEG.  [default: auto]",
        show_default=False,
    ),
]
RedegnetOption = Annotated[
    str | None,
    typer.Option(
        "--redegnet",
        help="The ReDegNet that made the pool: a name or a file.  [default: redegnet-lite]",
        show_default=False,
    ),
]
ScaleOption = Annotated[
    int | None,
    typer.Option(
        "--scale",
        min=1,
        max=4,
        help="How much smaller the LQ is. Default: the scale of the pool or the photo, or 4.",
        show_default=False,
    ),
]


def degraders(
    name: Annotated[
        str | None,
        typer.Argument(
            help="A preset, to print its file: a start for your own.", show_default=False
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the degraders, or print the TOML file of a handcrafted one (with --json its tables)."""
    from redeg_cli.degrade.chain import preset_path, preset_table, presets

    if name in LEARNED:
        raise typer.BadParameter(f"{name} has no TOML file, it is {LEARNED[name][0]}")
    if name is not None:
        path = preset_path(name)
        if as_json:
            emit_json({"name": name, **preset_table(name)})
        else:
            emit_text(path.read_text(encoding="utf-8").rstrip("\n"))
        return
    tables = {preset: preset_table(preset) for preset in presets()}
    if as_json:
        keys = ("description", "source")
        rows = [{"name": p} | {key: table[key] for key in keys} for p, table in tables.items()]
        rows += [
            {"name": each} | dict(zip(keys, told, strict=True)) for each, told in LEARNED.items()
        ]
        emit_json(rows)
        return
    width = max(map(len, tables))
    for preset, table in tables.items():
        emit_text(f"{preset:<{width}}  {table['description']}")
    for learned, (description, _) in LEARNED.items():
        emit_text(f"{learned:<{width}}  {description}")
