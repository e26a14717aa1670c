"""Registered pairs of real HQ and LQ photographs: RealSR's layout, and hr/ beside lr/."""

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from redeg_cli.errors import InputError, PairError
from redeg_cli.io.listing import folder_images, natural_key
from redeg_cli.io.pairs import ImagePair

_NAME = re.compile(r"(?P<key>.+?)[-_](?:(?P<hr>HR)|LR(?P<scale>[2-4])?)", re.IGNORECASE)
"""RealSR's ``Canon_001_HR`` and ``Canon_001_LR4``."""
_FOLDERS = {"hr": ("hr", "hq", "gt"), "lr": ("lr", "lq")}


def find_registered(folders: Sequence[Path], scale: int) -> tuple[list[ImagePair], list[str]]:
    """Return the pairs of folders, and a line for each picture without a partner.

    A folder holds ``hr`` and ``lr`` (also ``hq``, ``gt`` and ``lq``) with pictures of equal names
    without suffix, or, at any depth, ``NAME_HR`` beside ``NAME_LR4`` where 4 is the scale; LQs of
    other scales are passed over. Raises InputError for what is no folder or holds no images,
    PairError when a folder holds no pair.
    """
    found: list[ImagePair] = []
    problems: list[str] = []
    for folder in map(Path, folders):
        if not folder.is_dir():
            what = "is a file" if folder.exists() else "does not exist"
            raise InputError(f"{folder} {what}: give a folder of registered pairs")
        hr, lr = (_inner(folder, _FOLDERS[side]) for side in ("hr", "lr"))
        if hr is not None and lr is not None:
            pairs = _join(_by_key(hr), _by_key(lr), problems)
        else:
            pairs = _in_one_folder(folder, scale, problems)
        if not pairs:
            reason = f" ({problems[0]})" if problems else ""
            raise PairError(
                f"{folder} holds no pair{reason}: wanted hr/ and lr/ with equal names, or "
                f"NAME_HR.png beside NAME_LR{scale}.png"
            )
        found += pairs
    return found, problems


def _inner(folder: Path, names: Sequence[str]) -> Path | None:
    there = {path.name.casefold(): path for path in folder.iterdir() if path.is_dir()}
    return next((there[name] for name in names if name in there), None)


def _by_key(folder: Path) -> dict[str, tuple[Path, str]]:
    """Return the pictures of one side by what they share with their partners."""
    keys: dict[str, tuple[Path, str]] = {}
    for path, name in folder_images(folder):
        stem = str(PurePosixPath(name).with_suffix(""))
        match = _NAME.fullmatch(stem)
        keys.setdefault(match["key"] if match else stem, (path, name))
    if not keys:
        raise InputError(f"{folder} holds no images")
    return keys


def _in_one_folder(folder: Path, scale: int, problems: list[str]) -> list[ImagePair]:
    sides: dict[str, dict[str, tuple[Path, str]]] = {"hr": {}, "lr": {}}
    scales: set[int] = set()
    strangers: list[Path] = []
    for path, name in folder_images(folder):
        match = _NAME.fullmatch(str(PurePosixPath(name).with_suffix("")))
        if match is None:
            strangers.append(path)
        elif match["hr"]:
            sides["hr"][match["key"]] = path, name
        elif int(match["scale"] or scale) == scale:
            sides["lr"][match["key"]] = path, name
        else:
            scales.add(int(match["scale"]))
    if not strangers and not sides["hr"] and not sides["lr"] and not scales:
        raise InputError(f"{folder} holds no images: give a folder of registered pairs")
    if not sides["lr"] and scales:
        there = ", ".join(map(str, sorted(scales)))
        raise PairError(
            f"{folder} holds no LQ of scale {scale}, only of {there}: say so with --scale"
        )
    if scales:  # HQs of the others miss nothing here
        sides["hr"] = {key: each for key, each in sides["hr"].items() if key in sides["lr"]}
    problems += [f"{path} is neither NAME_HR nor NAME_LR{scale}" for path in strangers]
    return _join(sides["hr"], sides["lr"], problems)


def _join(
    hr: dict[str, tuple[Path, str]], lr: dict[str, tuple[Path, str]], problems: list[str]
) -> list[ImagePair]:
    problems += [f"{path} has no LQ of its name" for key, (path, _) in hr.items() if key not in lr]
    problems += [f"{path} has no HQ of its name" for key, (path, _) in lr.items() if key not in hr]
    shared = sorted(hr.keys() & lr.keys(), key=natural_key)
    return [ImagePair(lr[key][0], hr[key][0], lr[key][1]) for key in shared]
