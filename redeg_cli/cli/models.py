"""``redeg models``: which models there are, and bringing others in."""

import json
import textwrap
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from redeg_cli.cli.common import JsonOption, OverwriteOption, progress
from redeg_cli.cli.messages import emit_json, emit_path, emit_text, say, warn

if TYPE_CHECKING:
    from redeg_cli.models import ModelInfo

_WIDEST = 100
"""Characters of a value of a table; --json has them all."""
_PYIQA = "pyiqa-"
"""How the names of weights begin that pyiqa fetches by itself."""

app = typer.Typer(
    help="List the models, bring others in, say what one is.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)


@app.command("list")
def list_command(as_json: JsonOption = False) -> None:
    """List the models that can be named, one a line."""
    from redeg_cli.models import list_models

    problems: list[str] = []
    models = list_models(problems)
    for problem in problems:
        warn(problem)
    if as_json:
        emit_json([_row(info) for info in models])
        return
    width = max((len(info.name) for info in models), default=0)
    for info in models:
        numbers = f"{info.parameters / 1e6:7.2f} M parameters {info.size / 1e6:7.1f} MB"
        emit_text(f"{info.name:<{width}}  {info.kind:<9} {numbers}  {info.source}")
    if not models:
        say("no models; `redeg models import` brings one in")


@app.command("import")
def import_command(
    path: Annotated[
        Path | None,
        typer.Argument(
            help="A checkpoint: net_f2n* of the release, or any restorer or face restorer that "
            "spandrel knows. Or the folder of the release.",
            show_default=False,
        ),
    ] = None,
    redegnet: Annotated[
        Path | None,
        typer.Option(
            "--redegnet", help="Folder with the released net_deg*, net_synE* and net_synG* files."
        ),
    ] = None,
    f2n: Annotated[
        Path | None,
        typer.Option(
            "--f2n",
            help="An F2N-ESRGAN of the ReDegNet release, whatever it is called: it works in "
            "[-1, 1], other files of its layout in [0, 1].",
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="What to call it; the file's own name otherwise.")
    ] = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Check a checkpoint made elsewhere and keep it under a name."""
    given = [each for each in (path, redegnet, f2n) if each is not None]
    if len(given) != 1:
        raise typer.BadParameter("give one of: a path, --redegnet DIR, --f2n FILE")
    from redeg_cli.imports import import_path, import_redegnet
    from redeg_cli.models import model_info

    if redegnet is not None:
        files = [import_redegnet(redegnet, name or "redegnet", overwrite=overwrite)]
    else:
        files = import_path(given[0], name, f2n=f2n is not None, overwrite=overwrite)
    written = [model_info(file) for file in files]
    for info in written:
        say(f"{info.name}: {info.architecture}, {info.parameters / 1e6:.2f} M parameters")
    if as_json:
        emit_json([_row(info) for info in written])
        return
    for info in written:
        emit_path(info.path)


@app.command("download")
def download_command(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="What to fetch; without a name, what can be fetched is listed."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Fetch weights that others publish, checked by their digest. No other command does."""
    from redeg_cli.downloads import DOWNLOADS, fetch, find_download
    from redeg_cli.evaluate.fetch import fetch_pyiqa, fetchable

    if not names:
        found = {name: find_download(name) for name in DOWNLOADS}
        if as_json:
            emit_json([{"name": n, "url": DOWNLOADS[n].url, "path": found[n]} for n in found])
            return
        for name, download in DOWNLOADS.items():
            where = found[name] or "not here yet"
            emit_text(f"{name}  {download.megabytes} MB  {download.what}  {where}")
        emit_text(f"{', '.join(_PYIQA + each for each in fetchable())}  metrics of pyiqa, by pyiqa")
        return
    files: dict[str, list[str]] = {}
    for name in names:
        if name.startswith(_PYIQA):
            files[name] = fetch_pyiqa(name.removeprefix(_PYIQA))
            continue
        with progress(f"fetching {name}") as on_progress:
            files[name] = [str(fetch(name, on_progress))]
    if as_json:
        emit_json(files)
        return
    for file in chain.from_iterable(files.values()):
        emit_path(file)


@app.command("info")
def info_command(
    model: Annotated[str, typer.Argument(help="A model's name or the path of a weights file.")],
    as_json: JsonOption = False,
) -> None:
    """Say what a model is, where it lies and how it was made."""
    from redeg_cli.errors import ModelError
    from redeg_cli.imports import recognise
    from redeg_cli.models import model_fingerprint, model_info

    info = model_info(model)
    row = {**_row(info), "fingerprint": model_fingerprint(info.path), "notes": _notes(info)}
    if info.kind == "unknown":  # no words of redeg's in it: its layout may tell
        try:
            row |= recognise(info.path)
        except ModelError as error:
            warn(str(error))
    if as_json:
        emit_json(row)
        return
    notes = row.pop("notes")
    for key, value in {**row, **notes}.items():
        for line in _lines(key, value):
            emit_text(line)


def _lines(key: str, value: object) -> Iterator[str]:
    """Yield what a key says; the keys of a table (a recipe) on lines of their own."""
    table: object = None
    if isinstance(value, str) and value.startswith("{"):
        with suppress(json.JSONDecodeError):
            table = json.loads(value)
    if not isinstance(table, dict):
        yield f"{key}: {value}"
        return
    yield f"{key}:" if table else f"{key}: {{}}"
    for name, each in table.items():
        yield f"  {name}: {textwrap.shorten(json.dumps(each, ensure_ascii=False), _WIDEST)}"


def _row(info: "ModelInfo") -> dict[str, object]:
    return {
        "name": info.name,
        "kind": info.kind,
        "architecture": info.architecture,
        "source": info.source,
        "path": str(info.path),
        "bytes": info.size,
        "parameters": info.parameters,
    }


def _notes(info: "ModelInfo") -> dict[str, str]:
    return {key: text for key, text in info.metadata.items() if key not in ("architecture", "kind")}
