"""Pictures of two folders that show the same thing, matched by name and never by guessing."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from redeg_cli.io.listing import BEFORE_AFTER, folder_images

_TAG = re.compile(
    r"(?:(?<=.)[-_. ](?:hr|lr|hq|lq|gt|sr|lr_?[234]|x[1-8][mdw]?[1-4]?|out|output|restored|result"
    r"|pred|fake|bicubic)|(?<=[0-9])x[234][mdw]?[1-4]?)$",
    re.IGNORECASE,
)
"""What data sets and restorers put behind a picture's name: _HR, _LR4, _x4, 0801x4, _restored."""


def trimmed(stem: str) -> str:
    """Return a relative name without suffix and without the tags behind it."""
    while (match := _TAG.search(stem)) and match.start() > stem.rfind("/") + 1:
        stem = stem[: match.start()]
    return stem


def stem_of(name: str) -> str:
    """Return a relative name without its suffix, with forward slashes."""
    return str(PurePosixPath(name).with_suffix(""))


def is_sheet(stem: str) -> bool:
    """Tell whether it is the sheet before | after that `redeg finetune` writes beside a photo."""
    return bool(re.search(rf"(^|[/_]){BEFORE_AFTER}$", stem))


@dataclass
class Matched:
    """Which picture of a folder belongs to which name."""

    found: dict[str, Path] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    """Names for which there is no picture."""
    problems: list[str] = field(default_factory=list)
    """A line for each picture that was left out, and why."""


def match_folder(wanted: Mapping[str, Collection[str]], folder: Path) -> Matched:
    """Match the pictures of ``folder``, sub-folders too, to names; see ``match_names``.

    Raises InputError for a folder that cannot be read.
    """
    return match_names(wanted, list(folder_images(folder)))


def match_names(
    wanted: Mapping[str, Collection[str]], offered: Sequence[tuple[Path, str]]
) -> Matched:
    """Match pictures (path, name) to ``wanted``: name -> the stems under which it is known.

    A stem is a relative name without suffix. In this order, each only for what is left over: equal
    stems; equal stems without tags (``trimmed``); the same without folders; stems followed by one
    and the same text on every picture (``_SwinIR``). A match counts only when neither side has
    another one; what could be several is left out and named.
    """
    matched = Matched()
    left: dict[str, Path] = {}
    for path, name in offered:
        stem = stem_of(name)
        if stem in left:
            matched.problems.append(f"{path} is left out: {left[stem].name} has the same name")
        else:
            left[stem] = path
    for form in (str, trimmed, _bare, _bare_trimmed):
        _take_equal(wanted, left, matched, form)
    _take_tailed(wanted, left, matched)
    matched.missing = [name for name in wanted if name not in matched.found]
    matched.problems += _left_out(wanted, left, matched)
    return matched


def _bare(stem: str) -> str:
    return stem.rsplit("/", 1)[-1]


def _bare_trimmed(stem: str) -> str:
    return _bare(trimmed(stem))


def _by_form(
    wanted: Mapping[str, Collection[str]], form: Callable[[str], str], without: Collection[str] = ()
) -> dict[str, set[str]]:
    """Return the names behind each form of a stem."""
    names: dict[str, set[str]] = {}
    for name, stems in wanted.items():
        for stem in stems if name not in without else ():
            names.setdefault(form(stem), set()).add(name)
    return names


def _take_equal(
    wanted: Mapping[str, Collection[str]],
    left: dict[str, Path],
    matched: Matched,
    form: Callable[[str], str],
) -> None:
    """Move from ``left`` to ``matched`` what is equal in a form to one thing only."""
    names = _by_form(wanted, form, without=matched.found)
    stems: dict[str, list[str]] = {}
    for stem in left:
        behind = names.get(form(stem), ())
        for name in behind if len(behind) == 1 else ():
            stems.setdefault(name, []).append(stem)
    for name, candidates in stems.items():
        if len(candidates) == 1:
            matched.found[name] = left.pop(candidates[0])


def _take_tailed(
    wanted: Mapping[str, Collection[str]], left: dict[str, Path], matched: Matched
) -> None:
    """Take pictures whose names are wanted ones with a tail, if it is the same on all of them."""
    names = _by_form(wanted, _bare, without=matched.found)
    heads: dict[str, str] = {}
    tails: set[str] = set()
    for stem in left:
        bare = _bare(stem)
        begins = [known for known in names if bare.startswith(known) and bare != known]
        head = max(begins, key=len, default="")
        if not head or bare[len(head)].isalnum() or len(names[head]) > 1:
            return
        (heads[stem],) = names[head]
        tails.add(bare[len(head) :])
    if len(heads) >= 2 and len(tails) == 1 and len(set(heads.values())) == len(heads):
        matched.found |= {name: left.pop(stem) for stem, name in heads.items()}


def _left_out(
    wanted: Mapping[str, Collection[str]], left: Mapping[str, Path], matched: Matched
) -> list[str]:
    names = _by_form(wanted, _bare_trimmed)
    lines = []
    for stem, path in left.items():
        if is_sheet(stem):
            continue
        near = sorted(names.get(_bare_trimmed(stem), ()))
        if not near:
            reason = "it has no partner"
        elif len(near) > 1:
            reason = f"it could be any of {', '.join(near[:3])}"
        elif near[0] in matched.found:
            reason = f"{matched.found[near[0]].name} is taken for {near[0]}"
        else:
            reason = f"another picture could be {near[0]} too"
        lines.append(f"{path} is left out: {reason}")
    return lines
