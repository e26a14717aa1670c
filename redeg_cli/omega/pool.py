"""The pool: many Ωs, each with the pair it came from."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from redeg_cli.errors import InputError, ModelError, one_line
from redeg_cli.io.arrays import DAMAGE, read_arrays, write_arrays
from redeg_cli.io.pairs import SCALES

FORMAT = 1
OMEGA_SIZE = 512
_BLOCK = 4096
"""Rows that are worked on in float64 at a time."""
_ARRAYS = {"omega": ("f", 2), "name": ("U", 1), "scale": ("iu", 1), "note": ("U", 1)}
"""What a file holds: NumPy's kinds of numbers or text, and how many dimensions."""


@dataclass(frozen=True)
class Pool:
    """N Ωs of one ReDegNet. Guaranteed: all fields agree in length, every Ω is finite, every scale
    is one of ``io.pairs.SCALES``."""

    omegas: np.ndarray
    """float32 (N, 512)."""
    names: tuple[str, ...]
    """The pair each Ω was extracted from."""
    scales: np.ndarray
    """int (N,): the scale the pair was taken at."""
    model: str
    """Name of the ReDegNet that made them."""
    fingerprint: str
    """First hex digits of the hash of its weights."""
    notes: tuple[str, ...] = field(default=())
    """Per Ω: how it was taken ("whole", "crop 3, turned 90°, resampled 0.84")."""

    def __post_init__(self) -> None:
        count = len(self.names)
        if self.omegas.shape != (count, OMEGA_SIZE) or self.scales.shape != (count,):
            raise InputError(
                f"a pool needs (N, {OMEGA_SIZE}) Ωs with a name and a scale each, got "
                f"{self.omegas.shape}, {count} names and {self.scales.shape} scales"
            )
        if count == 0:
            raise InputError("a pool needs at least one Ω, got none")
        if len(self.notes) not in (0, count):
            raise InputError(f"a pool needs a note for each of its {count} Ωs or none at all")
        if not np.isfinite(self.omegas).all():
            raise InputError("the pool holds an Ω that is not finite; extract it again")
        strange = self.scales[~np.isin(self.scales, SCALES)]
        if len(strange):
            raise InputError(
                f"the pool holds an Ω of scale {strange[0]}, wanted 1, 2, 3 or 4; extract it again"
            )
        if not self.notes:
            object.__setattr__(self, "notes", ("",) * count)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def digest(self) -> str:
        """12 hex digits that tell this pool from any other: the same rows, the same digits."""
        text = json.dumps([self.model, self.fingerprint, self.names, self.scales.tolist()])
        rows = np.ascontiguousarray(self.omegas, "<f4").tobytes()
        return hashlib.sha256(text.encode() + rows).hexdigest()[:12]

    @property
    def scale(self) -> int | None:
        """The scale that all pairs were taken at; None when they differ."""
        found = set(self.scales.tolist())
        return int(found.pop()) if len(found) == 1 else None

    def of_scale(self, scale: int) -> "Pool | None":
        """Return the Ωs of pairs that were taken at a scale; None if there is none."""
        rows = np.flatnonzero(self.scales == scale)
        if len(rows) in (0, len(self)):
            return self if len(rows) else None
        return replace(
            self,
            omegas=self.omegas[rows],
            names=tuple(self.names[row] for row in rows),
            scales=self.scales[rows],
            notes=tuple(self.notes[row] for row in rows),
        )

    def scale_note(self, path: Path | str, scale: int) -> str | None:
        """Return one line if all pairs were taken at other scales than that of its use."""
        taken = sorted(set(self.scales.tolist()))
        if scale in taken:
            return None
        return (
            f"{path} was taken at scale {', '.join(map(str, taken))} and is used at scale {scale}: "
            "grain and JPEG blocks will have another size than in its photos"
        )

    def save(self, path: Path) -> None:
        """Write the pool as NumPy's npz, under a temporary name first. Raises OutputError."""
        arrays = {
            "omega": self.omegas.astype(np.float32, copy=False),
            "name": np.array(self.names),
            "scale": self.scales.astype(np.int16),
            "note": np.array(self.notes),
        }
        header = {"format": FORMAT, "model": self.model, "fingerprint": self.fingerprint}
        write_arrays(path, arrays, header)

    def check_model(self, fingerprint: str, path: Path | str, model: str) -> None:
        """Raise ModelError unless the pool was made by the model with ``fingerprint``."""
        if self.fingerprint != fingerprint:
            raise ModelError(
                f"{path} was made by {self.model} ({self.fingerprint}), not by {model} "
                f"({fingerprint}): its Ωs mean nothing to another model; give --redegnet the "
                "model it was made by, or build the pool again"
            )


def load_pool(path: Path) -> Pool:
    """Read a pool written by ``Pool.save``. Raises InputError for anything else."""
    arrays, header = read_arrays(path, "pool of Ωs", "redeg build-pool")
    try:
        for name, (kinds, dimensions) in _ARRAYS.items():
            if arrays[name].dtype.kind not in kinds or arrays[name].ndim != dimensions:
                raise ValueError(f"its {name} is {arrays[name].dtype} {arrays[name].shape}")
        if header.get("format", FORMAT) != FORMAT:
            raise InputError(
                f"the pool has format {header['format']}, this version reads {FORMAT}: update redeg"
            )
        with np.errstate(over="ignore"):  # told as what is not finite
            omegas = arrays["omega"].astype(np.float32, copy=False)
        return Pool(
            omegas=omegas,
            names=tuple(arrays["name"].tolist()),
            scales=arrays["scale"].astype(np.int64),
            model=str(header["model"]),
            fingerprint=str(header["fingerprint"]),
            notes=tuple(arrays["note"].tolist()),
        )
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except DAMAGE as error:
        raise InputError(
            f"{path} is not a pool of Ωs ({one_line(error)}); make one with `redeg build-pool`"
        ) from None


@dataclass
class PoolRows:
    """The rows of a pool that is being built."""

    omegas: list[np.ndarray] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    scales: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, omegas: np.ndarray, notes: Sequence[str], name: str, scale: int) -> None:
        """Add the Ωs (n, 512) of one pair, each with the note on how it was taken."""
        self.omegas.append(omegas)
        self.names += [name] * len(omegas)
        self.scales += [scale] * len(omegas)
        self.notes += notes

    def pool(self, model: str, fingerprint: str) -> Pool:
        """Return the pool. Raises InputError when there is no row, or an Ω is not finite."""
        none = np.zeros((0, OMEGA_SIZE), np.float32)
        return Pool(
            omegas=np.concatenate([none, *self.omegas]).astype(np.float32, copy=False),
            names=tuple(self.names),
            scales=np.array(self.scales, np.int64),
            model=model,
            fingerprint=fingerprint,
            notes=tuple(self.notes),
        )


def merge_pools(pools: Sequence[tuple[Path, Pool]]) -> Pool:
    """Return one pool of all rows. Raises ModelError when they come from different models."""
    if not pools:
        raise InputError("no pool was given")
    _, first = pools[0]
    for path, pool in pools[1:]:
        pool.check_model(first.fingerprint, path, first.model)
    return Pool(
        omegas=np.concatenate([pool.omegas for _, pool in pools]),
        names=tuple(name for _, pool in pools for name in pool.names),
        scales=np.concatenate([pool.scales for _, pool in pools]),
        model=first.model,
        fingerprint=first.fingerprint,
        notes=tuple(note for _, pool in pools for note in pool.notes),
    )


def tell_apart(pools: Sequence[tuple[Path, Pool]]) -> list[tuple[Path, Pool]]:
    """Return the pools with a name for each pair of its own; a pool that comes twice comes once.

    Where two pools mean two pairs by one name (two cameras' IMG_0001.jpg), which have no Ω in
    common, that of the second gets its file's name before it.
    """
    distinct: dict[str, tuple[Path, Pool]] = {}
    known: dict[str, set[int]] = {}
    for path, pool in pools:
        if pool.digest in distinct:
            continue
        rows: dict[str, set[int]] = {}
        for name, omega in zip(pool.names, pool.omegas, strict=True):
            rows.setdefault(name, set()).add(hash(omega.tobytes()))
        own = {}
        for name, omegas in rows.items():
            own[name] = name
            while known.setdefault(own[name], omegas).isdisjoint(omegas):
                own[name] = f"{path.stem}/{own[name]}"
            known[own[name]] = known[own[name]] | omegas
        renamed = replace(pool, names=tuple(own[name] for name in pool.names))
        distinct[pool.digest] = (path, renamed)
    return list(distinct.values())


def pool_spread(omegas: np.ndarray) -> float:
    """Return the root mean square distance of Ωs (N, 512) from their mean, over that of zero.

    0 when all agree; about 1 when they share nothing.
    """
    # In float32 the sum of a million equal numbers is 1 % off.
    centre = omegas.mean(0, dtype=np.float64)
    parts = [omegas[start : start + _BLOCK] for start in range(0, len(omegas), _BLOCK)]
    away = sum(float(np.square(part - centre).sum()) for part in parts)
    length = sum(float(np.square(part, dtype=np.float64).sum()) for part in parts)
    return (away / length) ** 0.5 if length > 0 else 0.0
