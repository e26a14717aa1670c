"""Handcrafted degraders: a preset or a TOML file that says which steps to draw.

A file holds ``description``, ``source`` (both optional), ``steps``, and ``[chains]`` with lists
that the steps may ``use``; ``draws`` says what the entries are. A record holds the steps that were
drawn, ``{"degrader": name, "scale": s, "steps": [{"op": "blur", ...}, ...]}``: it can be applied
by itself, whichever degrader drew it.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch

from redeg_cli.degrade.base import Record
from redeg_cli.degrade.draws import ChainReader
from redeg_cli.degrade.steps import run_records
from redeg_cli.errors import RecipeError
from redeg_cli.seeds import numpy_generator
from redeg_cli.validation import did_you_mean, nearest_or_all, read_toml

_KEYS = ("description", "source", "steps", "chains")


class ChainDegrader:
    """Draws the steps of one chain. See ``Degrader``."""

    def __init__(self, table: Mapping[str, Any], scale: int, name: str = "chain") -> None:
        """Read the tables of a degrader; ``name`` stands in its records and errors.

        Raises RecipeError that names the key that is unknown, missing or wrong.
        """
        for key in table:
            if key not in _KEYS:
                raise RecipeError(f"{name}: unknown key {key!r}{nearest_or_all(key, _KEYS)}")
        if "steps" not in table:
            raise RecipeError(f"{name}: the key 'steps' is missing")
        chains = table.get("chains", {})
        if not isinstance(chains, Mapping):
            raise RecipeError(f"{name}: chains: expected a table of lists, got {chains!r}")
        self.scale = scale
        self.name = name
        sources = [table]

        def find_preset(preset: Any, where: str) -> Mapping[str, Any]:
            sources.append(preset_table(preset, where))
            return sources[-1]

        reader = ChainReader(scale, chains, find_preset)
        try:
            for chain, entries in chains.items():
                reader.read_list(entries, f"chains.{chain}")
            self._steps = reader.read_list(table["steps"], "steps")
        except RecipeError as error:
            raise RecipeError(f"{name}: {error}") from None
        text = json.dumps(sources, sort_keys=True, default=str).encode()
        self.digest = hashlib.blake2b(text, digest_size=8).hexdigest()
        """Of the tables it was read from, presets within them included."""

    def draw(self, seed: int) -> Record:
        """Return the steps drawn for ``seed``. Pure."""
        steps = self._steps.draw(numpy_generator(seed))
        return {"degrader": self.name, "scale": self.scale, "steps": steps}

    def apply(self, hq: torch.Tensor, records: Sequence[Record]) -> torch.Tensor:
        """See ``Degrader.apply`` and ``run_records``."""
        return run_records(hq, records, self.scale)


class Replay:
    """Applies records that are at hand; it draws none of its own. See ``Degrader``."""

    def __init__(self, scale: int) -> None:
        self.scale = scale

    def draw(self, seed: int) -> Record:
        """Raise RuntimeError."""
        raise RuntimeError(f"a replay has no record to draw for seed {seed}")

    def apply(self, hq: torch.Tensor, records: Sequence[Record]) -> torch.Tensor:
        """See ``Degrader.apply`` and ``run_records``."""
        return run_records(hq, records, self.scale)


def presets() -> list[str]:
    """Return the names of the degraders that come with the package."""
    return sorted(path.stem for path in _folder().glob("*.toml"))


def preset_path(name: Any, where: str = "degrader") -> Path:
    """Return the file of a preset. Raises RecipeError that names the nearest one."""
    if name not in presets():
        raise RecipeError(
            f"{where}: no preset {name!r}{did_you_mean(name, presets())}: "
            f"there are {', '.join(presets())}"
        )
    return _folder() / f"{name}.toml"


def preset_table(name: Any, where: str = "degrader") -> Mapping[str, Any]:
    """Return the tables of a preset. Raises RecipeError that names the nearest one."""
    return _read(preset_path(name, where))


@cache
def _read(path: Path) -> Mapping[str, Any]:
    return read_toml(path)


def _folder() -> Path:
    return Path(__file__).parent / "presets"


def read_degrader(what: str | Path | Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    """Return the tables of a preset's name or of a TOML file, or those given, and their name.

    Raises RecipeError when there is no preset and no file of that name. The tables are as they
    were found: ``ChainDegrader`` checks them.
    """
    if isinstance(what, Mapping):
        return what, "chain"
    if str(what) in presets():
        return preset_table(str(what)), str(what)
    path = Path(what).expanduser()
    if path.suffix != ".toml" and not path.is_file():
        raise RecipeError(
            f"no degrader {str(what)!r}{did_you_mean(what, presets())}: give a TOML file, "
            f"or one of {', '.join(presets())}"
        )
    return read_toml(path), path.name


def load_degrader(what: str | Path | Mapping[str, Any], scale: int) -> ChainDegrader:
    """Return the degrader of a preset's name, a TOML file or its tables.

    Raises RecipeError when there is none of that name, or that names the key that is wrong.
    """
    table, name = read_degrader(what)
    return ChainDegrader(table, scale, name)
