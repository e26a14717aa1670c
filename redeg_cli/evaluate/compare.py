"""The same pictures by several methods on one page, zoomed in step."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np
from PIL import Image

from redeg_cli.errors import InputError
from redeg_cli.evaluate.matching import is_sheet, match_folder, stem_of
from redeg_cli.io.files import atomic_path, write_text
from redeg_cli.io.images import image_size, read_rgb
from redeg_cli.io.listing import folder_images, unique_names
from redeg_cli.io.page import build_page

# What browsers draw as it is, orientation and colour profile included.
_MEDIA = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp", "GIF": "image/gif"}
_SUFFIXES = {kind: "." + kind.rpartition("/")[2] for kind in _MEDIA.values()}


@dataclass(frozen=True)
class Row:
    """One picture by every method."""

    name: str
    """Relative to the first method's folder, with suffix."""
    paths: tuple[Path, ...]


@dataclass(frozen=True)
class Embedded:
    """A picture in a form that browsers show."""

    content: bytes
    kind: str
    """Media type, such as image/png."""
    width: int
    height: int

    @property
    def uri(self) -> str:
        """The picture as a data URI."""
        return f"data:{self.kind};base64,{base64.b64encode(self.content).decode()}"

    @property
    def weight(self) -> int:
        """Bytes of the data URI."""
        return len(self.content) * 4 // 3


def match_methods(inputs: Sequence[Path]) -> tuple[list[Row], list[str]]:
    """Return the pictures that every input has, and a line for each that is left out.

    Inputs are folders, whose pictures are matched by name to those of the first (see
    ``match_names``), or single files, which make one row. Raises InputError for inputs of both
    kinds, those that do not exist, folders without pictures, and when no picture is in all.
    """
    for path in inputs:
        if not path.exists():
            raise InputError(f"{path} does not exist: give picture files or folders")
    folders = [path for path in inputs if path.is_dir()]
    if not folders:
        return [Row(inputs[0].name, tuple(inputs))], []
    if len(folders) < len(inputs):
        single = next(path for path in inputs if not path.is_dir())
        raise InputError(f"{single} is a file and {folders[0]} a folder: give files or folders")
    first, *others = inputs
    problems: list[str] = []
    own = _by_stem(first, problems)
    sides = [match_folder({stem: {stem} for stem in own}, folder) for folder in others]
    rows = []
    for stem, (path, name) in own.items():
        without = [
            str(folder)
            for folder, side in zip(others, sides, strict=True)
            if stem not in side.found
        ]
        if not without:
            rows.append(Row(name, (path, *(side.found[stem] for side in sides))))
        elif not is_sheet(stem):
            problems.append(f"{name} is left out: not in {', '.join(without)}")
    for side in sides:
        problems += side.problems
    if not rows:
        reason = f" ({problems[0]})" if problems else ""
        raise InputError(f"no picture is in all {len(inputs)} folders under one name{reason}")
    return rows, problems


def method_labels(inputs: Sequence[Path]) -> list[str]:
    """Return a short name for each input: of its folder or file, with parents until they differ."""
    paths = [Path(path).absolute() for path in inputs]
    return unique_names([(path, path.name) for path in paths])


def embed_picture(path: Path) -> Embedded:
    """Return the file as it is where browsers show its format, else as PNG. Raises InputError."""
    rgb = read_rgb(path)  # all of it: a picture cut off in the middle must not pass
    height, width = image_size(path)
    content = path.read_bytes()
    with Image.open(io.BytesIO(content)) as picture:
        kind = _MEDIA.get(picture.format or "")
    if kind is None:
        encoded = io.BytesIO()
        Image.fromarray(np.rint(rgb * 255).astype(np.uint8)).save(encoded, format="PNG")
        content, kind = encoded.getvalue(), "image/png"
    return Embedded(content, kind, width, height)


def write_comparison(
    path: Path,
    labels: Sequence[str],
    rows: Sequence[tuple[str, Sequence[Embedded]]],
    *,
    folder: Path | None = None,
) -> None:
    """Write the page of rows (name, its picture by each method).

    The pictures are inside it; with ``folder``, a folder beside the page, they are files there.
    Raises OutputError.
    """
    told = []
    for number, (name, pictures) in enumerate(rows, start=1):
        images = []
        for label, picture in enumerate(pictures, start=1):
            source = picture.uri
            if folder is not None:
                # Numbers, as labels and names hold what is no name for a file everywhere.
                file = f"{number:04d}_{label}{_SUFFIXES[picture.kind]}"
                with atomic_path(folder / file) as temporary:
                    temporary.write_bytes(picture.content)
                source = f"{quote(folder.name)}/{file}"
            images.append({"src": source, "width": picture.width, "height": picture.height})
        told.append({"name": name, "images": images})
    title = " · ".join(labels)
    data = {"labels": labels, "rows": told}
    write_text(path, build_page("compare", title, data, linked=folder is not None))


def _by_stem(folder: Path, problems: list[str]) -> dict[str, tuple[Path, str]]:
    """Return a folder's (path, relative name) by the name without suffix; the first of equals."""
    stems: dict[str, tuple[Path, str]] = {}
    for path, name in folder_images(folder):
        first = stems.setdefault(stem_of(name), (path, name))[0]
        if first != path:
            problems.append(f"{path} is left out: {first.name} has the same name")
    if not stems:
        raise InputError(f"{folder} holds no images")
    return stems
