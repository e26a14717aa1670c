"""``redeg train``: networks trained by a recipe."""

import json
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from redeg_cli.cli.common import (
    JsonOption,
    check_folder,
    emit_json,
    emit_path,
    progress,
    say,
)


class Network(str, Enum):
    """What can be trained."""

    redegnet = "redegnet"
    restorer = "restorer"


def train(
    network: Annotated[
        Network,
        typer.Argument(help="redegnet: DegNet and SynNet; restorer: of whole photos or of faces."),
    ],
    recipe: Annotated[
        str,
        typer.Option(
            "--recipe",
            help="A TOML file, or a preset: redegnet-lite, f2n-compact, face-restorer.",
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for state, log and weights.")
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", help="key=value over the recipe: batch=8, degradation=bsrgan, ..."),
    ] = None,
    cpu: Annotated[bool, typer.Option("--cpu", help="Train on the CPU even if there is a GPU.")] = (
        False
    ),
    as_json: JsonOption = False,
) -> None:
    """Train a network by a recipe. The same command again carries on where it stopped.

    The data folders of a preset are relative to the working folder, those of a file to the file.
    """
    from redeg_cli.train.recipes import (
        ReDegNetRecipe,
        RestorerRecipe,
        find_recipe,
        load_recipe,
        plain_recipe,
        settle_recipe,
    )

    file, base = find_recipe(recipe)
    kind = ReDegNetRecipe if network is Network.redegnet else RestorerRecipe
    wanted = load_recipe(file, kind, overrides or [], base)
    check_folder(output)
    resolved = plain_recipe(wanted)
    for key, value in resolved.items():
        say(f"{key} = {json.dumps(value, ensure_ascii=False)}")
    settle_recipe(output, wanted)
    if (output / "state.pt").exists():
        say(f"carrying on from {output / 'state.pt'}")
    with progress("training") as on_progress:
        if isinstance(wanted, ReDegNetRecipe):
            from redeg_cli.train.redegnet import train_redegnet

            weights = train_redegnet(wanted, output, cpu, on_progress)
        else:
            from redeg_cli.train.restorer import train_restorer

            weights = train_restorer(wanted, output, cpu, on_progress)
    if as_json:
        emit_json({"weights": weights, "recipe": resolved})
    else:
        emit_path(weights)
