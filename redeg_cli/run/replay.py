"""Making a set of LQs again from its manifest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from redeg_cli.errors import InputError
from redeg_cli.io.files import stays_inside
from redeg_cli.io.listing import list_images
from redeg_cli.io.manifest import read_manifest
from redeg_cli.run.finished import says_more
from redeg_cli.run.jobs import Job, Settings

_LATER = ("noise", "noise_digest", "jpeg")
"""Settings that older manifests do not have."""


@dataclass(frozen=True)
class Replayed:
    """The LQs of a manifest that were made alike."""

    settings: Settings
    jobs: list[Job]


def plan_replay(manifest: Path, inputs: Sequence[Path] = ()) -> list[Replayed]:
    """Return what a manifest says was made, grouped by settings, with its records.

    The HQs are where the manifest says, or those of the same name among ``inputs``. Rows of files
    that failed are left out. Raises InputError for a row that lacks something, and for an HQ that
    is not among the inputs.
    """
    last: dict[str, Any] = {}
    for row in read_manifest(manifest):
        if "lq" in row and says_more(row.get("status"), last.get(row["lq"], {}).get("status")):
            last[row["lq"]] = row
    rows = [row for row in last.values() if row.get("status") == "ok"]
    if not rows:
        raise InputError(f"{manifest} holds no LQ that was made: give the manifest of a synthesis")
    places = {image.name: image.path for image in list_images(inputs)} if inputs else None
    groups: dict[Settings, list[Job]] = {}
    for row in rows:
        settings, job = _read_row(row, manifest)
        if places is not None:
            if job.name not in places:
                raise InputError(
                    f"{manifest} needs {job.name}, which is not among the images given"
                )
            job = replace(job, hq=places[job.name])
        groups.setdefault(settings, []).append(job)
    return [Replayed(settings, jobs) for settings, jobs in groups.items()]


def _read_row(row: Mapping[str, Any], manifest: Path) -> tuple[Settings, Job]:
    try:
        names = [each.name for each in fields(Settings)]
        settings = Settings(**{n: row[n] for n in names if n in row or n not in _LATER})
        job = Job(row["name"], Path(row["hq"]), row["lq"], row["variant"], row["record"])
        tile = row.get("tile_used") or row.get("tile")
        job = replace(job, hq_digest=row["hq_digest"], tile=tile, pair=row.get("pair"))
    except (KeyError, TypeError) as error:
        reason = f"lacks {error}" if isinstance(error, KeyError) else str(error)
        raise InputError(f"{manifest}: the row of {row.get('lq')} {reason}") from None
    inside = all(isinstance(each, str) and stays_inside(each) for each in job.files)
    if not inside or not isinstance(job.record, Mapping):
        raise InputError(f"{manifest}: the row of {job.lq} is none that a synthesis wrote")
    return settings, job
