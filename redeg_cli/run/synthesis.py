"""An LQ for each of many HQ files: what is to be made, what is there already, and the manifest.

Every file depends on its own seed and nothing else, so a run that was killed at any moment and
started again leaves the same files, and the same manifest, as one that was not.
"""

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from redeg_cli.degrade.base import Degrader, Record
from redeg_cli.degrade.dml import DmlDegrader
from redeg_cli.degrade.resize import to_aligned
from redeg_cli.device import free_memory, is_out_of_memory
from redeg_cli.errors import DiskFullError, InputError, OutputError
from redeg_cli.io.files import atomic_path
from redeg_cli.io.images import read_photo, require_size, to_array, to_tensor, write_rgb
from redeg_cli.io.listing import ImageFile, expand_inputs, list_images
from redeg_cli.io.manifest import ManifestWriter, read_manifest
from redeg_cli.omega.learned import OmegaDegrader
from redeg_cli.progress import OnProgress
from redeg_cli.seeds import sample_seed

MANIFEST = "manifest.jsonl"
MINIMUM = 16
"""Least side of an HQ in pixels."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Settings:
    """What every row of the manifest repeats, so that each can be told and replayed alone."""

    degrader: str
    """"omega", "adapted", "dml", "kernel-noise", a preset's name or that of a TOML file."""
    scale: int
    aligned: bool
    seed: int
    """Of the run; a file's own is ``sample_seed(seed, name of the HQ, variant)``."""
    digest: str | None = None
    """Of the tables that a handcrafted degrader was read from, of a learned one's settings."""
    pool: str | None = None
    """The file of the pool (of Ωs or kernels), or of the photo's adapted SynNet, as given."""
    pool_digest: str | None = None
    model: str | None = None
    fingerprint: str | None = None
    noise: str | None = None
    """The file of the pool of noise."""
    noise_digest: str | None = None
    jpeg: str | None = None
    """How a kernel-noise degrader compresses: auto, none or a quality."""


# The same HQ or pool may lie elsewhere, the same weights may have another name.
_LABELS = ("hq", "pool", "model", "noise")


@dataclass(frozen=True)
class Job:
    """One LQ to make."""

    name: str
    """The HQ's name in its listing: decides the seed."""
    hq: Path
    lq: str
    """Relative to the output folder, with forward slashes."""
    variant: int
    record: Record | None = None
    """What to apply, if it is not to be drawn."""
    hq_digest: str | None = None
    """What the HQ's file must be, if it must."""

    @property
    def label(self) -> str:
        """What the job is called in messages: the HQ's name, and the variant beyond the first."""
        return f"{self.name} (variant {self.variant + 1})" if self.variant else self.name


def plan(inputs: Sequence[Path], output: Path, variants: int, suffix: str) -> list[Job]:
    """Return the LQs to make: one per HQ, or ``variants`` of each, numbered from 0001.

    The folder tree of the inputs is kept; pictures in an output folder that lies inside an input
    are no inputs, unless they were given by a path of their own. Raises InputError when there is
    nothing to do, two LQs would share a name, or an LQ that of an HQ.
    """
    place = output.resolve()
    # What lies in the output folder and was named all the same.
    named = {each.resolve() for each in expand_inputs(inputs)}
    named = {each for each in named if place in each.parents}
    images: list[ImageFile] = []
    for image in list_images(inputs):
        path = image.path.resolve()
        if place not in path.parents or not named.isdisjoint((path, *path.parents)):
            images.append(image)
    if not images:
        raise InputError(f"all images given lie in the output folder {output}: give the HQ images")
    jobs: dict[str, Job] = {}
    for image in images:
        for variant in range(variants):
            lq = _lq_name(image, variant if variants > 1 else None, suffix)
            if lq in jobs:
                raise InputError(
                    f"{jobs[lq].name} and {image.name} would both become {lq}: rename one, or "
                    "synthesise them into two folders"
                )
            jobs[lq] = Job(image.name, image.path, lq, variant)
    check_apart(list(jobs.values()), output)
    return list(jobs.values())


def check_apart(jobs: Sequence[Job], output: Path) -> None:
    """Raise InputError when an LQ would be written over one of the HQs."""
    hqs = {os.path.realpath(job.hq) for job in jobs}
    for job in jobs:
        if os.path.realpath(output / job.lq) in hqs:
            raise InputError(
                f"the LQ of {job.label} would replace {output / job.lq}, which is an HQ: give "
                "another folder with -o"
            )


def _lq_name(image: ImageFile, variant: int | None, suffix: str) -> str:
    path = PurePosixPath(image.name)
    number = "" if variant is None else f"_{variant + 1:04d}"
    return str(path.with_name(f"{path.stem}{number}{suffix}"))


class Synthesis:
    """A run over many HQ files, with its output folder and manifest."""

    def __init__(
        self,
        degrader: Degrader,
        settings: Settings,
        output: Path,
        device: torch.device,
        *,
        tile: int | None = None,
        overwrite: bool = False,
    ) -> None:
        self.degrader = degrader
        self.settings = settings
        self.output = output
        self.device = device
        self.tile = tile
        self.overwrite = overwrite
        self.manifest = output / MANIFEST
        self.resumed = self.manifest.exists()
        self.replaced: set[str] = set()
        """LQs that are made again, since another HQ lies where theirs was."""
        self._files: dict[str, Row] = {}

    @property
    def threads(self) -> int:
        """How many jobs to run at a time: a handcrafted degrader keeps one core busy each, a
        network all of them."""
        if isinstance(self.degrader, OmegaDegrader | DmlDegrader) or self.device.type == "mps":
            return 1
        return torch.get_num_threads()

    def pending(self, jobs: Sequence[Job], skip_existing: bool = False) -> list[Job]:
        """Return the jobs that are not done yet, and make the folder ready for them.

        Done is what the manifest says so of and whose file is there, if its HQ is still the same;
        with ``skip_existing`` every file that is there. Raises OutputError when the manifest says
        that a file of a job was made in another way, or from an HQ that lay elsewhere.
        """
        rows = latest(read_manifest(self.manifest)) if self.resumed else {}
        if self.overwrite:
            planned = {job.lq for job in jobs}
            self._rewrite([row for lq, row in rows.items() if lq not in planned])
            return list(jobs)
        todo: list[Job] = []
        for job in jobs:
            there = (self.output / job.lq).is_file()
            if there and skip_existing:
                continue
            row = rows.get(job.lq)
            if row is None or row.get("status") != "ok" or not there:
                todo.append(job)
            else:
                self._check_same(job, row)
                if not self._has_same_hq(job, row):
                    self.replaced.add(job.lq)
                    todo.append(job)
        if self.resumed:
            # What a killed run left of the file it was writing.
            for folder in {(self.output / job.lq).parent for job in jobs}:
                for leftover in folder.glob(".redeg-*"):
                    leftover.unlink(missing_ok=True)
        return todo

    def _check_same(self, job: Job, row: Row) -> None:
        wanted = self._head(job)
        for key, value in wanted.items():
            if key not in _LABELS and row.get(key) != value:
                raise OutputError(
                    f"{self.output / job.lq} was made with {key} {row.get(key)}, now it is "
                    f"{value}: give another folder with -o, or --overwrite"
                )

    def _has_same_hq(self, job: Job, row: Row) -> bool:
        """Return whether the HQ is the one that the row was made of; False if it was replaced.

        It is read only when it was moved or touched, and what is found goes to the row. Raises
        OutputError for another HQ from another place: that one's LQ is not to be lost.
        """
        try:
            state = _file_state(job.hq)
            known = {"hq": os.path.abspath(job.hq), **state}
            if all(row.get(key) == value for key, value in known.items()):
                return True
            digest = _digest(job.hq)
        except OSError:
            return True  # not there to be compared, nor to make the LQ of
        if digest == row.get("hq_digest"):
            self._files[job.lq] = known
            return True
        if row.get("hq") == known["hq"]:
            return False
        raise OutputError(
            f"{self.output / job.lq} was made of another image, {row.get('hq')}, not of {job.hq}: "
            "give another folder with -o, or --overwrite"
        )

    def _head(self, job: Job) -> Row:
        head: Row = {"lq": job.lq, "hq": os.path.abspath(job.hq), "name": job.name}
        head["variant"] = job.variant
        return head | asdict(self.settings)

    def run(self, job: Job, writer: ManifestWriter, on_progress: OnProgress | None = None) -> Row:
        """Make one LQ, write it and its row; return the row. A failure is a row too.

        Raises DiskFullError when there is no use in going on.
        """
        try:
            source = _check_file(job)
            rgb, record = self.make(job, on_progress)
            self._store(job, rgb)
        except DiskFullError:
            raise
        except Exception as error:
            message = " ".join(str(error).split()) or type(error).__name__
            writer.write({**self._head(job), "status": "failed", "message": message})
            raise
        size = [rgb.shape[1], rgb.shape[0]]
        row = {**self._head(job), **source, "status": "ok", "size": size}
        row["record"] = record
        writer.write(row)
        return row

    def make(self, job: Job, on_progress: OnProgress | None = None) -> tuple[np.ndarray, Record]:
        """Return the LQ (h, w, 3) in [0, 1] of a job and the record it was drawn by.

        Sides that are no multiple of the scale s are grown to one by repeating the border: the
        native LQ is ceil(H / s) x ceil(W / s), the aligned LQ has the HQ's size.
        """
        photo = read_photo(job.hq)
        require_size(photo, MINIMUM, str(job.hq))
        hq, s = to_tensor(photo.rgb), self.settings.scale
        height, width = hq.shape[2:]
        hq = F.pad(hq, (0, -width % s, 0, -height % s), mode="replicate")
        record = job.record
        if record is None:
            record = self.degrader.draw(sample_seed(self.settings.seed, job.name, job.variant))
        if isinstance(self.degrader, OmegaDegrader):
            lq = self.degrader.apply_large(
                hq, record, self.device, tile=self.tile, on_progress=on_progress
            )
        else:
            lq = self._apply(hq, record)
            lq = to_aligned(lq, s) if self.settings.aligned else lq
        if self.settings.aligned:
            lq = lq[:, :, :height, :width]
        return to_array(lq), record

    @torch.no_grad()
    def _apply(self, hq: torch.Tensor, record: Record) -> torch.Tensor:
        try:
            return self.degrader.apply(hq.to(self.device), [record]).cpu()
        except Exception as error:
            if self.device.type == "cpu" or not is_out_of_memory(error):
                raise
        free_memory(self.device)
        return self.degrader.apply(hq, [record])

    def _store(self, job: Job, rgb: np.ndarray) -> None:
        """Write one LQ. A file that is there without a row may stay only if it is the very same:
        then the run was killed between the file and its row. Raises OutputError otherwise."""
        path = self.output / job.lq
        if self.overwrite or job.lq in self.replaced or not path.exists():
            write_rgb(path, rgb)
            return
        if self.resumed:
            with TemporaryDirectory() as folder:
                again = Path(folder) / f"again{path.suffix}"
                write_rgb(again, rgb)
                if again.read_bytes() == path.read_bytes():
                    return
        raise OutputError(f"{path} exists; give --overwrite to replace it")

    def finish(self, jobs: Sequence[Job]) -> list[Row]:
        """Leave one row per LQ in the manifest, those of ``jobs`` in their order, and return them.

        Failures that were made good are forgotten, so that a run that was stopped and started
        again ends with the manifest of one that was not.
        """
        written = read_manifest(self.manifest)
        rows = latest(written)
        for lq, known in self._files.items():
            rows[lq] = rows[lq] | known
        planned = [rows.pop(job.lq) for job in jobs if job.lq in rows]
        if [*rows.values(), *planned] != written:
            self._rewrite([*rows.values(), *planned])
        return planned

    def _rewrite(self, rows: Iterable[Mapping[str, Any]]) -> None:
        with atomic_path(self.manifest) as temporary, ManifestWriter(temporary) as writer:
            for row in rows:
                writer.write(row)


def _check_file(job: Job) -> Row:
    """Return what a row says of the HQ's file. Raises InputError when it is not the one it must
    be."""
    try:
        state = _file_state(job.hq)
        digest = _digest(job.hq)
    except OSError as error:
        raise InputError(f"cannot read {job.hq}: {error.strerror or error}") from error
    if job.hq_digest not in (None, digest):
        raise InputError(f"{job.hq} has changed since the manifest was written")
    return {"hq_digest": digest, **state}


def _digest(path: Path) -> str:
    return hashlib.blake2b(path.read_bytes(), digest_size=8).hexdigest()


def _file_state(path: Path) -> Row:
    """Return what shows, without reading it, that a file is probably as it was."""
    status = path.stat()
    return {"hq_bytes": status.st_size, "hq_mtime_ns": status.st_mtime_ns}


def latest(rows: Iterable[Row]) -> dict[str, Row]:
    """Return the last row of each LQ, in the order in which the LQs first came."""
    found: dict[str, Row] = {}
    for row in rows:
        with suppress(KeyError):  # a row of something else
            found[row["lq"]] = row
    return found
