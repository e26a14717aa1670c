"""A pool as a figure for paper: PNG, SVG or PDF."""

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from redeg_cli.errors import RedegError
from redeg_cli.evaluate.pool_map import PoolMap
from redeg_cli.io.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURE_SUFFIXES = (".png", ".svg", ".pdf")

_MARKERS = {"circle": "o", "square": "s", "triangle": "^", "diamond": "D", "cross": "P"}
_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text, to be edited and searched
    "svg.hashsalt": "redeg",  # the same pool gives the same file
    "pdf.fonttype": 42,
    "font.size": 9,
}
# Without the date of writing and the version of the writer, for the same reason.
_UNDATED = {
    ".png": {"Software": None},
    ".svg": {"Date": None, "Creator": None},
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


def check_matplotlib() -> None:
    """Raise RedegError when figures cannot be drawn here. Call it before the work."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise RedegError(
            f"figures cannot be drawn ({error}): run `pip install 'redeg[plots]'`, or write .html"
        ) from None


def write_figure(path: Path, pool_map: PoolMap) -> None:
    """Write the figure in the format of the suffix. The places have no unit and get no axes.

    Matplotlib warns of characters of a name that its font does not hold.
    Raises RedegError without matplotlib, OutputError.
    """
    check_matplotlib()
    import matplotlib
    from matplotlib.figure import Figure

    suffix = path.suffix.lower()
    with matplotlib.rc_context(_SETTINGS):
        figure = Figure(figsize=(6.4, 4.8), layout="constrained")
        _draw(figure, pool_map)
        content = io.BytesIO()
        figure.savefig(content, format=suffix[1:], dpi=200, metadata=_UNDATED[suffix])
    with atomic_path(path) as temporary:
        temporary.write_bytes(content.getvalue())


def _draw(figure: "Figure", pool_map: PoolMap) -> None:
    from matplotlib.lines import Line2D

    axes = figure.add_subplot()
    area = float(np.clip(9000 / len(pool_map.places), 4, 40))  # of a marker, in square points
    entries = []
    for number, group in enumerate(pool_map.groups):
        look: dict[str, Any] = {"marker": _MARKERS[group.shape], "color": group.colour}
        places = pool_map.places[pool_map.members == number]
        axes.scatter(*places.T, s=area, alpha=0.75, linewidths=0, **look)
        label = f"{_plain(group.label)} ({group.count})"
        entries.append(Line2D([], [], linestyle="", markersize=5, label=label, **look))
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_axis_off()
    axes.set_title(_plain(pool_map.title), fontsize=10)
    figure.supxlabel(_plain(pool_map.caption), fontsize=7, color="#666666")
    if len(entries) > 1:
        figure.legend(handles=entries, loc="outside right upper", frameon=False, fontsize=8)


def _plain(text: str) -> str:
    """Return a label for matplotlib, which reads formulas between dollars."""
    return text.replace("$", r"\$")
