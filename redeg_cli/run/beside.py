"""What an output folder holds beside the files that a run makes."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path, PurePosixPath

from redeg_cli.errors import OutputError
from redeg_cli.run.finished import Known, Row
from redeg_cli.run.jobs import Job, Settings

# The same HQ or pool may lie elsewhere, the same weights may have another name.
_LABELS = ("hq", "pool", "model", "noise")


def check_beside(
    rows: Mapping[str, Known], jobs: Sequence[Job], settings: Settings, output: Path
) -> tuple[int, str] | None:
    """Return how many LQs of other HQs and settings stay in the folder, and how the first was made.

    Raises OutputError when LQs of the same HQs would stay that were made with other settings, or
    that are the same pictures under other names.
    """
    planned, names = {job.lq for job in jobs}, {job.name for job in jobs}
    pictures = {(job.name, job.variant): job for job in jobs}
    wanted = asdict(settings)
    others: tuple[int, str] | None = None
    for lq, row in rows.items():
        if lq in planned or row.status != "ok":
            continue
        key = first_difference(row.settings, wanted)
        double = pictures.get((row.name, row.variant))
        if (key is None and double is None) or not (output / lq).is_file():
            continue
        if key is None:
            assert double is not None
            was, now = _named_by(lq, row.pair, double)
            raise OutputError(
                f"{output / lq} was made {was}, now it is {now}, and would stay beside "
                f"{output / double.lq}, the same picture: give the options of then, or another "
                "folder with -o"
            )
        how = f"was made with {key} {row.settings[key]}, now it is {wanted[key]}"
        if row.name in names:
            raise OutputError(
                f"{output / lq} {how}, and would stay beside the new LQs of {row.name}: "
                "give another folder with -o"
            )
        count, first = others or (0, f"{output / lq} {how}")
        others = count + 1, first
    return others


def first_difference(made: Row, wanted: Row) -> str | None:
    """Return the first setting that is not as it should be. The tile is one of its own."""
    keys = (key for key in made if key not in (*_LABELS, "tile"))
    return next((key for key in keys if made[key] != wanted[key]), None)


def _named_by(lq: str, pair: str | None, job: Job) -> tuple[str, str]:
    """Return what gave an LQ its name, and what gives the job's another one."""
    if (pair is None) != (job.pair is None):
        return ("without --pairs", "with it") if pair is None else ("with --pairs", "without it")
    was, now = (PurePosixPath(name).suffix.removeprefix(".") for name in (lq, job.lq))
    if was != now:
        return f"with --format {was}", now
    if len(lq) != len(job.lq):
        numbered = "with several --variants", "with one"
        return numbered if len(lq) > len(job.lq) else ("with one of --variants", "several")
    return "under this name", "another one"
