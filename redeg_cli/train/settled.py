"""The recipe that a run folder was settled for, and what made it."""

import json
import platform
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from redeg_cli import __version__
from redeg_cli.errors import RecipeError
from redeg_cli.io.files import write_json
from redeg_cli.train.recipe_files import SIDES, nested_keys, plain_recipe
from redeg_cli.train.recipes import AnyRecipe
from redeg_cli.validation import explain

RECIPE = "recipe.json"

_MADE_WITH = "made_with"
"""Key of recipe.json that is no part of the recipe."""

# A run may be carried on with another of these: they change how long and how fast, not what.
_FREE = (
    *("steps", "minutes", "learning_rate", "save_every", "validate_every"),
    *("watched", "patience", "omega_rank"),
    *("compile", "channels_last", "cache", "workers"),
    *("degradation.description", "degradation.source"),
)


def settle_recipe(folder: Path, recipe: AnyRecipe) -> Path:
    """Write the recipe, and what it is run with, to ``folder/recipe.json``; return that path.

    Raises RecipeError as ``check_settled`` does.
    """
    check_settled(folder, recipe)
    path = folder / RECIPE
    write_json(path, plain_recipe(recipe) | {_MADE_WITH: provenance()})
    return path


def check_settled(folder: Path, recipe: AnyRecipe) -> None:
    """Raise RecipeError when the folder holds the state of a run by another recipe.

    Only what says how long and how fast (steps, minutes, learning_rate, save_every, validate_every,
    watched, patience, compile, channels_last, cache, workers) and what is done at the end alone
    (omega_rank) may change when a run is carried on.
    """
    if not (folder / "state.pt").exists():
        return
    before = _read_settled(folder / RECIPE, type(recipe))
    for key, old, new in _differences(before, plain_recipe(recipe)):
        side, _, of_side = key.partition(".")
        if key not in _FREE and not (side in SIDES and of_side in _FREE):
            raise RecipeError(
                f"{folder} holds a run with {key} = {_brief(old)}, now it is "
                f"{_brief(new)}: give another folder with -o, or remove {folder / 'state.pt'}"
            )


def provenance() -> dict[str, str]:
    """Return the versions that a run depends on, and the git commit of the working folder.

    There is no commit outside a git repository and without git.
    """
    made = {
        "redeg": __version__,
        "torch": version("torch").partition("+")[0],
        "python": platform.python_version(),
    }
    here = Path.cwd()
    # Not asked elsewhere: where Apple's developer tools are not there, git opens a dialog.
    if not any((folder / ".git").exists() for folder in (here, *here.parents)):
        return made
    with suppress(OSError, subprocess.SubprocessError):
        command = ["git", "rev-parse", "--verify", "HEAD"]
        found = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
        made["commit"] = found.stdout.strip()
    return made


def _read_settled(path: Path, kind: type[AnyRecipe]) -> dict[str, Any]:
    try:
        table = json.loads(path.read_bytes())
        if isinstance(table, dict):
            table.pop(_MADE_WITH, None)
        # Strict about JSON's types, as when the file was written.
        return plain_recipe(kind.model_validate_json(json.dumps(table)))
    except FileNotFoundError:
        reason = "is missing"
    except ValidationError as error:
        reason = explain(error, kind, nested_keys(kind))
    except RecipeError as error:
        reason = str(error)
    except ValueError as error:
        reason = f"is not JSON: {error}"
    except OSError as error:
        reason = error.strerror or str(error)
    raise RecipeError(
        f"{path.parent} holds a run, but its recipe cannot be compared ({path.name}: {reason}): "
        "give another folder with -o"
    )


def _differences(before: Any, now: Any, key: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield where two values differ: the key, as in ``--set``, and both values there."""
    if isinstance(before, dict) and isinstance(now, dict):
        pairs = [(name, before.get(name), now.get(name)) for name in sorted({*before, *now})]
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        pairs = [(str(i), before[i], now[i]) for i in range(len(now))]
    else:
        if before != now:
            yield key, before, now
        return
    for name, old, new in pairs:
        yield from _differences(old, new, f"{key}.{name}" if key else name)


def _brief(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else f"{text[:200]}..."
