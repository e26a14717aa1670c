"""The parts of a pool that is being built, kept in a file, so that a stopped run can go on."""

import base64
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from redeg_cli.errors import InputError, OutputError
from redeg_cli.io.manifest import ManifestWriter, read_manifest
from redeg_cli.omega.pool import OMEGA_SIZE


@dataclass(frozen=True)
class PairOmegas:
    """The Ωs of one pair."""

    name: str
    scale: int
    omegas: np.ndarray
    """float32 (n, 512)."""
    notes: Sequence[str]
    """Of each Ω, how it was taken."""


@dataclass(frozen=True)
class Part:
    """What one pair of files, or one photo, gives."""

    pairs: Sequence[PairOmegas]
    """One of a pair of files, one of each usable face of a photo: there may be none."""
    left_out: Sequence[str] = ()
    """Of a photo's faces, and why."""
    doubt: str = ""
    """What speaks against the pair."""
    soft: Sequence[str] = ()
    """Names of the pairs whose HQ is an enlargement."""


class PoolParts:
    """The parts of a pool's sources by their ``sign``, each on disk as soon as it is added.

    The file lies beside the pool, with ``.part`` behind its name, until ``remove``.
    """

    def __init__(self, pool: Path, settings: Mapping[str, Any], *, overwrite: bool = False) -> None:
        """Take up what a run with the same ``settings`` (plain JSON values) has left.

        Raises OutputError for what another run has left, unless it may be overwritten.
        """
        self.path = pool.with_name(pool.name + ".part")
        self._known: dict[str, Part] = {}
        first = {"settings": dict(settings)}
        rows = _read(self.path)
        goes_on = rows[:1] == [first]
        if rows and not goes_on and not overwrite:
            raise OutputError(
                f"{self.path} is of a run with other settings, which was stopped: give those again "
                "to go on with it, or --overwrite to begin anew"
            )
        for row in rows[1:] if goes_on else []:
            try:
                self._known[row["source"]] = _part_of(row)
            except (KeyError, TypeError, ValueError) as error:
                raise InputError(
                    f"{self.path} is damaged ({error}): delete it to begin anew"
                ) from None
        self._file = ManifestWriter(self.path, append=goes_on)
        if not goes_on:
            self._file.write(first)

    def find(self, sign: str) -> Part | None:
        """Return the part of a source, if it is there."""
        return self._known.get(sign)

    def add(self, sign: str, part: Part) -> None:
        """Keep a part, on disk too. Raises DiskFullError."""
        self._known[sign] = part
        self._file.write({"source": sign, **_row_of(part)})

    def __enter__(self) -> "PoolParts":
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file, which stays."""
        self._file.close()

    def remove(self) -> None:
        """Remove the file: the pool is written."""
        self._file.close()
        self.path.unlink(missing_ok=True)


def sign(name: str, files: Sequence[Path]) -> str:
    """Return what tells a source (an LQ and its HQ, or a photo) of that ``name`` in the pool from
    others, and from what it was before its files changed. It is taken before they are read."""
    signs: list[object] = [name]
    for file in files:
        signs.append(str(file.absolute()))
        with suppress(OSError):  # gone since it was listed: reading it tells
            found = file.stat()
            signs += [found.st_size, found.st_mtime_ns]
    return json.dumps(signs)


def _read(path: Path) -> list[dict[str, Any]]:
    return read_manifest(path) if path.exists() else []


def _row_of(part: Part) -> dict[str, Any]:
    pairs = [
        {
            "name": pair.name,
            "scale": pair.scale,
            "notes": list(pair.notes),
            "omegas": base64.b64encode(np.ascontiguousarray(pair.omegas, "<f4").tobytes()).decode(),
        }
        for pair in part.pairs
    ]
    rest = {"left_out": list(part.left_out), "doubt": part.doubt, "soft": list(part.soft)}
    return {"pairs": pairs, **rest}


def _part_of(row: Mapping[str, Any]) -> Part:
    pairs = []
    for pair in row["pairs"]:
        omegas = np.frombuffer(base64.b64decode(pair["omegas"]), "<f4").reshape(-1, OMEGA_SIZE)
        if len(omegas) != len(pair["notes"]):
            raise ValueError(f"{len(omegas)} Ωs with {len(pair['notes'])} notes")
        pairs.append(PairOmegas(pair["name"], pair["scale"], omegas, pair["notes"]))
    return Part(pairs, row["left_out"], row["doubt"], row["soft"])
