"""``redeg build-kernels``: real LR images in, the blur kernels they were made with out."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from redeg_cli.cli.common import (
    DeviceOption,
    JsonOption,
    Outcome,
    OverwriteOption,
    SeedOption,
    progress,
)
from redeg_cli.cli.messages import counted, emit_json, emit_path, say, tell
from redeg_cli.cli.outputs import check_pool
from redeg_cli.errors import InputError, OutputError, RedegError, one_line

if TYPE_CHECKING:
    import numpy as np

    from redeg_cli.io.listing import ImageFile

FLAT = 1.0
"""Deviation of an image in levels from 0 to 255 under which it shows no kernel."""


def build_kernels(
    images: Annotated[
        list[Path],
        typer.Argument(help="Real LR images, or folders of them.", readable=False),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The pool to write (.npz).")],
    count: Annotated[
        int | None,
        typer.Option(
            "--count",
            "-n",
            min=1,
            help="Estimate at most this many kernels, of images evenly over all. Default: of all.",
            show_default=False,
        ),
    ] = None,
    steps: Annotated[
        int, typer.Option("--steps", min=10, help="Training steps of each generator.")
    ] = 1000,
    batch: Annotated[
        int | None,
        typer.Option(
            "--batch",
            min=1,
            help="Images estimated at once. Default: 8 on a CPU, 128 on a GPU.",
            show_default=False,
        ),
    ] = None,
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Estimate the blur kernel of each image from itself alone (KernelGAN), into a pool.

    The kernels are those of shrinking by 2; scale 4 is worked out from them. Images of at least
    64x64 pixels, with detail in them.
    """
    import numpy as np

    from redeg_cli.cli.estimated_pools import kernel_summary
    from redeg_cli.degrade.kernel_pool import estimated_pool
    from redeg_cli.device import pick_device
    from redeg_cli.io.listing import list_images
    from redeg_cli.train.kernelgan import Settings, estimate_kernels

    place = pick_device(device)
    check_pool(output, overwrite)
    files = list_images(images)
    if count is not None and count < len(files):
        chosen = np.linspace(0, len(files) - 1, count).round().astype(int)
        files = [files[index] for index in chosen]
    batch = batch or (8 if place.type == "cpu" else 128)
    settings = Settings(steps=steps)
    noted = {**vars(settings), "seed": seed}
    outcome, kernels, names = Outcome(), [], []
    with (
        progress("estimating kernels") as on_progress,
        _kept(output, kernels, names, noted, outcome),
    ):
        for first in range(0, len(files), batch):
            part = files[first : first + batch]

            def within(done: int, total: int, text: str = "", first: int = first) -> None:
                share = min(batch, len(files) - first) * done / total
                on_progress(round(1000 * (first + share)), 1000 * len(files), text)

            usable = _readable(part, outcome)
            if usable:
                found = estimate_kernels(
                    list(usable.values()), list(usable), settings, seed, place, within
                )
                for name, kernel in zip(usable, found, strict=True):
                    if np.isfinite(kernel).all():
                        kernels.append(kernel)
                        names.append(name)
                    else:
                        message = f"the kernel of {name} did not settle: another --seed may help"
                        outcome.failed.append((name, message))
    outcome.done = len(kernels)
    if kernels:
        pool = estimated_pool(kernels, names, noted)
        pool.save(output)
        summary = kernel_summary(output, pool)
        say(f"{counted(len(pool), 'kernel')}, {summary['text']}")
        if as_json:
            failed = [{"name": name, "message": message} for name, message in outcome.failed]
            emit_json({**summary, "failed": failed})
        else:
            emit_path(output)
    outcome.finish()


@contextmanager
def _kept(
    output: Path,
    kernels: "list[np.ndarray]",
    names: list[str],
    noted: dict[str, Any],
    outcome: Outcome,
) -> Iterator[None]:
    """When anything ends the work within, write what there is, a kernel takes many seconds, and
    name the images that gave none."""
    from redeg_cli.degrade.kernel_pool import estimated_pool

    try:
        yield
    except BaseException:
        outcome.tell_failures()
        if kernels:
            try:
                estimated_pool(kernels, names, noted).save(output)
                say(f"the {len(kernels)} kernels estimated so far are in {output}")
            except OutputError as error:
                tell(f"error: {one_line(error)}")
        raise


def _readable(files: "list[ImageFile]", outcome: Outcome) -> "dict[str, np.ndarray]":
    """Return the images (H, W, 3) by name that a kernel can be estimated of; note the others."""
    from redeg_cli.io.images import read_photo, require_size
    from redeg_cli.train.kernelgan import CROP

    found = {}
    for file in files:
        try:
            photo = read_photo(file.path)
            require_size(photo, CROP, file.name)
            if 255 * photo.rgb.std((0, 1)).max() < FLAT:
                raise InputError(f"{file.name} is flat: there is no detail to see a kernel by")
            found[file.name] = photo.rgb
        except RedegError as error:
            outcome.failed.append((file.name, one_line(error)))
    return found
