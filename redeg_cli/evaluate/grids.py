"""Tables of figures, for a terminal and in Markdown."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from redeg_cli.evaluate.bootstrap import Interval
from redeg_cli.evaluate.tables import number

if TYPE_CHECKING:
    from rich.console import Group


@dataclass(frozen=True)
class Grid:
    """A table: the first column is text, all others are figures."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


def to_markdown(grids: Sequence[Grid], title: str) -> str:
    """Return all tables as GitHub's Markdown under one heading."""
    parts = [f"# {title}"]
    for grid in grids:
        ruler = ["---", *["---:"] * (len(grid.head) - 1)]
        lines = [_line(grid.head), _line(ruler), *map(_line, grid.rows)]
        parts += [f"## {grid.title}", *([grid.note] if grid.note else []), "\n".join(lines)]
    return "\n\n".join(parts) + "\n"


def to_rich(grids: Sequence[Grid]) -> "Group":
    """Return all tables for a terminal."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    tables = []
    for grid in grids:
        table = Table(title=grid.title, title_justify="left", caption=grid.note or None)
        table.caption_justify = "left"
        for place, name in enumerate(grid.head):
            table.add_column(Text(name), justify="right" if place else "left")
        for row in grid.rows:
            table.add_row(*map(Text, row))
        tables.append(table)
    return Group(*tables)


def interval(value: Interval, digits: int, signed: bool = False) -> str:
    """Return a mean with its interval, ``27.31 [27.02, 27.60]``."""
    text = number(value.mean, digits, signed)
    if math.isnan(value.low):
        return text
    return f"{text} [{number(value.low, digits, signed)}, {number(value.high, digits, signed)}]"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"
