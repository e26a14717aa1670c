"""Recipes as files: found by name, read from TOML, changed by overrides, written as JSON."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import ValidationError

from redeg_cli.degrade.chain import presets as degrader_presets
from redeg_cli.errors import RecipeError
from redeg_cli.train.recipe_base import DataSource
from redeg_cli.train.recipes import (
    AnyRecipe,
    DmlRecipe,
    JointRecipe,
    PaperRecipe,
    ReDegNetRecipe,
    RestorerRecipe,
)
from redeg_cli.validation import did_you_mean, explain, parse_toml, read_toml

_T = TypeVar("_T", bound=AnyRecipe)

What = Literal["redegnet", "restorer", "joint", "dml"]
"""What a recipe trains."""

SIDES = ("redegnet", "restorer")
"""Keys of a joint recipe that hold a recipe each."""

_OF_THE_RUN = {"steps", "minutes", "precision", "compile", "channels_last"}
_OF_THE_RUN |= {"save_every", "validate_every", "patience"}
"""Keys of a joint recipe that its sides have none of: a preset's own are passed over."""

_SOURCES = ("data", "validation", "faces")
"""Keys that hold a list of DataSource."""
_FOLDERS = ("pairs", "held_out")
"""Keys that hold a list of folders."""
_FILES = ("pool", "dml", "kernels", "noise", "vgg19", "alexnet", "cache")
"""Keys that hold a file or a folder."""
_MODELS = ("init", "redegnet", "pseudo_restorer")
"""Keys that hold the name of a model, or a file."""


def presets() -> list[str]:
    """Return the names of the recipes that come with the package."""
    return sorted(path.stem for path in _preset_folder().glob("*.toml"))


def find_recipe(name_or_path: str | Path) -> tuple[Path, Path]:
    """Return the file of a recipe and the folder that its data folders are relative to.

    A preset's are relative to the working folder, a file's to the file. Raises RecipeError when
    there is neither such a preset nor such a file.
    """
    preset = _preset_folder() / f"{name_or_path}.toml"
    if str(name_or_path) in presets():
        return preset, Path()
    path = Path(name_or_path).expanduser()
    if path.is_file():
        return path, path.parent
    raise RecipeError(
        f"no recipe {name_or_path}{did_you_mean(name_or_path, presets())}: give a TOML file, "
        f"or one of {', '.join(presets())}"
    )


def recipe_kind(what: What, path: Path) -> type[AnyRecipe]:
    """Return the class of the recipe in a TOML file; a ReDegNet is trained in one of two ways."""
    if what == "redegnet":
        paper = read_toml(path).get("kind") == "redegnet-paper"
        return PaperRecipe if paper else ReDegNetRecipe
    kinds = {"joint": JointRecipe, "restorer": RestorerRecipe, "dml": DmlRecipe}
    return kinds[what]


def _preset_folder() -> Path:
    return Path(__file__).parent / "presets"


def plain_recipe(recipe: AnyRecipe) -> dict[str, Any]:
    """Return a recipe as JSON values, its data folders absolute."""
    return _absolute(recipe.model_dump(mode="json"))


def _absolute(table: dict[str, Any]) -> dict[str, Any]:
    for side in SIDES:
        if isinstance(table.get(side), dict):
            _absolute(table[side])
    for key in _SOURCES:
        for source in table.get(key, ()):
            source["folder"] = os.path.abspath(source["folder"])
    for key in _FOLDERS:
        if key in table:
            table[key] = [os.path.abspath(folder) for folder in table[key]]
    return table


def load_recipe(
    path: Path, kind: type[_T], overrides: Sequence[str] = (), base: Path | None = None
) -> _T:
    """Read a TOML recipe and apply ``key=value`` overrides (dots reach into tables and lists).

    Folders, and a file that ``degradation`` names, are relative to ``base``, by default the folder
    of the recipe file; those of overrides to the working folder. Raises RecipeError that names the
    key that is unknown, missing or wrong, and the nearest known one.
    """
    table = read_toml(path)
    base = path.parent if base is None else base
    if kind is JointRecipe:
        for side in SIDES:
            _refuse_run_keys(side, table.get(side), f"recipe {path}: ")
            for override in overrides:
                key = override.partition("=")[0].strip().partition(".")
                _refuse_run_keys(side, {key[2]} if key[0] == side else (), "--set ")
            if side in table:
                table[side] = _side(table[side], base)
    else:
        _place(table, base)
    for override in overrides:
        _override(table, override)
    try:
        return kind.model_validate(table)
    except ValidationError as error:
        reason = explain(error, kind, nested_keys(kind))
    except RecipeError as error:
        reason = str(error)
    raise RecipeError(f"recipe {path}: {reason}")


def _refuse_run_keys(side: str, table: Any, where: str) -> None:
    """Raise RecipeError for a key of a joint recipe's side that only the run itself goes by."""
    for key in _OF_THE_RUN.intersection(table if isinstance(table, dict | set) else ()):
        raise RecipeError(f"{where}'{side}.{key}': the joint run has one for both sides: '{key}'")


def nested_keys(kind: type[AnyRecipe]) -> list[str]:
    """Return the keys of the tables within a recipe, with which a misspelt key is compared."""
    inner = [DataSource]
    if kind is JointRecipe:
        inner += [ReDegNetRecipe, PaperRecipe, RestorerRecipe]
    return [key for model in inner for key in model.model_fields]


def _side(value: Any, base: Path) -> Any:
    """Return the table of a joint recipe's side: its own, or a recipe's that it names and changes.

    ``"f2n"`` and ``{ preset = "f2n", batch = 4 }`` name a preset or a file.
    """
    if isinstance(value, str):
        value = {"preset": value}
    if not isinstance(value, dict):
        return value
    _place(value, base)
    named = value.pop("preset", None)
    if named is None:
        return value
    file = base / Path(str(named)).expanduser()
    path, its_base = find_recipe(named if named in presets() or not file.is_file() else file)
    table = read_toml(path)
    _place(table, its_base)
    return {**table, **value}


def _place(table: dict[str, Any], base: Path) -> None:
    """Make the folders and files that a recipe names relative to ``base``."""
    for key in _SOURCES:
        if key in table:
            table[key] = _placed_sources(table[key], base)
    for key in _FILES:
        if isinstance(table.get(key), str):
            table[key] = str(base / Path(table[key]).expanduser())
    for key in _MODELS:
        if isinstance(table.get(key), str):
            file = base / Path(table[key]).expanduser()
            table[key] = str(file) if file.is_file() else table[key]
    for key in _FOLDERS:
        if isinstance(folders := table.get(key), list):
            table[key] = [
                str(base / Path(each).expanduser()) if isinstance(each, str) else each
                for each in folders
            ]
    degrader = table.get("degradation")
    if isinstance(degrader, str) and degrader not in degrader_presets():
        file = base / Path(degrader).expanduser()
        # What is neither a file nor named like one is told as a misspelt preset.
        if file.suffix == ".toml" or file.is_file():
            table["degradation"] = str(file)


def _placed_sources(value: Any, base: Path) -> Any:
    """Return a recipe's source, or list of them, its folders relative to ``base``."""
    if isinstance(value, list):
        return [_placed_sources(each, base) for each in value]
    if isinstance(value, str):
        return str(base / Path(value).expanduser())
    if isinstance(value, dict) and isinstance(value.get("folder"), str):
        return {**value, "folder": _placed_sources(value["folder"], base)}
    return value


def _override(table: dict[str, Any], text: str) -> None:
    key, separator, raw = text.partition("=")
    if not separator:
        raise RecipeError(f"--set {text!r}: expected key=value")
    value = _value(raw)
    *parents, last = key.strip().split(".")
    place: Any = table
    for parent in parents:
        if isinstance(place, list):
            place = place[_index(place, parent, text)]
        else:
            place = place.setdefault(parent, {})
        if not isinstance(place, dict | list):
            raise RecipeError(f"--set {text!r}: {parent} is not a table")
    if isinstance(place, list):
        place[_index(place, last, text)] = value
    else:
        place[last] = value


def _value(raw: str) -> Any:
    """Return a value as JSON or, tables and lists too, as the recipe's own TOML; else the text."""
    try:
        return json.loads(raw)
    except json.JSONDecodeError:
        pass
    if raw.lstrip()[:1] in ("{", "[", "'"):
        try:
            return parse_toml(f"value = {raw}")["value"]
        except RecipeError:
            pass
    return raw


def _index(place: list[Any], key: str, text: str) -> int:
    if not key.isdecimal() or int(key) >= len(place):
        raise RecipeError(
            f"--set {text!r}: {key!r} is no place in a list of {len(place)}, counted from 0"
        )
    return int(key)
