"""Data sets as they are published: which picture is the reference of which LQ."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from redeg_cli.errors import InputError
from redeg_cli.evaluate.dataset import Dataset, Sample, Side, pair_folders, side_by_name
from redeg_cli.evaluate.matching import stem_of, trimmed
from redeg_cli.io.listing import folder_images

_FOLDER = re.compile(
    r"(?P<head>|.*?[-_. ])"
    r"(?:(?P<hr>(?:hr|hq|gt)(?:[-_].*)?|high|references?|targets?)"
    r"|(?P<lr>(?:lr|lq)(?:[2-4]|[-_].*)?|low|inputs?))",
    re.IGNORECASE,
)
"""A folder of one side: ``test_HR``, ``gt``, ``DIV2K_valid_LR_bicubic``, ``LR_x4``."""
_SCALE_FOLDER = re.compile(r"(?:|.*[-_. ])(?:x|lr_?)(?P<scale>[2-4])", re.IGNORECASE)
_SCALE_NAME = re.compile(
    r"(?:(?:(?<=[0-9])|[-_. ])x(?P<x>[2-4])[mdw]?[1-4]?|[-_]lr_?(?P<lr>[2-4]))$", re.IGNORECASE
)


@dataclass(frozen=True)
class _Found:
    """One picture, and what its place and its name say about it."""

    path: Path
    stem: str
    key: str
    """What it shares with its partner."""
    side: Side | None
    folder: str
    """The folder of its side; empty if its own name says the side."""
    scale: int | None


def find_dataset(root: Path, scale: int | None = None) -> Dataset:
    """Return the data set in a folder, recognised by what lies in it.

    References and LQs are told apart by their folders (``DIV2K_valid_HR`` and
    ``DIV2K_valid_LR_bicubic/X4``, DRealSR's ``test_HR`` and ``test_LR``, ``gt`` and ``lq``,
    ``HR/X4`` and ``LR/X4``) or, in one folder, by their names (RealSR's ``Canon_001_HR.png``
    beside ``Canon_001_LR4.png``). A folder of anything else, such as RealSRSet, is LQs without
    references. ``scale`` chooses among LQs of several scales. Raises InputError when there is
    nothing, or when there are several LQs to choose from.
    """
    if not root.is_dir():
        what = "is a file" if root.exists() else "does not exist"
        raise InputError(f"{root} {what}: give the folder of a data set")
    found = [_look(path, name) for path, name in folder_images(root)]
    if not found:
        raise InputError(f"{root} holds no images: give the folder of a data set")
    hrs, lrs = ([each for each in found if each.side == side] for side in ("hr", "lr"))
    if not hrs or not lrs:
        return pair_folders(root, None) if len(hrs) == len(found) else pair_folders(None, root)
    problems = [
        f"{each.path} is left out: neither its folder nor its name says whether it is HR or LQ"
        for each in found
        if each.side is None
    ]
    kept = _of_scale(root, lrs, scale)
    _one_kind(root, kept)
    # The references of the scales that were not chosen are not missing anything.
    others = {each.key for each in lrs} - {each.key for each in kept}
    chosen = {each.scale for each in kept}
    hrs = [h for h in hrs if h.key not in others and (h.scale is None or h.scale in chosen)]
    samples = _join(_unique(hrs, problems), _unique(kept, problems), problems)
    if not samples:
        raise InputError(f"{root}: no HR has an LQ of its name (first: {problems[-1]})")
    return Dataset(root.resolve().name, _layout(root, kept), tuple(samples), tuple(problems))


def _look(path: Path, name: str) -> _Found:
    stem = stem_of(name)
    *folders, bare = PurePosixPath(stem).parts
    sides = [(place, match) for place, f in enumerate(folders) if (match := _FOLDER.fullmatch(f))]
    by_name = side_by_name(bare)
    scale = next((int(m["x"] or m["lr"]) for m in [_SCALE_NAME.search(bare)] if m), None)
    if not sides:
        key = "/".join([*folders, trimmed(bare)])
        return _Found(path, stem, key, by_name, "", scale or _folder_scale(folders))
    place, match = sides[-1]
    side: Side = "hr" if match["hr"] else "lr"
    below = [folder for folder in folders[place + 1 :] if not _SCALE_FOLDER.fullmatch(folder)]
    head = [match["head"].strip("-_. ")] if match["head"] else []
    key = "/".join([*folders[:place], *head, *below, trimmed(bare)])
    # A scale above both sides is part of the key; one below the HR's is the scale of its partner.
    within = folders[place:] if side == "hr" else folders
    scale = (scale if side == "lr" else None) or _folder_scale(within)
    return _Found(path, stem, key, side, "/".join(folders[: place + 1]), scale)


def _folder_scale(folders: Sequence[str]) -> int | None:
    scales = [int(m["scale"]) for folder in folders if (m := _SCALE_FOLDER.fullmatch(folder))]
    return scales[-1] if scales else None


def _of_scale(root: Path, lrs: Sequence[_Found], scale: int | None) -> list[_Found]:
    """Return the LQs of the scale that was asked for, or of the only one."""
    scales = sorted({each.scale for each in lrs if each.scale is not None})
    if scale is None and len(scales) > 1:
        raise InputError(
            f"{root} holds LQs of the scales {', '.join(map(str, scales))}: say which with --scale"
        )
    kept = [each for each in lrs if scale is None or each.scale in (None, scale)]
    if not kept:
        raise InputError(
            f"{root} holds no LQs of scale {scale}, only of {', '.join(map(str, scales))}"
        )
    return kept


def _one_kind(root: Path, lrs: Sequence[_Found]) -> None:
    """Raise InputError when one picture has LQs in several folders."""
    folders: dict[str, set[str]] = {}
    for each in lrs:
        folders.setdefault(each.key, set()).add(each.folder)
    several = next((sorted(names) for names in folders.values() if len(names) > 1), None)
    if several:
        raise InputError(
            f"{root} holds several kinds of LQs ({', '.join(several)}): "
            "give one with --lq, and its HRs with --reference"
        )


def _unique(found: Sequence[_Found], problems: list[str]) -> dict[str, _Found]:
    kept: dict[str, _Found] = {}
    for each in found:
        first = kept.setdefault(each.key, each)
        if first is not each:
            problems.append(f"{each.path} is left out: {first.path.name} has the same name")
    return kept


def _join(hrs: dict[str, _Found], lrs: dict[str, _Found], problems: list[str]) -> list[Sample]:
    problems += [f"{each.path} has no HR" for key, each in lrs.items() if key not in hrs]
    samples = []
    for key, hr in hrs.items():
        lr = lrs.get(key)
        if lr is None:
            problems.append(f"{hr.path} has no LQ")
        stems = [key, hr.stem] if lr is None else [key, hr.stem, lr.stem]
        partner = None if lr is None else lr.path
        samples.append(Sample(key, hr.path, partner, tuple(dict.fromkeys(stems))))
    return samples if set(hrs) & set(lrs) else []


def _layout(root: Path, lrs: Sequence[_Found]) -> str:
    first = lrs[0]
    place = "/".join([root.resolve().name, first.folder])
    if not first.folder:
        is_realsr = re.match(r"(canon|nikon)_", PurePosixPath(first.stem).name, re.IGNORECASE)
        return "RealSR" if is_realsr else "HR beside LQ"
    if "div2k" in place.lower():
        return "DIV2K"
    if first.folder.lower().endswith("test_lr") and first.stem.lower()[-3:] in (
        "_x2",
        "_x3",
        "_x4",
    ):
        return "DRealSR"
    return "HR and LQ folders"
