"""Which Ωs belong together: by the folders in their names, or by a table."""

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from redeg_cli.errors import InputError

_FACE = re.compile(r" face \d+$")


def picture_name(name: str) -> str:
    """Return the name of the picture an Ω is of: without ``face 2`` for one of a photo's faces."""
    return _FACE.sub("", name)


def folder_groups(names: Sequence[str]) -> list[str | None]:
    """Return the first folder in which the names differ: ``blur`` for ``all/blur/lq/a.png``.

    None for a name without a folder there.
    """
    folders = [PurePosixPath(name).parts[:-1] for name in names]
    depth = 0
    while len({parts[: depth + 1] for parts in folders}) == 1 and len(folders[0]) > depth:
        depth += 1
    return [parts[depth] if len(parts) > depth else None for parts in folders]


def read_groups(path: Path) -> dict[str, str]:
    """Return the group of each name of a table: lines of name, tab, group.

    Empty lines, lines that start with # and a header ``name<TAB>group`` are skipped. Raises
    InputError for a file of another kind and for a name with two groups.
    """
    try:
        lines = path.read_bytes().decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise InputError(f"{path} is not UTF-8 text: save it as a UTF-8 .tsv file") from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None
    groups: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("#"):
            continue
        columns = [column.strip() for column in line.split("\t")]
        if len(columns) != 2 or not all(columns):
            raise InputError(f"{path} line {number}: wanted a name, a tab and a group")
        name, group = columns
        if not groups and (name.casefold(), group.casefold()) == ("name", "group"):
            continue
        if groups.setdefault(name, group) != group:
            raise InputError(
                f"{path} line {number}: {name} is in {groups[name]} and in {group}, give one group"
            )
    if not groups:
        raise InputError(f"{path} holds no line with a name, a tab and a group")
    return groups


def table_groups(names: Sequence[str], table: dict[str, str]) -> list[str | None]:
    """Return the group of each name, None for those not in the table.

    A name may stand in the table in full, without its suffix, or as that of the photo for a face.
    """

    def find(name: str) -> str | None:
        picture = picture_name(name)
        stem = str(PurePosixPath(picture).with_suffix("")) if picture else picture
        return next((table[key] for key in (name, picture, stem) if key in table), None)

    return [find(name) for name in names]
