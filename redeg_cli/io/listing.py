"""The picture files behind the paths a user gave."""

import glob
import logging
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from redeg_cli.errors import InputError
from redeg_cli.io.images import IMAGE_SUFFIXES, UNREAD_SUFFIXES
from redeg_cli.progress import OnProgress, no_progress

_log = logging.getLogger(__name__)
_OF_THE_SYSTEM = (
    "__macosx",
    "$recycle.bin",
    "system volume information",
    "lost+found",
    "@eadir",
)
"""Folders that hold nobody's photos: of archives that macOS made, of Windows' and Linux' drives,
of Synology's thumbnails."""
BEFORE_AFTER = "before_after"
"""Name of the sheet that `redeg finetune` writes beside its results, or the end of its name."""
_TOLD = 1000
"""Images between two calls that say how many were found."""


@dataclass(frozen=True)
class ImageFile:
    """One picture of a listing."""

    path: Path
    name: str
    """Name relative to the input it came from, with suffix and forward slashes; unique."""
    real: str = ""
    """The file's path without links, of a listing."""


def list_images(
    inputs: Sequence[Path], recursive: bool = True, on_progress: OnProgress = no_progress
) -> list[ImageFile]:
    """Return the pictures of files, folders and glob patterns, in the order given.

    A file is taken as it is; a folder gives its pictures (by suffix, with sub-folders when
    ``recursive``) in natural order (2.png before 10.png), hidden ones left out. A file given
    twice comes once. Names equal across inputs get their folders' names in front.
    Raises InputError for a path that does not exist and a folder without pictures.
    """
    found: dict[str, tuple[Path, str]] = {}
    real_path = RealPaths()
    for given in expand_inputs(inputs):
        for path, name in _pictures(given, recursive, on_progress):
            found.setdefault(real_path(path), (path, name))
    if not found:
        raise InputError("no images were given: give files or folders")
    return _named(found)


def _pictures(
    given: Path, recursive: bool = True, on_progress: OnProgress = no_progress
) -> list[tuple[Path, str]]:
    """Return (path, name) of a file that was given, or of the pictures of a folder."""
    if not given.is_dir():
        return [(given, given.name)]
    members = list(folder_images(given, recursive, on_progress))
    if not members:
        raise InputError(
            f"{given} holds no images: looked for {', '.join(IMAGE_SUFFIXES)}"
            + ("" if recursive else " (not in its sub-folders)")
        )
    return members


def _named(found: Mapping[str, tuple[Path, str]]) -> list[ImageFile]:
    """Return the pictures of a listing from their (path, name) by the path without links."""
    names = unique_names(list(found.values()))
    return [
        ImageFile(path, name, real)
        for (real, (path, _)), name in zip(found.items(), names, strict=True)
    ]


class RealPaths:
    """``os.path.realpath`` for many files of few folders: each folder is resolved once."""

    def __init__(self) -> None:
        self._folders: dict[str, str] = {}

    def __call__(self, path: Path | str) -> str:
        folder, name = os.path.split(path)
        # Windows gives names in another case, or short ones, their own form.
        if name in ("", ".", "..") or os.name == "nt" or os.path.islink(path):
            return os.path.realpath(path)
        if folder not in self._folders:
            self._folders[folder] = os.path.realpath(folder)
        return os.path.join(self._folders[folder], name)


def list_usable(
    inputs: Sequence[Path], output: Path, masks: Path | None = None
) -> tuple[list[ImageFile], list[tuple[str, str]]]:
    """Return the pictures of all usable inputs, and (input, why) of the unusable ones.

    Of an input folder, what lies in an output folder inside it (results of an earlier run) is left
    out, and what lies in the folder of ``masks``, or is the one mask.
    Raises InputError when nothing is usable, or left.
    """
    found: dict[str, tuple[Path, str]] = {}
    unusable: list[tuple[str, str]] = []
    emptied: dict[str, None] = {}
    real_path = RealPaths()
    for path in inputs:
        try:
            listed = [(given, _pictures(given)) for given in expand_inputs([path])]
        except InputError as error:
            unusable.append((str(path), str(error)))
            continue
        for given, pictures in listed:
            places = _no_photos(given, output, masks) if given.is_dir() else {}
            for picture, name in pictures:
                real = real_path(picture)
                inside = [what for place, what in places.items() if _lies_in(real, place)]
                emptied.update(dict.fromkeys(inside))
                if not inside:
                    found.setdefault(real, (picture, name))
    if not found:
        reasons = [message for _, message in unusable]
        if emptied:
            reasons.append(f"all images given lie in {' or '.join(emptied)}: give the photos")
        raise InputError("; ".join(reasons))
    return _named(found), unusable


def _no_photos(folder: Path, output: Path, masks: Path | None) -> dict[str, str]:
    """Return the places whose pictures are no photos of ``folder``, each with what it is."""
    given = folder.resolve()
    places: dict[str, str] = {}
    place = str(output.resolve())
    if not _lies_in(given, place):  # results that are asked for themselves are photos
        places[place] = f"the output folder {output}"
    if masks is not None:
        place = str(masks.resolve())
        if not _lies_in(given.parent, place):  # masks may lie above their photos
            places[place] = f"--mask {masks}"
    return places


def _lies_in(path: Path | str, place: str) -> bool:
    """Tell whether a path is ``place`` or lies in it; both without links."""
    key, place = file_key(path), file_key(place)
    return key == place or key.startswith(os.path.join(place, ""))


def file_key(path: Path | str) -> str:
    """Return what two paths share if they are one file: where case does not count, without it."""
    return str(path).casefold() if sys.platform in ("win32", "darwin") else str(path)


def expand_inputs(inputs: Sequence[Path]) -> list[Path]:
    """Return existing paths; patterns (``*.jpg``) that no shell expanded are expanded here.

    Raises InputError for what does not exist.
    """
    paths: list[Path] = []
    for given in map(Path, inputs):
        try:
            there = given.exists()
        except OSError as error:  # in a folder that may not be looked into, or a name too long
            raise InputError(f"cannot read {given}: {error.strerror or error}") from None
        if there:
            paths.append(given)
            continue
        matches = glob.glob(str(given), recursive=True) if glob.has_magic(str(given)) else []
        if not matches:
            reason = "is a broken link" if given.is_symlink() else "does not exist"
            raise InputError(f"{given} {reason}: give image files or folders")
        paths.extend(Path(match) for match in sorted(matches, key=natural_key))
    return paths


def folder_images(
    folder: Path, recursive: bool = True, on_progress: OnProgress = no_progress
) -> Iterator[tuple[Path, str]]:
    """Yield (path, name relative to ``folder``) of its pictures in natural order.

    Links to folders are followed, once. A warning is logged when there are pictures of a kind that
    is not read (camera raw, JPEG XL), and for a sub-folder that cannot be read. Raises InputError
    when ``folder`` itself cannot be.
    """
    names: list[str] = []
    unread: Counter[str] = Counter()
    visited: set[str] = set()

    def refuse(error: OSError) -> None:
        reason = f"cannot read the folder {error.filename}: {error.strerror}"
        if Path(error.filename) == folder:
            raise InputError(reason) from error
        _log.warning("%s; it is left out", reason)

    for parent, folders, files in os.walk(folder, followlinks=True, onerror=refuse):
        real = os.path.realpath(parent)
        if real in visited:
            folders.clear()
            continue
        visited.add(real)
        kept = [name for name in folders if not _is_hidden(name)] if recursive else []
        folders[:] = sorted(kept, key=natural_key)
        # Names are strings here: a set may have millions of files.
        within = Path(parent).relative_to(folder).as_posix()
        for name in files:
            suffix = os.path.splitext(name)[1].lower()
            if _is_hidden(name):
                continue
            if suffix in IMAGE_SUFFIXES:
                names.append(name if within == "." else f"{within}/{name}")
                if len(names) % _TOLD == 0:
                    on_progress(len(names), 0, "images found")
            elif suffix in UNREAD_SUFFIXES:
                unread[suffix] += 1
    if unread:
        _log.warning("%s: %s", folder, _passed_over(unread))
    for name in sorted(names, key=_path_key):
        yield folder / name, name


def _passed_over(unread: Counter[str]) -> str:
    kinds = ", ".join(f"{count} {suffix}" for suffix, count in unread.most_common())
    if unread.total() == 1:
        return f"1 file is not read: {kinds} (save it as JPEG or PNG)"
    return f"{unread.total()} files are not read: {kinds} (save them as JPEG or PNG)"


def _path_key(name: str) -> list[tuple[list[tuple[int, int, str]], str]]:
    return [natural_key(part) for part in name.split("/")]  # keeps a folder's files together


def natural_key(text: str) -> tuple[list[tuple[int, int, str]], str]:
    """Return a sort key that orders numbers by value: 2.png before 10.png."""
    parts = re.split(r"([0-9]+)", text.casefold())
    # A number sorts before a word, as digits do before letters.
    key = [(0, int(p), "") if p.isdecimal() else (1, 0, p) for p in parts if p]
    return key, text


def unique_names(found: Sequence[tuple[Path, str]]) -> list[str]:
    """Return one name per (path, name): equal ones get folders put in front until they differ."""
    names = [name for _, name in found]
    depth = 0
    while True:
        counts = Counter(names)
        equal = [index for index, name in enumerate(names) if counts[name] > 1]
        if not equal:
            return names
        depth += 1
        for index in equal:
            path, name = found[index]
            folders = Path(os.path.abspath(path)).parts[1:]
            inner = len(Path(name).parts)
            names[index] = "/".join(folders[max(0, len(folders) - inner - depth) :])
            if depth > len(folders):
                names[index] += f"#{index}"  # the same file twice: only possible for a caller


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name.casefold() in _OF_THE_SYSTEM
