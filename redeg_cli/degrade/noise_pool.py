"""The pool of noise patches that were cut from real LR images, and how those were compressed."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, from_numpy

from redeg_cli.degrade.jpeg_quality import JpegTraits
from redeg_cli.degrade.noise_patches import Found, Rules
from redeg_cli.errors import InputError, one_line
from redeg_cli.io.arrays import DAMAGE, read_arrays, write_arrays
from redeg_cli.seeds import numpy_generator

KIND = "noise"
"""What the header of the file calls it."""
_FORMAT = 1
_OVERLAP = 8
"""Pixels over which one patch of a larger field gives way to the next."""


@dataclass(frozen=True)
class Source:
    """One LR image that was looked at."""

    name: str
    jpeg: JpegTraits
    patches: int
    """How many patches of noise it gave."""


@dataclass(frozen=True)
class NoisePool:
    """N patches of noise. Guaranteed: at least one, all fields agree in length, all finite."""

    patches: np.ndarray
    """float16 (N, p, p, 3): noise in units of the range [0, 1], of mean 0."""
    names: tuple[str, ...]
    """The LR image each was cut from."""
    places: np.ndarray
    """int (N, 2): y and x of its corner there."""
    levels: np.ndarray
    """float32 (N, 3): the mean colour there, in [0, 1]."""
    sources: tuple[Source, ...]
    """All images that were looked at, those that gave none too."""
    settings: dict[str, Any] = field(default_factory=dict)
    """The rules that patches were found by."""
    rejected: dict[str, int] = field(default_factory=dict)
    """Patches left out, by reason."""

    def __post_init__(self) -> None:
        count, shape = len(self.names), self.patches.shape
        if len(shape) != 4 or shape[0] != count or shape[1] != shape[2] or shape[3] != 3:
            raise InputError(f"a pool needs patches (N, p, p, 3) with names, got {shape}")
        if self.places.shape != (count, 2) or self.levels.shape != (count, 3):
            raise InputError("a pool needs a place and a level for each patch of noise")
        if not count:
            raise InputError("a pool needs at least one patch of noise, got none")
        if shape[1] < 2 * _OVERLAP:
            raise InputError(f"patches of {shape[1]} px are too small: at least {2 * _OVERLAP}")
        if not np.isfinite(self.patches).all():
            raise InputError("the pool holds noise that is not finite: estimate it again")

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def _images(self) -> np.ndarray:
        """The number of each patch's image (N,)."""
        return np.unique(np.array(self.names), return_inverse=True)[1]

    @property
    def side(self) -> int:
        """Side of the patches in pixels."""
        return self.patches.shape[1]

    @property
    def digest(self) -> str:
        """12 hex digits that tell this pool from any other."""
        jpegs = [[each.name, *asdict(each.jpeg).values()] for each in self.sources]
        text = json.dumps([KIND, self.names, self.side, jpegs])
        rows = np.ascontiguousarray(self.patches, "<f2").tobytes()
        return hashlib.sha256(text.encode() + rows).hexdigest()[:12]

    def noise(self, row: int, seed: int, height: int, width: int) -> Tensor:
        """Return noise (3, height, width) that begins with patch ``row``.

        What is larger than a patch goes on with other patches of the same image, drawn by ``seed``
        and mirrored at random: one gives way to the next over a few pixels, weighed such that the
        variance stays.
        """
        rng = numpy_generator(seed)
        alike = np.flatnonzero(self._images == self._images[row])
        step = self.side - _OVERLAP
        ramp = np.sin((np.arange(_OVERLAP) + 0.5) / _OVERLAP * np.pi / 2).astype(np.float32)
        down, across = (max(0, -(-(length - self.side) // step)) for length in (height, width))
        tall, wide = self.side + down * step, self.side + across * step
        made = np.zeros((tall, wide, 3), np.float32)
        for i in range(down + 1):
            for j in range(across + 1):
                patch = self.patches[row].astype(np.float32)
                if i or j:
                    # By ``random`` alone, whose stream NumPy keeps: a replay needs the same.
                    other, up, left = rng.random(3)
                    patch = self.patches[alike[int(other * len(alike))]].astype(np.float32)
                    patch = patch[:: -1 if up < 0.5 else 1, :: -1 if left < 0.5 else 1]
                weight = _fade(self.side, ramp, i > 0, i < down)[:, None]
                weight = weight * _fade(self.side, ramp, j > 0, j < across)
                place = np.s_[i * step : i * step + self.side, j * step : j * step + self.side]
                made[place] += patch * weight[..., None]
        return from_numpy(np.ascontiguousarray(made[:height, :width].transpose(2, 0, 1)))

    def save(self, path: Path) -> None:
        """Write the pool, under a temporary name first. Raises OutputError."""
        header = {"kind": KIND, "format": _FORMAT, "settings": self.settings}
        header |= {"rejected": self.rejected, "sources": [asdict(each) for each in self.sources]}
        arrays = {
            "noise": self.patches.astype(np.float16),
            "name": np.array(self.names),
            "place": self.places.astype(np.int32),
            "level": self.levels.astype(np.float32),
        }
        write_arrays(path, arrays, header)


def _fade(side: int, ramp: np.ndarray, before: bool, after: bool) -> np.ndarray:
    """Return the weights (side,) of a patch along an axis; their squares and those of a neighbour's
    sum to 1."""
    weight = np.ones(side, np.float32)
    if before:
        weight[: len(ramp)] = ramp
    if after:
        weight[-len(ramp) :] = ramp[::-1]
    return weight


def load_noise_pool(path: Path) -> NoisePool:
    """Read a pool written by ``NoisePool.save``. Raises InputError for anything else."""
    arrays, header = read_arrays(path, "pool of noise", "redeg build-noise")
    try:
        if header.get("kind") != KIND:
            raise ValueError(f"it holds {header.get('kind', 'Ωs')}")
        sources = tuple(
            Source(str(each["name"]), JpegTraits(**each["jpeg"]), int(each["patches"]))
            for each in header["sources"]
        )
        return NoisePool(
            arrays["noise"].astype(np.float16),
            tuple(str(name) for name in arrays["name"]),
            arrays["place"].astype(np.int64),
            arrays["level"].astype(np.float32),
            sources,
            dict(header["settings"]),
            {str(key): int(value) for key, value in header["rejected"].items()},
        )
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except DAMAGE as error:
        raise InputError(
            f"{path} is not a pool of noise ({one_line(error)}); make one with `redeg build-noise`"
        ) from None


@dataclass
class NoiseRows:
    """A pool of noise that is being built: images are added one by one."""

    found: list[tuple[str, Found]] = field(default_factory=list)
    jpegs: list[tuple[str, JpegTraits]] = field(default_factory=list)

    def add(self, name: str, found: Found, jpeg: JpegTraits) -> None:
        """Add the noise of one image, and how it was compressed."""
        self.found.append((name, found))
        self.jpegs.append((name, jpeg))

    @property
    def patches(self) -> int:
        """Patches that were found, duplicates too."""
        return sum(len(found.places) for _, found in self.found)

    @property
    def looked_at(self) -> int:
        """Patches that were looked at."""
        return sum(found.looked_at for _, found in self.found)

    @property
    def rejected(self) -> dict[str, int]:
        """Patches left out, by reason, duplicates aside."""
        total: Counter[str] = Counter()
        for _, found in self.found:
            total.update(found.rejected)
        return dict(total)

    def pool(self, rules: Rules) -> NoisePool:
        """Return the pool, a patch that comes twice once. Raises InputError without a patch."""
        parts = [
            _Part(found.patches.astype(np.float16), (name,) * len(found.places), found)
            for name, found in self.found
        ]
        return _joined(parts, self.jpegs, asdict(rules), self.rejected)


def merge_noise_pools(pools: Sequence[tuple[Path, NoisePool]]) -> NoisePool:
    """Return one pool of all patches and sources, each once.

    Where two pools mean two images by one name (two cameras' IMG_0001.jpg), the second gets its
    file's name before it. Raises InputError when their patches differ in size.
    """
    path, first = pools[0]
    rejected: Counter[str] = Counter()
    known: dict[str, _Image] = {}
    parts: list[_Part] = []
    for other, pool in pools:
        if pool.side != first.side:
            raise InputError(
                f"{other} holds patches of {pool.side} px and {path} of {first.side} px: pools "
                "of one size can be merged"
            )
        rejected.update(pool.rejected)
        images = {source.name: _Image(source.jpeg) for source in pool.sources}
        for name, patch in zip(pool.names, pool.patches, strict=True):
            images[name].patches.add(patch.tobytes())
        names = {name: _add(known, name, image, other.stem) for name, image in images.items()}
        parts.append(_Part(pool.patches, tuple(names[name] for name in pool.names), pool))
    jpegs = [(name, image.jpeg) for name, image in known.items()]
    return _joined(parts, jpegs, first.settings, rejected)


@dataclass
class _Image:
    """An image of a pool, by what tells it from another of its name."""

    jpeg: JpegTraits
    patches: set[bytes] = field(default_factory=set)

    def may_be(self, other: "_Image") -> bool:
        """Whether both are one image, perhaps looked at by other rules."""
        apart = self.patches and other.patches and not self.patches & other.patches
        return self.jpeg == other.jpeg and not apart


def _add(known: dict[str, _Image], name: str, image: _Image, pool: str) -> str:
    """Add an image to those that are known already; return the name that it has there."""
    own = name
    while not known.setdefault(own, image).may_be(image):
        own = f"{pool}/{own}"
    known[own].patches.update(image.patches)
    return own


@dataclass(frozen=True)
class _Part:
    patches: np.ndarray
    names: tuple[str, ...]
    of: Found | NoisePool


def _joined(
    parts: Sequence[_Part],
    jpegs: Sequence[tuple[str, JpegTraits]],
    settings: dict[str, Any],
    rejected: Mapping[str, int],
) -> NoisePool:
    rows: dict[bytes, tuple[_Part, int]] = {}
    double = 0
    for part in parts:
        for row, patch in enumerate(part.patches):
            # In steps of half a level: a copy of an image that was saved anew is one too.
            key = np.rint(patch.astype(np.float32) * 510).astype(np.int16).tobytes()
            double += key in rows
            rows.setdefault(key, (part, row))
    if not rows:
        raise InputError("a pool needs at least one patch of noise, got none")
    names = tuple(part.names[row] for part, row in rows.values())
    counts = Counter(names)
    return NoisePool(
        np.stack([part.patches[row] for part, row in rows.values()]),
        names,
        np.stack([part.of.places[row] for part, row in rows.values()]),
        np.stack([part.of.levels[row] for part, row in rows.values()]),
        tuple(Source(name, jpeg, counts[name]) for name, jpeg in jpegs),
        settings,
        {**rejected, "duplicate": rejected.get("duplicate", 0) + double},
    )
