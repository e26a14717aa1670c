"""An LQ for each of many HQ files, and the manifest that says how each was made.

In a set of pairs, of which the HQs lie beside the LQs, they are cut to multiples of the scale.

Every file depends on its own seed and nothing else, so a run that was killed at any moment and
started again leaves the same files, and the same manifest, as one that was not.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
import torch.nn.functional as F

from redeg_cli.degrade.base import Degrader, Record
from redeg_cli.degrade.dml import DmlDegrader
from redeg_cli.degrade.resize import to_aligned
from redeg_cli.device import device_memory, files_at_once, free_memory, is_out_of_memory
from redeg_cli.errors import DiskFullError, InputError, OutputError
from redeg_cli.io.decode import read_bytes, upright_size
from redeg_cli.io.files import flush_to_disk
from redeg_cli.io.images import Photo, read_photo, require_size, to_array, to_tensor, write_rgb
from redeg_cli.io.manifest import ManifestWriter
from redeg_cli.memory import Room, available_memory
from redeg_cli.omega.learned import OmegaDegrader
from redeg_cli.progress import OnProgress
from redeg_cli.restore.tiles import SMALLEST_TILE, default_tile, tile_of
from redeg_cli.run.beside import check_beside, first_difference
from redeg_cli.run.finished import FAILED, Known, Row, read_known, read_rows, tidy
from redeg_cli.run.jobs import Job, Settings
from redeg_cli.run.partners import Partners, cut_to_fit
from redeg_cli.run.source import digest_of, file_state, read_source
from redeg_cli.seeds import sample_seed

MANIFEST = "manifest.jsonl"
_REPLACING = "replacing"
"""Status of an LQ that a run was to replace, and has not yet."""
_PIXEL_BYTES = 160
"""Of memory that making an LQ takes for each pixel of its HQ: 155 were measured, with the process
itself (``bsrgan``, 12 megapixels)."""
MINIMUM = 16
"""Least side of an HQ in pixels."""


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
        """The side of the tiles that was asked for, if any."""
        self.overwrite = overwrite
        self.manifest = output / MANIFEST
        self.resumed = self.manifest.exists()
        self.replaced: set[str] = set()
        """LQs that are made again, since another HQ lies where theirs was."""
        self.others: tuple[int, str] | None = None
        """How many LQs of other HQs and settings the folder holds, and how the first was made."""
        self.changed: set[str] = set()
        """LQs that are made again, since a file has another size than when it was written."""
        self.uneven: set[str] = set()
        """HQs whose sides are no multiples of the scale, so that native LQs are rounded up."""
        self._settings = asdict(settings)  # once: a set may have millions of rows
        self._folder = str(output)
        self._partners = Partners(output)
        self._replaceable: set[str] = set()
        self._files: dict[str, Row] = {}
        self._tile = tile or default_tile(device)
        self._room = Room(available_memory())
        self._device_room = Room(device_memory(device))

    @property
    def threads(self) -> int:
        """How many jobs to run at a time: a handcrafted degrader keeps one core busy each."""
        if isinstance(self.degrader, OmegaDegrader):
            return files_at_once(self.device)
        if isinstance(self.degrader, DmlDegrader) or self.device.type == "mps":
            return 1
        return torch.get_num_threads()

    def pending(self, jobs: Sequence[Job], skip_existing: bool = False) -> list[Job]:
        """Return the jobs that are not done yet, and make the folder ready for them.

        Done is what the manifest says so of and whose file is there, of the size that it was
        written in, if its HQ is still the same; with ``skip_existing`` every file that is there.
        With ``overwrite`` nothing is, except what a run that was to overwrite these files, and was
        killed, had replaced already. Raises
        OutputError when the manifest says that a file of a job was made in another way, or from
        an HQ that lay elsewhere, and when another file of the same HQ would stay beside the new
        ones, see ``check_beside``.
        """
        rows, _ = read_known(self.manifest)
        if all(job.record is None for job in jobs):  # a replayed set is as it was
            self.others = check_beside(rows, jobs, self.settings, self.output)
        begun = any(job.lq in rows and rows[job.lq].status == _REPLACING for job in jobs)
        if self.overwrite and not begun:
            self._mark(rows, jobs)
        else:
            self._tile = self._tile_of(rows) or self._tile
        todo: list[Job] = []
        for job in jobs:
            # Also if the name is too long for a file.
            there = all(os.path.isfile(self._place(name)) for name in job.files)
            if there and skip_existing:
                continue
            row = rows.get(job.lq)
            if row is None or row.status != "ok" or not there:
                todo.append(job)
                if row is not None and row.status == _REPLACING:
                    self._replaceable.add(job.lq)
            elif self.overwrite:
                if not (begun and self._difference(job, row) is None and self._is_of(job, row)):
                    todo.append(job)
            else:
                self._check_same(job, row)
                if not self._is_of(job, row):
                    self._check_place(job, row)
                    self.replaced.add(job.lq)
                    todo.append(job)
                elif not self._is_whole(job, row):
                    self.changed.add(job.lq)
                    todo.append(job)
                elif job.pair is not None:
                    self._partners.remember(job.hq, job.pair)
        self._replaceable |= self.replaced | self.changed
        if self.resumed:
            # What a killed run left of the file it was writing.
            names = (name for job in jobs for name in job.files)
            for folder in {self._folder, *(os.path.dirname(self._place(name)) for name in names)}:
                for leftover in Path(folder).glob(".redeg-*"):
                    leftover.unlink(missing_ok=True)
        return todo

    def _place(self, name: str) -> str:
        return os.path.join(self._folder, name)

    def _mark(self, rows: Mapping[str, Known], jobs: Sequence[Job]) -> None:
        """Note in the manifest which files are about to be replaced, so that a run that is killed
        can be carried on: what their rows say may not be so any more."""
        with ManifestWriter(self.manifest, append=True) as writer:
            for job in jobs:
                if job.lq in rows or any(map(os.path.exists, map(self._place, job.files))):
                    writer.write({"lq": job.lq, "status": _REPLACING})

    def _difference(self, job: Job, row: Known) -> str | None:
        """Return the name of a setting that the row was not made with."""
        made, wanted = _made(row), self._head(job)
        return first_difference(made, wanted) or self._cut_otherwise(job, row)

    def _check_same(self, job: Job, row: Known) -> None:
        key = self._difference(job, row)
        if key is not None:
            raise OutputError(
                f"{self.output / job.lq} was made with {key} {_made(row)[key]}, now it is "
                f"{self._head(job)[key]}: give another folder with -o, or --overwrite"
            )

    def _tile_of(self, rows: Mapping[str, Known]) -> int | None:
        """Return the tile of the files that are there: one set has one, on whatever device."""
        same = (row for row in rows.values() if row.status == "ok" and row.tile is not None)
        return next(
            (row.tile for row in same if first_difference(row.settings, self._settings) is None),
            None,
        )

    def _tile_for(self, job: Job) -> int | None:
        """Return the tile that a job begins with; None where pictures are not cut."""
        if not isinstance(self.degrader, OmegaDegrader):
            return None
        return self.tile or job.tile or self._tile

    def _cut_otherwise(self, job: Job, row: Known) -> str | None:
        """Return "tile" if the row's picture was cut in another way than it would be now."""
        now = self._tile_for(job)
        if now is None or None in (row.tile, row.size) or now == row.tile:
            return None
        assert row.tile is not None
        assert row.size is not None
        longest = max(row.size) * (1 if self.settings.aligned else self.settings.scale)
        # Networks may grow a picture by some pixels before it is cut.
        return "tile" if longest + SMALLEST_TILE > min(now, row.tile) else None

    def _is_of(self, job: Job, row: Known) -> bool:
        """Return whether the row was made of the job's HQ.

        That is read only when it was moved or touched, and what is found goes to the row.
        """
        try:
            known = {"hq": os.path.abspath(job.hq), **file_state(job.hq)}
            if all(getattr(row, key) == value for key, value in known.items()):
                return True
            if digest_of(read_bytes(job.hq)) != row.hq_digest:
                return False
        except OSError:
            return True  # not there to be compared, nor to make the LQ of
        except InputError:
            return False  # there, but nothing that can be read: told when the LQ is made
        self._files[job.lq] = known
        return True

    def _is_whole(self, job: Job, row: Known) -> bool:
        """Return whether the files have the sizes that they were written in. They are not forced to
        the disk one by one, so a power cut may leave less of them than of their rows."""
        sizes = zip(job.files, (row.lq_bytes, row.pair_bytes), strict=False)
        return all(size in (None, os.stat(self._place(name)).st_size) for name, size in sizes)

    def _check_place(self, job: Job, row: Known) -> None:
        """Refuse another HQ from another place: the LQ of the first is not to be lost."""
        if row.hq != os.path.abspath(job.hq):
            raise OutputError(
                f"{self.output / job.lq} was made of another image, {row.hq}, not of {job.hq}: "
                "give another folder with -o, or --overwrite"
            )

    def _head(self, job: Job) -> Row:
        head: Row = {"lq": job.lq, "hq": os.path.abspath(job.hq), "name": job.name}
        head["variant"] = job.variant
        if job.pair is not None:
            head["pair"] = job.pair
        return head | self._settings | {"tile": self._tile_for(job)}

    def run(self, job: Job, writer: ManifestWriter, on_progress: OnProgress | None = None) -> Row:
        """Make one LQ, write it and its row; return the row. A failure is a row too.

        Raises DiskFullError when there is no use in going on.
        """
        try:
            data, source = read_source(job)
            height, width = upright_size(job.hq, data)
            with self._room.taken(height * width * _PIXEL_BYTES):
                photo = self._read(job, data)
                rgb, record, used = self.make(job, photo, on_progress)
                self._store(job, job.lq, lambda path: write_rgb(path, rgb, durable=False))
                self._store_hq(job, photo, (height, width) == photo.rgb.shape[:2])
        except DiskFullError:
            raise
        except Exception as error:
            message = " ".join(str(error).split()) or type(error).__name__
            writer.write({**self._head(job), "status": FAILED, "message": message})
            raise
        size = [rgb.shape[1], rgb.shape[0]]
        row = {**self._head(job), **source, "status": "ok", "size": size}
        row["lq_bytes"] = os.stat(self._place(job.lq)).st_size
        if job.pair is not None:
            row["pair_bytes"] = os.stat(self._place(job.pair)).st_size
        if used not in (None, row["tile"]):
            row["tile_used"] = used  # there was no memory for larger ones
        row["record"] = record
        writer.write(row)
        return row

    def _read(self, job: Job, data: bytes) -> Photo:
        """Return a job's HQ, cut to fit if it is one of a pair."""
        photo = read_photo(job.hq, data=data)
        require_size(photo, MINIMUM, str(job.hq))
        if job.pair is not None:
            photo = cut_to_fit(photo, self.settings.scale)
            require_size(photo, MINIMUM, str(job.hq))
        uneven = any(side % self.settings.scale for side in photo.rgb.shape[:2])
        if uneven and not self.settings.aligned and job.record is None:
            self.uneven.add(job.name)
        return photo

    def make(
        self, job: Job, photo: Photo, on_progress: OnProgress | None = None
    ) -> tuple[np.ndarray, Record, int | None]:
        """Return the LQ (h, w, 3) in [0, 1] of a job's HQ, the record it was drawn by, and the side
        of the tiles it was cut into, None if it was not cut.

        Sides that are no multiple of the scale s are grown to one by repeating the border: the
        native LQ is ceil(H / s) x ceil(W / s), the aligned LQ has the HQ's size.
        """
        hq, s = to_tensor(photo.rgb), self.settings.scale
        height, width = hq.shape[2:]
        hq = F.pad(hq, (0, -width % s, 0, -height % s), mode="replicate")
        if job.record is None:
            record = self.degrader.draw(sample_seed(self.settings.seed, job.name, job.variant))
        else:
            record = json.loads(job.record)
        used: int | None = None

        def watch(done: int, total: int, text: str = "") -> None:
            nonlocal used
            used = tile_of(text)
            if on_progress is not None:
                on_progress(done, total, text)

        if isinstance(self.degrader, OmegaDegrader):
            lq = self.degrader.apply_large(
                hq, record, self.device, tile=self._tile_for(job), on_progress=watch
            )
        else:
            lq = self._apply(hq, record)
            lq = to_aligned(lq, s) if self.settings.aligned else lq
        if self.settings.aligned:
            lq = lq[:, :, :height, :width]
        return to_array(lq), record, used

    @torch.no_grad()
    def _apply(self, hq: torch.Tensor, record: Record) -> torch.Tensor:
        height, width = hq.shape[2:]
        # Where the device has too little memory, alone on it; then on the CPU, a level off perhaps.
        for wanted in (height * width * _PIXEL_BYTES, sys.maxsize):
            try:
                with self._device_room.taken(wanted):
                    return self.degrader.apply(hq.to(self.device), [record]).cpu()
            except Exception as error:
                fixed = self.device.type == "cpu" or isinstance(self.degrader, DmlDegrader)
                if fixed or not is_out_of_memory(error):
                    raise
            free_memory(self.device)
        return self.degrader.apply(hq, [record])

    def _store_hq(self, job: Job, photo: Photo, whole: bool) -> None:
        """Write the HQ beside an LQ, if there is to be one."""
        if job.pair is None:
            return
        with self._partners.lock(job.hq):
            self._store(
                job, job.pair, lambda path: self._partners.write(path, job.hq, photo, whole)
            )
            self._partners.remember(job.hq, job.pair)

    def _store(self, job: Job, name: str, write: Callable[[Path], None]) -> None:
        """Write one file of a job. One that is there without a row may stay only if it is the very
        same: then the run was killed between the file and its row. After a power cut it may be
        empty or cut off, and is written again. Raises OutputError otherwise."""
        path = self.output / name
        if self.overwrite or job.lq in self._replaceable or not os.path.exists(path):
            write(path)
            return
        if self.resumed:
            with TemporaryDirectory() as folder:
                again = Path(folder) / f"again{path.suffix}"
                write(again)
                made, there = again.read_bytes(), path.read_bytes()
            if made.startswith(there):
                if made != there:
                    write(path)
                return
        raise OutputError(f"{path} exists; give --overwrite to replace it")

    def finish(self, jobs: Sequence[Job]) -> None:
        """Leave one row per LQ in the manifest, those of ``jobs`` in their order.

        Failures that were made good are forgotten, so that a run that was stopped and started
        again ends with the manifest of one that was not.
        """
        tidy(self.manifest, [job.lq for job in jobs], self._files)
        flush_to_disk(self.manifest)

    def rows(self, jobs: Sequence[Job]) -> list[Row]:
        """Return the rows of ``jobs`` as the manifest has them."""
        known, _ = read_known(self.manifest)
        return list(read_rows(self.manifest, [known[job.lq] for job in jobs if job.lq in known]))


def _made(row: Known) -> Row:
    return {"name": row.name, "variant": row.variant, **row.settings, "tile": row.tile}
