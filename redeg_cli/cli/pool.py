"""``redeg pool``: what pools hold; several made one."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from redeg_cli.cli.build_pool import pool_summary
from redeg_cli.cli.common import JsonOption, OverwriteOption, progress
from redeg_cli.cli.estimated_pools import (
    OMEGAS,
    common_kind,
    describe,
    merge,
    pool_kind,
    summary_line,
)
from redeg_cli.cli.messages import counted, emit_json, emit_path, emit_text, say
from redeg_cli.cli.outputs import check_pool
from redeg_cli.cli.pool_plot import PoolArgument, plot
from redeg_cli.progress import OnProgress

if TYPE_CHECKING:
    from redeg_cli.omega.pool import Pool

app = typer.Typer(
    help="Say what pools of Ωs, kernels or noise hold, plot them, merge them.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)
plot_command = app.command("plot", short_help="Plot pools.")(plot)


@app.command("info", short_help="Say what pools hold.")
def info_command(pools: PoolArgument, as_json: JsonOption = False) -> None:
    """Say what pools hold: Ωs of which pairs, how far apart they lie, duplicates and outliers.

    Of kernels their widths; of noise its deviation, how the images were compressed, and what was
    left out.
    """
    from redeg_cli.omega.pool import load_pool

    told: list[dict[str, Any]] = []
    for path in pools:
        kind = pool_kind(path)
        if kind != OMEGAS:
            told.append(describe(path, kind))
        else:
            pool = load_pool(path)
            with progress(f"comparing the Ωs of {path.name}") as on_progress:
                told.append(pool_summary(path, pool) | _figures(pool, on_progress))
    if as_json:
        emit_json(told)
        return
    for summary in told:
        if "kind" in summary:
            emit_text(summary_line(summary))
            continue
        emit_text(
            f"{summary['path']}: {counted(summary['omegas'], 'Ω')} of "
            f"{counted(summary['pairs'], 'pair')}, "
            f"scale {', '.join(map(str, summary['scales']))}, spread {summary['spread']:.3f}, "
            f"made by {summary['model']} ({summary['fingerprint']})"
        )
        for line in _lines(summary):
            emit_text(f"  {line}")


@app.command("merge", short_help="Put several pools into one.")
def merge_command(
    pools: PoolArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="The pool to write (.npz).")],
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Put the Ωs of several pools, made by one model, into one; or kernels, or noise."""
    from redeg_cli.omega.pool import load_pool, merge_pools, tell_apart

    check_pool(output, overwrite)
    kind = common_kind(pools)
    if kind != OMEGAS:
        summary = merge(pools, kind, output)
        if as_json:
            emit_json(summary)
        else:
            emit_path(output)
        return
    distinct = tell_apart([(path, load_pool(path)) for path in pools])
    if len(distinct) < len(pools):
        say("pools that hold the same Ωs are taken once")
    merged = merge_pools(distinct)
    merged.save(output)
    if as_json:
        emit_json(pool_summary(output, merged))
    else:
        emit_path(output)


def _figures(pool: "Pool", on_progress: OnProgress) -> dict[str, Any]:
    """Return what ``pool_statistics`` finds, with names in the place of row numbers."""
    from redeg_cli.omega.pool_groups import folder_groups
    from redeg_cli.omega.pool_statistics import pool_statistics

    found = pool_statistics(pool.omegas, pool.names, on_progress)

    def row(index: int) -> dict[str, Any]:
        return {"row": index, "name": pool.names[index], "note": pool.notes[index]}

    groups = Counter(group for group in folder_groups(pool.names) if group is not None)
    return {
        "radius": found.radius,
        "nearest": found.nearest,
        "nearest_of_other_pair": found.nearest_of_other_pair,
        "nearest_is_same_pair": found.nearest_is_same_pair,
        "groups": dict(sorted(groups.items())),
        "exact_duplicates": [[row(i) for i in rows] for rows in found.exact_duplicates],
        "near_duplicates": [[row(i) for i in rows] for rows in found.near_duplicates],
        "outliers": [row(index) | {"score": score} for index, score in found.outliers],
    }


def _lines(summary: dict[str, Any]) -> Iterator[str]:
    from redeg_cli.omega.pool_statistics import NEAR, NEIGHBOURS, OUTLIER_SCORE

    if summary["groups"]:
        parts = [f"{name} {count}" for name, count in summary["groups"].items()]
        yield f"folders: {', '.join(_some(parts, 12))}"
    if summary["nearest"] is not None:
        # Against the radius, as the length of Ωs means nothing by itself.
        radius = summary["radius"] or 1.0
        text = f"nearest neighbour: {summary['nearest'] / radius:.2f} of the radius (median)"
        if summary["nearest_of_other_pair"] is not None:
            text += f", of another pair {summary['nearest_of_other_pair'] / radius:.2f}"
        if summary["nearest_is_same_pair"] is not None:
            text += f"; of the same pair for {summary['nearest_is_same_pair']:.0%}"
        yield text
    near = f"near duplicates (closer than {NEAR:.0%} of the radius)"
    for what, key in (("exact duplicates", "exact_duplicates"), (near, "near_duplicates")):
        sets = [" = ".join(_some([_place(row) for row in rows])) for rows in summary[key]]
        count = sum(map(len, summary[key]))
        yield f"{what}: {count}, {'; '.join(_some(sets))}" if sets else f"{what}: none"
    rule = (
        f"distance to the {NEIGHBOURS} nearest of other pairs, modified z-score > {OUTLIER_SCORE}"
    )
    outliers = [f"{_place(row)} {row['score']:.1f}" for row in summary["outliers"]]
    told = f"{len(outliers)}, {'; '.join(_some(outliers))}" if outliers else "none"
    yield f"outliers ({rule}): {told}"


def _place(row: dict[str, Any]) -> str:
    return f"{row['name']} ({row['note']})" if row["note"] else row["name"]


def _some(texts: Sequence[str], most: int = 3) -> list[str]:
    """Return the first texts and how many more there are; --json gives all."""
    more = len(texts) - most
    return [*texts[:most], f"{more} more"] if more > 0 else list(texts)
