"""Making a set of LQs again from its manifest."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from redeg_cli.errors import InputError
from redeg_cli.io.files import stays_inside
from redeg_cli.io.listing import expand_inputs, list_images
from redeg_cli.run.finished import read_known, read_rows
from redeg_cli.run.jobs import Job, Settings

_LATER = ("noise", "noise_digest", "jpeg")
"""Settings that older manifests do not have."""


@dataclass(frozen=True)
class Replayed:
    """The LQs of a manifest that were made alike."""

    settings: Settings
    jobs: list[Job]


def plan_replay(manifest: Path, inputs: Sequence[Path] = ()) -> tuple[list[Replayed], int]:
    """Return what a manifest says was made, grouped by settings, with its records; and how many of
    its rows are left out.

    The HQs are where the manifest says, or those of the same name among ``inputs``. When these are
    files, rows of other images are left out; a file may also be known by its place. Rows of files
    that failed do not count. Raises InputError for a row that lacks something, for an HQ that is
    not in the folders given, and for files of which there is no row.
    """
    if not manifest.exists():
        raise InputError(f"{manifest} does not exist: give the path of a manifest (.jsonl)")
    made = [each for each in read_known(manifest)[0].values() if each.status == "ok"]
    if not made:
        raise InputError(f"{manifest} holds no LQ that was made: give the manifest of a synthesis")
    images = list_images(inputs) if inputs else []
    by_name = {image.name: image.path for image in images}
    only_files = bool(inputs) and not any(path.is_dir() for path in expand_inputs(inputs))
    by_place = {os.path.abspath(image.path): image.path for image in images} if only_files else {}
    groups: dict[Settings, list[Job]] = {}
    left_out = 0
    for row in read_rows(manifest, made):
        settings, job = _read_row(row, manifest)
        if inputs:
            hq = by_place.get(str(job.hq)) or by_name.get(job.name)
            if hq is None and only_files:
                left_out += 1
                continue
            if hq is None:
                raise InputError(
                    f"{manifest} needs {job.name}, which is not in the folders given: give a "
                    "folder that holds it too, or the files of a part of the images"
                )
            job = replace(job, hq=hq)
        groups.setdefault(settings, []).append(job)
    if not groups:
        raise InputError(f"{manifest} has no row of {images[0].name}, nor of another file given")
    return [Replayed(settings, jobs) for settings, jobs in groups.items()], left_out


def check_there(jobs: Sequence[Job], output: Path, overwrite: bool = False) -> int:
    """Return how many HQs of LQs that are to be made are not where the manifest says.

    Raises InputError when none of them is.
    """
    wanted = {
        job.hq
        for job in jobs
        if overwrite or not all(os.path.isfile(output / name) for name in job.files)
    }
    gone = sorted(hq for hq in wanted if not os.path.isfile(hq))
    if gone and len(gone) == len(wanted):
        raise InputError(
            f"the HQs are not where the manifest says, such as {gone[0]}: give their folder as an "
            "argument"
        )
    return len(gone)


def _read_row(row: Mapping[str, Any], manifest: Path) -> tuple[Settings, Job]:
    try:
        names = [each.name for each in fields(Settings)]
        settings = Settings(**{n: row[n] for n in names if n in row or n not in _LATER})
        record = row["record"]
        job = Job(row["name"], Path(row["hq"]), row["lq"], row["variant"], json.dumps(record))
        tile = row.get("tile_used") or row.get("tile")
        job = replace(job, hq_digest=row["hq_digest"], tile=tile, pair=row.get("pair"))
    except (KeyError, TypeError) as error:
        reason = f"lacks {error}" if isinstance(error, KeyError) else str(error)
        raise InputError(f"{manifest}: the row of {row.get('lq')} {reason}") from None
    inside = all(isinstance(each, str) and stays_inside(each) for each in job.files)
    if not inside or not isinstance(record, Mapping):
        raise InputError(f"{manifest}: the row of {job.lq} is none that a synthesis wrote")
    return settings, job
