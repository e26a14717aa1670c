"""The LQs that are to be made, and what all of a run share."""

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from posixpath import splitext
from typing import TypeVar

from redeg_cli.errors import InputError
from redeg_cli.io.listing import ImageFile, RealPaths, expand_inputs, file_key, list_images
from redeg_cli.progress import OnProgress, no_progress
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


@dataclass(frozen=True, slots=True)  # of which there may be millions
class Job:
    """One LQ to make."""

    name: str
    """The HQ's name in its listing: decides the seed."""
    hq: Path
    lq: str
    """Relative to the output folder, with forward slashes."""
    variant: int
    record: str | None = None
    """The record to apply, as JSON, if none is to be drawn."""
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


Named = TypeVar("Named", ImageFile, Job)


def take_shard(items: Sequence[Named], number: int, count: int) -> list[Named]:
    """Return the ``number``-th, from 1 on, of ``count`` parts of a set, to be made apart.

    An image's name alone decides its part, so it stays there when others come or go, and all
    variants of an HQ are made in one place.
    """
    # No image is degraded with variant -1: the part says nothing of what is drawn.
    return [each for each in items if sample_seed(0, each.name, -1) % count == number - 1]


def plan(
    inputs: Sequence[Path],
    output: Path,
    variants: int,
    suffix: str,
    *,
    pairs: bool = False,
    part: tuple[int, int] | None = None,
    on_progress: OnProgress = no_progress,
) -> list[Job]:
    """Return the LQs to make: one per HQ, or ``variants`` of each, numbered from 0001.

    In a set of ``pairs`` they go to ``lq`` and their HQs, by the same names, to ``hq``. Of a set
    in parts only those of ``part``, see ``take_shard``, are returned.
    The folder tree of the inputs is kept; pictures in an output folder that lies inside an input
    are no inputs, unless they were given by a path of their own. Raises InputError when there is
    nothing to do, two LQs would share a name, or an LQ that of an HQ.
    """
    images = _outside(inputs, output, list_images(inputs, on_progress=on_progress))
    if not images:
        raise InputError(f"all images given lie in the output folder {output}: give the HQ images")
    numbers = [f"_{variant + 1:04d}" for variant in range(variants)] if variants > 1 else [""]
    stems: dict[str, ImageFile] = {}
    for image in images:  # equal names are equal for all variants, and in whatever part
        stem = splitext(image.name)[0]
        other = stems.setdefault(file_key(stem), image)
        if other is not image:
            raise InputError(
                f"{other.name} and {image.name} would both become {stem}{numbers[0]}{suffix}: "
                "rename one, or synthesise them into two folders"
            )
    jobs: list[Job] = []
    for image in images if part is None else take_shard(images, *part):
        stem = splitext(image.name)[0]
        for variant, number in enumerate(numbers):
            lq, pair = f"{stem}{number}{suffix}", None
            if pairs:
                lq, pair = f"lq/{lq}", f"hq/{stem}{number}.png"
            jobs.append(Job(image.name, image.path, lq, variant, pair=pair))
    check_apart(jobs, output, {image.real for image in images})
    return jobs


def _outside(
    inputs: Sequence[Path], output: Path, images: Sequence[ImageFile]
) -> Sequence[ImageFile]:
    """Return the images that are not in the output folder, or were named all the same."""
    inside = os.path.join(file_key(output.resolve()), "")
    named = {file_key(each.resolve()) for each in expand_inputs(inputs)}
    named = {each for each in named if each.startswith(inside)}
    return [
        image
        for image in images
        if not file_key(image.real).startswith(inside)
        or not named.isdisjoint(map(file_key, (image.real, *Path(image.real).parents)))
    ]


def check_apart(jobs: Sequence[Job], output: Path, hqs: Collection[str] | None = None) -> None:
    """Raise InputError when an LQ, or the HQ of a pair, would be written over one of the HQs:
    ``hqs``, without links, by themselves those of the jobs."""
    real_path = RealPaths()
    if hqs is None:
        hqs = {real_path(job.hq) for job in jobs}
    hqs = {file_key(hq) for hq in hqs}
    folder = str(output)
    for job in jobs:
        for kind, name in zip(("LQ", "HQ"), job.files, strict=False):
            if file_key(real_path(os.path.join(folder, name))) in hqs:
                raise InputError(
                    f"the {kind} of {job.label} would replace {output / name}, which is an HQ: "
                    "give another folder with -o"
                )
