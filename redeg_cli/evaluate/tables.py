"""The tables of an evaluation: for a terminal, Markdown, LaTeX and CSV."""

import csv
import io
import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from redeg_cli.evaluate.metrics import METRICS
from redeg_cli.evaluate.restoration import Evaluation
from redeg_cli.evaluate.summary import Cell, Summary, places

if TYPE_CHECKING:
    from rich.table import Table

_LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
_LATEX |= {character: "\\" + character for character in "&%$#_{}"}


def notes(summary: Summary) -> list[str]:
    """Return what a reader must know of the numbers, a line each."""
    evaluation = summary.evaluation
    dataset, view = evaluation.dataset, evaluation.view
    colour = "Y of BT.601" if view.colour == "y" else "RGB"
    lines = [
        f"{dataset.name} ({dataset.layout}), {len(dataset.samples)} images; {colour}, "
        f"border of {view.crop} pixels left out.",
        f"Means with {summary.level:.0%} bootstrap intervals over the images "
        f"({summary.resamples} resamples, seed {summary.seed}).",
    ]
    if summary.baseline is not None:
        lines.append(f"Signed numbers: difference to {summary.baseline}, paired by image.")
    own = [name for name in evaluation.metrics if METRICS[name].colour != "view"]
    if view.colour == "y" and own:
        labels = ", ".join(METRICS[name].label for name in own)
        lines.append(f"{labels}: of RGB or a luma of their own, whatever the colours compared.")
    packages = ", ".join(f"{name} {version}" for name, version in evaluation.versions.items())
    if packages:
        lines.append(f"Computed by {packages}.")
    for name, reason in evaluation.unavailable.items():
        lines.append(f"{METRICS[name].label}: unavailable: {reason}")
    cut = sum(bool(row.note) for row in evaluation.rows)
    if cut:
        lines.append(
            f"{cut} results had another size than their reference by less than the scale: "
            "compared on what they share."
        )
    if evaluation.failed:
        count = f"{len(evaluation.failed)} of {len(evaluation.rows)}"
        lines.append(f"{count} results have no values, or not all.")
    if evaluation.problems:
        lines.append(f"{len(evaluation.problems)} pictures were left out.")
    return lines


def heading(metric: str) -> str:
    """Return the label of a metric with an arrow that says which way is better."""
    return f"{METRICS[metric].label} {'↑' if METRICS[metric].higher_is_better else '↓'}"


def number(value: float, digits: int, signed: bool = False) -> str:
    """Return a number as it is printed: ``27.31``, ``+0.42``, ``NaN``, ``∞``."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    text = f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"
    return text.replace("-", "−") if signed else text


def to_rich(summary: Summary) -> "Table":
    """Return the table for a terminal: best bold, second underlined, intervals below.

    ``notes`` are not in it.
    """
    from rich.table import Table
    from rich.text import Text

    table = Table()
    table.add_column("method", overflow="fold")
    for metric in summary.evaluation.metrics:
        table.add_column(heading(metric), justify="right")
    styles = {1: "bold", 2: "underline"}
    placed = {metric: places(summary, metric) for metric in summary.evaluation.metrics}
    for method in summary.evaluation.methods:
        cells = [Text(method.name)]
        for metric in summary.evaluation.metrics:
            mean, *more = _lines(summary, method.name, metric)
            style = styles.get(placed[metric].get(method.name, 0), "")
            text = Text(mean, style=style)
            cells.append(Text("\n").join([text, *(Text(line, style="dim") for line in more)]))
        table.add_row(*cells)
    return table


def to_markdown(summary: Summary) -> str:
    """Return the table as GitHub's Markdown: best bold, second underlined, intervals below."""

    def cell(lines: list[str], place: int) -> str:
        mean, *more = lines
        shown = {1: f"**{mean}**", 2: f"<u>{mean}</u>"}.get(place, mean)
        return "<br>".join([shown, *(f"<sub>{line}</sub>" for line in more)])

    metrics = summary.evaluation.metrics
    rows = [["method", *map(heading, metrics)], ["---", *["---:"] * len(metrics)]]
    rows += _rows(summary, lambda name: name.replace("|", "\\|"), cell)
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return "\n\n".join([table, "\n".join(f"- {line}" for line in notes(summary))]) + "\n"


def to_latex(summary: Summary) -> str:
    """Return the table in LaTeX (package booktabs): best bold, second underlined, means only."""

    def cell(lines: list[str], place: int) -> str:
        mean = lines[0].replace("∞", r"$\infty$")
        return {1: rf"\textbf{{{mean}}}", 2: rf"\underline{{{mean}}}"}.get(place, mean)

    metrics = summary.evaluation.metrics
    arrows = {True: r"$\uparrow$", False: r"$\downarrow$"}
    heads = [
        f"{_latex(METRICS[name].label)} {arrows[METRICS[name].higher_is_better]}"
        for name in metrics
    ]
    rows = [" & ".join(row) + r" \\" for row in _rows(summary, _latex, cell)]
    lines = [
        *(f"% {line}" for line in notes(summary)),
        rf"\begin{{tabular}}{{l{'r' * len(metrics)}}}",
        r"\toprule",
        " & ".join(["Method", *heads]) + r" \\",
        r"\midrule",
        *rows,
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def to_csv(evaluation: Evaluation) -> str:
    """Return a line for each image and method, with all digits."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image", "method", *evaluation.metrics, "message", "note"])
    for row in evaluation.rows:
        values = [
            f"{row.values[name]:.9g}" if name in row.values else "" for name in evaluation.metrics
        ]
        writer.writerow([row.image, row.method, *values, row.message, row.note])
    return text.getvalue()


def _rows(
    summary: Summary, name_of: Callable[[str], str], cell: Callable[[list[str], int], str]
) -> list[list[str]]:
    metrics = summary.evaluation.metrics
    placed = {metric: places(summary, metric) for metric in metrics}
    return [
        [
            name_of(method.name),
            *(
                cell(_lines(summary, method.name, metric), placed[metric].get(method.name, 0))
                for metric in metrics
            ),
        ]
        for method in summary.evaluation.methods
    ]


def _lines(summary: Summary, method: str, metric: str) -> list[str]:
    """Return a cell's mean, and below it interval and difference as far as there are any."""
    cell: Cell = summary.cells[method, metric]
    digits = METRICS[metric].digits
    lines = [number(cell.mean.mean, digits)]
    if not math.isnan(cell.mean.low):
        lines.append(f"[{number(cell.mean.low, digits)}, {number(cell.mean.high, digits)}]")
    if cell.mean.n < len(summary.evaluation.dataset.samples):
        lines.append(f"of {cell.mean.n} images")
    if cell.difference is not None:
        low, high = (
            number(end, digits, True) for end in (cell.difference.low, cell.difference.high)
        )
        ends = "" if math.isnan(cell.difference.low) else f" [{low}, {high}]"
        lines.append(number(cell.difference.mean, digits, True) + ends)
    return lines


def _latex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)
