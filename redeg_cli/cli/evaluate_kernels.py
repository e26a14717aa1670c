"""``redeg evaluate kernels``: pictures of the kernels of a degrader or of a file."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from redeg_cli.cli.common import JsonOption, OverwriteOption, SeedOption
from redeg_cli.cli.messages import emit_json, emit_path
from redeg_cli.cli.outputs import check_folder

if TYPE_CHECKING:
    from torch import Tensor


def kernels(
    what: Annotated[
        str,
        typer.Argument(
            help="A handcrafted degrader (a preset of `redeg degraders`) or its TOML file; or an "
            ".npz or .safetensors file with kernels (M, k, k) and perhaps weights (M, H, W); or a "
            "model of `redeg train dml`."
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            help="The sheet to write; an .html file is a page on which a pixel of the --picture "
            "can be clicked.",
        ),
    ],
    count: Annotated[
        int, typer.Option("--count", "-n", min=1, max=100, help="Draws of a degrader.")
    ] = 8,
    scale: Annotated[int, typer.Option("--scale", min=1, max=4, help="Of the degrader.")] = 4,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="X,Y", help="Of a file: show the kernel of this pixel too."),
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option(
            "--picture",
            help="Of a file: the picture that the weights belong to; of a model: the HQ picture "
            "that it predicts them for.",
        ),
    ] = None,
    seed: SeedOption = 0,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Draw the blur kernels of a degrader, or kernels and weight maps of a file, on a sheet.

    Each is labelled with its sum, its centre of mass and its widths (standard deviations along
    both axes). Of a degrader's draws the effective kernel is measured too: what an LQ pixel takes
    of the HQ's after all blurs and resizes.
    """
    from redeg_cli.evaluate.kernel_page import write_kernel_page
    from redeg_cli.evaluate.kernel_sheet import draws_sheet, set_sheet
    from redeg_cli.evaluate.kernels import (
        FILES,
        dml_kernels,
        draw_kernels,
        is_dml,
        kernel_at,
        read_kernels,
    )
    from redeg_cli.io.files import ensure_writable
    from redeg_cli.io.images import read_rgb, write_rgb

    of_file = Path(what).suffix.lower() in FILES
    if not of_file and (at is not None or picture is not None):
        raise typer.BadParameter(f"--at and --picture need a file of kernels, {what} is a degrader")
    as_page = output.suffix.lower() in (".html", ".htm")
    if as_page and picture is None:
        raise typer.BadParameter("a page needs a --picture to click on, and a file or a model")
    pixel = None if at is None else _pixel(at)
    check_folder(output)
    ensure_writable(output, overwrite)
    if of_file:
        shown_picture = None if picture is None else read_rgb(picture)
        model = is_dml(Path(what))
        found = dml_kernels(Path(what), shown_picture) if model else read_kernels(Path(what))
        shown = [(f"kernel {m}", values) for m, values in enumerate(found.kernels)]
        if pixel is not None:
            shown.append((f"at {at}", kernel_at(found, *pixel)))
        facts: list[Any] = [_facts(label, values) for label, values in shown]
        if as_page and shown_picture is not None:
            write_kernel_page(output, found, shown_picture, Path(what).name, pixel)
        else:
            write_rgb(output, set_sheet(found, pixel, shown_picture))
    else:
        draws = draw_kernels(what, scale, count, seed)
        facts = [
            {
                "steps": draw.ops,
                "kernels": [_facts(shown.label, shown.values) for shown in draw.kernels],
                "effective": (
                    None if draw.effective is None else _facts("effective", draw.effective)
                ),
                "left_out": draw.left_out,
            }
            for draw in draws
        ]
        write_rgb(output, draws_sheet(draws))
    if as_json:
        emit_json({"sheet": output, ("kernels" if of_file else "draws"): facts})
    else:
        emit_path(output)


def _pixel(text: str) -> tuple[int, int]:
    """Return (x, y) of ``X,Y``. Raises BadParameter."""
    parts = text.split(",")
    if len(parts) != 2 or not all(part.strip().isdecimal() for part in parts):
        raise typer.BadParameter(f"--at {text}: expected X,Y, two whole numbers from 0")
    return int(parts[0]), int(parts[1])


def _facts(label: str, values: "Tensor") -> dict[str, Any]:
    from redeg_cli.evaluate.kernels import describe_kernel

    return {"label": label, "size": list(values.shape), **vars(describe_kernel(values))}
