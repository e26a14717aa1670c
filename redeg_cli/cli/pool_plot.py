"""``redeg pool plot``: pools as a picture."""

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from redeg_cli.cli.common import JsonOption, Outcome, OverwriteOption, SeedOption, progress
from redeg_cli.cli.estimated_pools import OMEGAS, common_kind, draw
from redeg_cli.cli.messages import emit_json, emit_path, say, warn
from redeg_cli.cli.outputs import check_folder
from redeg_cli.errors import InputError, OutputError, one_line

if TYPE_CHECKING:
    from redeg_cli.evaluate.pool_map import PoolMap
    from redeg_cli.omega.pool import Pool

PoolArgument = Annotated[list[Path], typer.Argument(help="Pool files (.npz).", readable=False)]

PAGE_SUFFIXES = (".html", ".htm")


class ColourBy(str, Enum):
    """What the colour of a point says."""

    source = "source"
    pool = "pool"
    group = "group"
    scale = "scale"


class MapMethod(str, Enum):
    """How Ωs are laid out in the plane."""

    tsne = "tsne"
    umap = "umap"


_METHOD_LABELS = {MapMethod.tsne: "t-SNE", MapMethod.umap: "UMAP"}


def plot(
    pools: PoolArgument,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            help="The plot: .html (interactive), .png, .svg or .pdf.",
        ),
    ],
    colour_by: Annotated[
        ColourBy | None,
        typer.Option(
            "--colour-by",
            "--color-by",
            help="group (of --groups, else the folder in the names), pool (the file), scale or "
            "source (the pair). Default: the first of these in which the Ωs differ.",
            show_default=False,
        ),
    ] = None,
    groups: Annotated[
        Path | None,
        typer.Option(
            "--groups", help="A .tsv file: name, tab, group. Names as `pool info --json` gives."
        ),
    ] = None,
    method: Annotated[
        MapMethod, typer.Option("--method", help="umap needs `pip install 'redeg[umap]'`.")
    ] = MapMethod.tsne,
    perplexity: Annotated[
        float | None,
        typer.Option("--perplexity", help="Of t-SNE. Default: 30, less for under 91 Ωs."),
    ] = None,
    neighbours: Annotated[
        int | None, typer.Option("--neighbours", help="Of UMAP. Default: 15.")
    ] = None,
    crops: Annotated[
        list[Path] | None,
        typer.Option(
            "--crops",
            help="Where the pairs or photos are: the page shows the LQ crop of a point. "
            "May be given several times.",
            readable=False,
        ),
    ] = None,
    max_mb: Annotated[
        float, typer.Option("--max-mb", min=0.1, help="Most megabytes of crops in the page.")
    ] = 20.0,
    title: Annotated[
        str | None, typer.Option("--title", help="Default: the names of the pools.")
    ] = None,
    seed: SeedOption = 0,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Plot pools: each Ω is a point, those that are alike lie together.

    Of kernels a sheet of them, of noise a sheet with patches and spectra (.png).
    """
    kind = common_kind(pools)
    if kind != OMEGAS:
        of_omegas = (colour_by, groups, perplexity, neighbours, crops, title)
        if of_omegas != (None,) * 6 or method is not MapMethod.tsne:
            raise typer.BadParameter(f"a sheet of {kind} takes -o alone: colours are of Ωs")
        _write_sheet(pools, kind, output, overwrite, as_json)
        return
    _check_options(output, method, perplexity, neighbours, crops)
    from redeg_cli.evaluate.embedding import embed, fit_perplexity
    from redeg_cli.evaluate.pool_map import PoolMap, make_groups
    from redeg_cli.io.files import ensure_writable
    from redeg_cli.io.listing import unique_names
    from redeg_cli.omega.pool import load_pool, merge_pools
    from redeg_cli.omega.pool_statistics import group_separation

    check_folder(output)
    ensure_writable(output, overwrite)
    for folder in crops or []:
        if not folder.is_dir():
            raise InputError(f"{folder} is not a folder: give --crops the folder of the pictures")
    loaded = [(path, load_pool(path)) for path in pools]
    pool = merge_pools(loaded)
    files = unique_names([(path, path.stem) for path in pools])
    origins = [file for file, (_, part) in zip(files, loaded, strict=True) for _ in part.names]
    by, labels = _labels(colour_by, groups, pool, origins)
    members, legend = make_groups(labels)
    places = embed(pool.omegas, method.value, seed, perplexity=perplexity, neighbours=neighbours)
    setting = f"seed {seed}"
    if method is MapMethod.tsne:
        setting = f"perplexity {fit_perplexity(perplexity, len(pool)):g}, {setting}"
    caption = f"{_METHOD_LABELS[method]} of {len(pool)} Ωs ({setting})"
    pool_map = PoolMap(
        *(places, pool.names, pool.notes, members, legend), title or ", ".join(files), caption
    )
    named = [i for i, label in enumerate(labels) if label is not None]
    silhouette = group_separation(pool.omegas[named], [str(labels[i]) for i in named])
    outcome = Outcome(done=1)
    shown = _write(output, pool_map, pool, crops or [], max_mb, outcome)
    apart = "" if silhouette is None else f", silhouette {silhouette:.2f}"
    say(f"{caption}, coloured by {by}: {len(legend)} in the legend{apart}")
    if as_json:
        emit_json(
            {
                "path": output,
                "omegas": len(pool),
                "method": method.value,
                "colour_by": by,
                "groups": {group.label: group.count for group in legend},
                "silhouette": silhouette,
                "crops": shown,
            }
        )
    else:
        emit_path(output)
    outcome.finish()


def _write_sheet(
    pools: list[Path], kind: str, output: Path, overwrite: bool, as_json: bool
) -> None:
    from redeg_cli.io.files import ensure_writable

    check_folder(output)
    ensure_writable(output, overwrite)
    summary = draw(pools, kind, output)
    say(summary["text"])
    if as_json:
        emit_json(summary)
    else:
        emit_path(output)


def _check_options(
    output: Path,
    method: MapMethod,
    perplexity: float | None,
    neighbours: int | None,
    crops: list[Path] | None,
) -> None:
    from redeg_cli.evaluate.pool_figure import FIGURE_SUFFIXES, check_matplotlib

    suffix = output.suffix.lower()
    if perplexity is not None and method is not MapMethod.tsne:
        raise typer.BadParameter("--perplexity is of t-SNE: leave it out, or give --method tsne")
    if neighbours is not None and method is not MapMethod.umap:
        raise typer.BadParameter("--neighbours is of UMAP: give --method umap")
    if suffix in FIGURE_SUFFIXES:
        if crops:
            raise typer.BadParameter("--crops is for a page: write .html")
        check_matplotlib()
    elif suffix not in PAGE_SUFFIXES:
        wanted = ", ".join((PAGE_SUFFIXES[0], *FIGURE_SUFFIXES))
        raise OutputError(f"cannot write {output}: the suffix names no format, use {wanted}")


def _labels(
    colour_by: ColourBy | None, table: Path | None, pool: "Pool", origins: list[str]
) -> tuple[str, list[str | None]]:
    """Return what the colours say and the label of each Ω."""
    from redeg_cli.omega.pool_groups import folder_groups, read_groups, table_groups

    if table is not None:
        if colour_by not in (None, ColourBy.group):
            raise typer.BadParameter("--groups colours by group: leave out --colour-by")
        found = table_groups(pool.names, read_groups(table))
        without = sum(label is None for label in found)
        if without == len(found):
            raise InputError(f"{table} names none of the {len(found)} Ωs, such as {pool.names[0]}")
        if without:
            warn(f"{without} of {len(found)} Ωs are not in {table}: they are gray")
        return "group", found
    kinds: dict[str, list[str | None]] = {
        "group": folder_groups(pool.names),
        "pool": list(origins),
        "scale": [f"scale {scale}" for scale in pool.scales],
        "source": list(pool.names),
    }
    if colour_by is not None:
        if set(kinds[colour_by.value]) == {None}:
            raise InputError("the names of the Ωs hold no folders to group by: give --groups")
        return colour_by.value, kinds[colour_by.value]
    by = next((kind for kind, labels in kinds.items() if len(set(labels)) > 1), "source")
    return by, kinds[by]


def _write(
    output: Path,
    pool_map: "PoolMap",
    pool: "Pool",
    folders: list[Path],
    max_mb: float,
    outcome: Outcome,
) -> int:
    """Write the plot and return how many crops are in it."""
    import warnings

    if output.suffix.lower() not in PAGE_SUFFIXES:
        from redeg_cli.evaluate.pool_figure import write_figure

        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            write_figure(output, pool_map)
        for text in dict.fromkeys(one_line(str(warning.message)) for warning in caught):
            warn(text)
        return 0
    from redeg_cli.evaluate.crops import read_crops
    from redeg_cli.evaluate.pool_page import write_pool_page

    if not folders:
        say("no LQ crops in the page: --crops FOLDER says where the pairs or photos are")
        write_pool_page(output, pool_map, [])
        return 0
    with progress("reading crops") as on_progress:
        limit = int(max_mb * 1e6)
        found = read_crops(pool.names, pool.notes, pool.scales, folders, limit, on_progress)
    if found.missing:
        warn(
            f"{len(found.missing)} pictures are in none of the --crops folders, such as "
            f"{found.missing[0]}: their Ωs show their names only"
        )
    outcome.failed += found.unreadable
    shown = sum(map(bool, found.pictures))
    lost = set(found.missing) | {name for name, _ in found.unreadable}
    left_out = len(pool) - shown - sum(name in lost for name in pool.names)
    if left_out:
        warn(f"{left_out} crops do not fit into {max_mb:g} MB: give a larger --max-mb")
    write_pool_page(output, pool_map, found.pictures)
    return shown
