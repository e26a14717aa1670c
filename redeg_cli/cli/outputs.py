"""What is written where: checked before any work."""

import os
from pathlib import Path

import typer

from redeg_cli.errors import OutputError


def check_folder(output: Path, *, only_folder: bool = False) -> None:
    """Raise OutputError, before any work, when nothing can be written to ``output``.

    ``output`` is a folder or, unless ``only_folder``, a file; it may not exist yet; nothing is
    made.
    """
    place = output.absolute()
    # Not Path's own, which raise for a name that is too long or in a folder that is closed.
    if os.path.isfile(place) and place.suffix and not only_folder:
        place = place.parent  # a file to be replaced
    while not os.path.exists(place) and place != place.parent:
        place = place.parent
    if not os.path.isdir(place):
        raise OutputError(f"cannot write to {output}: {place} is a file, not a folder")
    if not os.access(place, os.W_OK | os.X_OK):
        raise OutputError(f"cannot write to {output}: no permission to write in {place}")


def refuse_file_name(folder: Path) -> None:
    """Raise BadParameter when ``folder``, for several files, has the name of a picture file."""
    from redeg_cli.io.images import names_picture

    if names_picture(folder):
        raise typer.BadParameter(
            f"{folder} is a file name, and several files are written: give a folder",
            param_hint="-o",
        )


def check_pool(output: Path, overwrite: bool) -> None:
    """Raise BadParameter for a pool that is not to be called .npz, OutputError when ``output``
    cannot be written."""
    from redeg_cli.io.files import ensure_writable

    if output.suffix.lower() != ".npz" and not os.path.isdir(output):
        raise typer.BadParameter(
            f"{output}: a pool is a .npz file: name it {output.with_suffix('.npz')}",
            param_hint="-o",
        )
    check_folder(output)
    ensure_writable(output, overwrite)
