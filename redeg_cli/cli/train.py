"""``redeg train``: networks trained by a recipe."""

import json
from collections.abc import Callable
from contextlib import nullcontext
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from redeg_cli.cli.common import DeviceOption, JsonOption, progress, told_how_to_carry_on
from redeg_cli.cli.messages import emit_json, emit_path, emit_text, say
from redeg_cli.cli.outputs import check_folder
from redeg_cli.cli.training import training_view
from redeg_cli.progress import no_progress

if TYPE_CHECKING:
    from redeg_cli.train.recipes import AnyRecipe


class Network(str, Enum):
    """What can be trained."""

    redegnet = "redegnet"
    restorer = "restorer"
    joint = "joint"
    dml = "dml"


def train(
    network: Annotated[
        Network,
        typer.Argument(
            help="redegnet: DegNet and SynNet; restorer: of whole photos or of faces; joint: a "
            "ReDegNet and a restorer at once, as the release does (one after the other is better); "
            "dml: a degradation, from registered pairs."
        ),
    ],
    recipe: Annotated[
        str | None,
        typer.Option(
            "--recipe",
            help="A TOML file, or a preset, such as redegnet-lite, f2n-compact or face-restorer (a "
            "wrong name lists all).  [default of dml: dml]",
            show_default=False,
        ),
    ] = None,
    pairs: Annotated[
        list[Path] | None,
        typer.Option(
            "--pairs", help="Of dml: a folder of pairs: RealSR's names, or hr/ (hq/) and lr/ (lq/)."
        ),
    ] = None,
    scale: Annotated[
        int | None,
        typer.Option("--scale", min=2, max=4, help="Of dml: how much coarser the LQs are."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Folder for state, log and weights. Required; of dml dml-xSCALE by default.",
            show_default=False,
        ),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="key=value over the recipe: batch=8, degradation=bsrgan, ... May be given "
            "several times.",
        ),
    ] = None,
    device: DeviceOption = "auto",
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Print the whole recipe and what would be trained; write nothing."
        ),
    ] = False,
    check: Annotated[
        bool,
        typer.Option(
            "--check-data",
            help="Only read every image: name those that are unreadable, too small or duplicates, "
            "and pairs that do not match. Exit code 1 for unreadable ones, for such pairs, and for "
            "a folder without a usable image.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Train a network by a recipe. The same command again carries on where it stopped.

    The data folders of a preset are relative to the working folder, those of a file to the file.
    """
    if network is Network.dml:
        recipe = recipe or "dml"
        overrides = [*_of_pairs(pairs, scale), *(overrides or [])]
    elif pairs or scale is not None:
        raise typer.BadParameter(f"--pairs and --scale are of dml, {network.value} has a recipe")
    if recipe is None:
        raise typer.BadParameter("give a TOML file or a preset's name", param_hint="--recipe")

    from redeg_cli.device import is_first_process
    from redeg_cli.train.recipe_files import find_recipe, load_recipe, plain_recipe, recipe_kind
    from redeg_cli.train.settled import settle_recipe

    file, base = find_recipe(recipe)
    wanted = load_recipe(file, recipe_kind(network.value, file), overrides or [], base)
    if check:
        _check(wanted, as_json)
        return
    if output is None and wanted.kind == "dml":
        output = Path(f"{wanted.name}-x{wanted.scale}")
    if output is None:
        raise typer.BadParameter("give a folder for state, log and weights", param_hint="-o")
    check_folder(output)
    resolved, state, first = plain_recipe(wanted), output / "state.pt", is_first_process()
    if first:
        from redeg_cli.train.overview import overview

        told = emit_text if dry_run and not as_json else say
        if dry_run:  # first: it can be read even where there are no data
            _tell_table(resolved, told)
        found = overview(wanted, output, device)
        _tell_table(found, told)
        if dry_run and as_json:
            emit_json({"overview": found, "recipe": resolved})
    if dry_run:
        return
    if first:
        settle_recipe(output, wanted)
        if state.exists():
            say(f"carrying on from {state}")
    with _view(wanted, first) as (on_progress, watch), told_how_to_carry_on(state, first):
        from redeg_cli.train.training import train as run

        weights = run(wanted, output, device, on_progress, say if first else _silent, watch)
    if first and as_json:
        emit_json({"weights": weights, "recipe": resolved})
    elif first:
        for each in weights:
            emit_path(each)


def _of_pairs(pairs: list[Path] | None, scale: int | None) -> list[str]:
    """Return what ``--pairs`` and ``--scale`` set in a recipe."""
    told = [f"pairs={json.dumps([str(each) for each in pairs])}"] if pairs else []
    return told if scale is None else [*told, f"scale={scale}"]


def _silent(text: str) -> None:
    del text


def _view(recipe: "AnyRecipe", first: bool) -> Any:
    """Return what shows a run; only the first of several processes does."""
    from redeg_cli.train.overview import images_per_step

    if not first:
        return nullcontext((no_progress, lambda _: None))
    return training_view(recipe.steps, recipe.minutes, images_per_step(recipe))


def _tell_table(table: dict[str, Any], told: Callable[[str], None]) -> None:
    for key, value in table.items():
        told(f"{key} = {json.dumps(value, ensure_ascii=False)}")


def _check(recipe: "AnyRecipe", as_json: bool) -> None:
    """Name the images of a recipe that cannot be used; leave with code 1 if any is unreadable, if
    pairs do not match, or if a folder has none that can be used."""
    from redeg_cli.train.check import check_data

    with progress("reading images") as on_progress:
        found = check_data(recipe, on_progress)
    if as_json:
        emit_json(found)
    else:
        for finding in found.findings:
            emit_path(f"{finding.problem}: {finding.message}")
    unreadable, mismatched = found.count("unreadable"), found.count("mismatched")
    say(
        f"{found.images} images: {unreadable} unreadable, {found.count('small')} too small, "
        f"{found.count('duplicate')} duplicates; {mismatched} pairs that do not match"
    )
    if unreadable or mismatched or found.count("unusable"):
        raise typer.Exit(1)
