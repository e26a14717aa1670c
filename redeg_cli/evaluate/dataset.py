"""The images on which methods are compared: references, LQs, and the names of their results."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from redeg_cli.errors import InputError
from redeg_cli.evaluate.matching import match_names, stem_of
from redeg_cli.io.listing import folder_images

Side = Literal["hr", "lr"]
Picture = tuple[Path, str]
"""A file and its name relative to the folder it was found in."""

_HR_NAME = re.compile(r"[-_](?:hr|hq|gt)$", re.IGNORECASE)
_LR_NAME = re.compile(r"[-_](?:lr|lq)_?[2-4]?$", re.IGNORECASE)


@dataclass(frozen=True)
class Sample:
    """One image of a data set."""

    name: str
    """Relative name without suffix; unique in the data set."""
    reference: Path | None = None
    lq: Path | None = None
    stems: tuple[str, ...] = ()
    """The relative names, without suffix, under which a restorer may have saved its result."""


@dataclass(frozen=True)
class Dataset:
    """The images on which methods are compared."""

    name: str
    layout: str
    """How it was read, in a few words: ``DIV2K``, ``RealSR``, ``LQ only``, ..."""
    samples: tuple[Sample, ...]
    problems: tuple[str, ...] = ()
    """A line for each picture without partner and each double."""

    @property
    def has_references(self) -> bool:
        """Whether any image has a reference."""
        return any(sample.reference is not None for sample in self.samples)

    @property
    def has_lqs(self) -> bool:
        """Whether any image has an LQ."""
        return any(sample.lq is not None for sample in self.samples)


def side_by_name(stem: str) -> Side | None:
    """Return what a file's name says it is: ``Canon_001_HR``, ``Canon_001_LR4``."""
    if _HR_NAME.search(stem):
        return "hr"
    return "lr" if _LR_NAME.search(stem) else None


def pair_folders(reference: Path | None = None, lq: Path | None = None) -> Dataset:
    """Return the data set of a folder of references, a folder of LQs, or both matched by name.

    A reference without LQ stays, an LQ without reference does not. Where HR and LQ lie in one
    folder their names tell them apart (``side_by_name``). Raises InputError when a folder holds
    nothing or nothing matches.
    """
    problems: list[str] = []
    references = {} if reference is None else _by_stem(pictures_of(reference, "hr"), problems)
    if lq is None:
        if reference is None:
            raise InputError("nothing to evaluate on: give references, LQs or a data set")
        samples = [Sample(stem, path, None, (stem,)) for stem, path in references.items()]
        return Dataset(_label(reference), "references", tuple(samples), tuple(problems))
    pictures = pictures_of(lq, "lr")
    if reference is None:
        lqs = _by_stem(pictures, problems)
        samples = [Sample(stem, None, path, (stem,)) for stem, path in lqs.items()]
        return Dataset(_label(lq), "LQ only", tuple(samples), tuple(problems))
    matched = match_names({stem: (stem,) for stem in references}, pictures)
    if not matched.found:
        raise InputError(f"no picture of {lq} has the name of one in {reference}")
    stems = {path: stem_of(name) for path, name in pictures}
    samples = []
    for stem, path in references.items():
        partner = matched.found.get(stem)
        known = (stem,) if partner is None else tuple(dict.fromkeys((stem, stems[partner])))
        samples.append(Sample(stem, path, partner, known))
    problems += [f"{references[stem]} has no LQ in {lq}" for stem in matched.missing]
    problems += matched.problems
    return Dataset(_label(reference), "HR and LQ folders", tuple(samples), tuple(problems))


def pictures_of(folder: Path, side: Side) -> list[Picture]:
    """Return the pictures of a folder that are of one side, or all if the names say nothing.

    Raises InputError when there are none.
    """
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise InputError(f"{folder} {what}: give a folder of images")
    pictures = list(folder_images(folder))
    if not pictures:
        raise InputError(f"{folder} holds no images")
    said = {side_by_name(stem_of(name)) for _, name in pictures}
    if {"hr", "lr"} <= said:
        pictures = [each for each in pictures if side_by_name(stem_of(each[1])) == side]
    return pictures


def _by_stem(pictures: Sequence[Picture], problems: list[str]) -> dict[str, Path]:
    stems: dict[str, Path] = {}
    for path, name in pictures:
        first = stems.setdefault(stem_of(name), path)
        if first is not path:
            problems.append(f"{path} is left out: {first.name} has the same name")
    return stems


def _label(folder: Path) -> str:
    """Return the name of a data set: a folder called ``HR`` alone says nothing."""
    parts = folder.resolve().parts[-2:]
    return "/".join(parts) if len(parts[-1]) < 4 else parts[-1]


def result_stems(samples: Iterable[Sample]) -> dict[str, tuple[str, ...]]:
    """Return for each sample's name the stems under which its result may lie."""
    return {sample.name: sample.stems or (sample.name,) for sample in samples}
