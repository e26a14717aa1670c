"""``redeg compare``: pictures by several methods on one page."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from redeg_cli.cli.common import JsonOption, OverwriteOption, run_batch
from redeg_cli.cli.messages import counted, emit_json, emit_path, say
from redeg_cli.cli.outputs import check_folder
from redeg_cli.errors import InputError, OutputError
from redeg_cli.progress import OnProgress

if TYPE_CHECKING:
    from redeg_cli.evaluate.compare import Embedded, Row


def compare(
    methods: Annotated[
        list[Path],
        typer.Argument(
            help="Two or more folders, matched by the names of their pictures, or single files.",
            readable=False,
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The page to write (.html).")],
    labels: Annotated[
        list[str] | None,
        typer.Option(
            "--label",
            help="What to call each, once for each in their order. Default: the folders' names.",
        ),
    ] = None,
    linked: Annotated[
        bool,
        typer.Option("--linked", help="Pictures in a folder beside the page, not inside it."),
    ] = False,
    max_mb: Annotated[
        float,
        typer.Option("--max-mb", min=0.1, help="Larger pages get their pictures in a folder."),
    ] = 50.0,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make a page that shows pictures before and after, or by several methods, zoomed in step."""
    from redeg_cli.evaluate.compare import (
        embed_picture,
        match_methods,
        method_labels,
        write_comparison,
    )
    from redeg_cli.io.files import ensure_writable

    if len(methods) < 2:
        raise typer.BadParameter("give two or more folders or pictures to compare")
    if labels and len(labels) != len(methods):
        raise typer.BadParameter(f"{len(labels)} times --label for {len(methods)} inputs")
    if output.suffix.lower() not in (".html", ".htm"):
        raise OutputError(f"cannot write {output}: give a name that ends in .html")
    check_folder(output)
    ensure_writable(output, overwrite)
    rows, problems = match_methods(methods)
    pictures: dict[str, list[Embedded]] = {}

    def work(row: "Row", on_progress: OnProgress) -> None:
        del on_progress
        pictures[row.name] = [embed_picture(path) for path in row.paths]

    outcome = run_batch(rows, work, lambda row: row.name, title="reading pictures", threads=2)
    # The names are told by the lines themselves.
    outcome.failed[:0] = [(line, line) for line in problems]
    shown = [(row.name, pictures[row.name]) for row in rows if row.name in pictures]
    if not shown:
        outcome.finish()
        raise InputError("no picture can be shown")
    total = sum(picture.weight for _, row in shown for picture in row) / 1e6
    folder = None
    if linked or total > max_mb:
        folder = output.with_name(f"{output.stem}_files")
        if folder.exists() and not overwrite:
            raise OutputError(f"{folder} exists; give --overwrite to write the pictures into it")
        if not linked:
            say(f"{total:.0f} MB of pictures are more than --max-mb {max_mb:g}: see {folder}")
    write_comparison(output, labels or method_labels(methods), shown, folder=folder)
    say(f"{counted(len(shown), 'picture')} by {len(methods)} methods")
    if as_json:
        emit_json(
            {
                "path": output,
                "folder": folder,
                "pictures": [name for name, _ in shown],
                "failed": [message for _, message in outcome.failed],
            }
        )
    else:
        emit_path(output)
    outcome.finish()
