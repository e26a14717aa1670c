"""The LQs that are to be made, and what all of a run share."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from redeg_cli.degrade.base import Record
from redeg_cli.errors import InputError
from redeg_cli.io.listing import ImageFile, expand_inputs, file_key, list_images
from redeg_cli.seeds import sample_seed


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
    """The file of the pool (of Ωs or kernels), or of the photo's adapted SynNet."""
    pool_digest: str | None = None
    model: str | None = None
    fingerprint: str | None = None
    noise: str | None = None
    """The file of the pool of noise."""
    noise_digest: str | None = None
    jpeg: str | None = None
    """How a kernel-noise degrader compresses: auto, none or a quality."""


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
    tile: int | None = None
    """Side of the tiles that it is to be cut into, if it matters."""
    pair: str | None = None
    """In a set of pairs where the HQ of the LQ goes, relative to the output folder."""

    @property
    def files(self) -> list[str]:
        """Names of what is written, relative to the output folder."""
        return [self.lq] if self.pair is None else [self.lq, self.pair]

    @property
    def label(self) -> str:
        """What the job is called in messages: the HQ's name, and the variant beyond the first."""
        return f"{self.name} (variant {self.variant + 1})" if self.variant else self.name


def take_shard(jobs: Sequence[Job], number: int, count: int) -> list[Job]:
    """Return the ``number``-th, from 1 on, of ``count`` parts of a set, to be made apart.

    An image's name alone decides its part, so it stays there when others come or go, and all
    variants of an HQ are made in one place.
    """
    # No image is degraded with variant -1: the part says nothing of what is drawn.
    return [job for job in jobs if sample_seed(0, job.name, -1) % count == number - 1]


def plan(
    inputs: Sequence[Path], output: Path, variants: int, suffix: str, pairs: bool = False
) -> list[Job]:
    """Return the LQs to make: one per HQ, or ``variants`` of each, numbered from 0001.

    In a set of ``pairs`` they go to ``lq`` and their HQs, by the same names, to ``hq``.
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
            if (key := file_key(lq)) in jobs:
                raise InputError(
                    f"{jobs[key].name} and {image.name} would both become {lq}: rename one, or "
                    "synthesise them into two folders"
                )
            job = Job(image.name, image.path, lq, variant)
            if pairs:
                hq = PurePosixPath("hq", lq).with_suffix(".png")
                job = replace(job, lq=f"lq/{lq}", pair=str(hq))
            jobs[key] = job
    check_apart(list(jobs.values()), output)
    return list(jobs.values())


def check_apart(jobs: Sequence[Job], output: Path) -> None:
    """Raise InputError when an LQ, or the HQ of a pair, would be written over one of the HQs."""
    hqs = {os.path.realpath(job.hq) for job in jobs}
    for job in jobs:
        for kind, name in (("LQ", job.lq), ("HQ", job.pair)):
            if name is not None and os.path.realpath(output / name) in hqs:
                raise InputError(
                    f"the {kind} of {job.label} would replace {output / name}, which is an HQ: "
                    "give another folder with -o"
                )


def _lq_name(image: ImageFile, variant: int | None, suffix: str) -> str:
    path = PurePosixPath(image.name)
    number = "" if variant is None else f"_{variant + 1:04d}"
    return str(path.with_name(f"{path.stem}{number}{suffix}"))
