"""``--mask``: which places of which photo are filled before anything else is done."""

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated

import typer

from redeg_cli.cli.messages import say, warn
from redeg_cli.errors import InputError

if TYPE_CHECKING:
    from redeg_cli.io.images import Photo
    from redeg_cli.io.listing import ImageFile

MaskOption = Annotated[
    Path | None,
    typer.Option(
        "--mask",
        help="Scratches, tears, stains: a picture of the photo's size, white where they are, or "
        "painted on a transparent layer. They are filled from around them first. For several "
        "photos a folder of masks, named as the photos.",
        show_default=False,
    ),
]


def find_masks(given: Path | None, photos: Sequence["ImageFile"]) -> Mapping[Path, Path]:
    """Return the mask of each photo that has one, by the photo's path.

    Those of a folder are matched by their name without suffix, and what fits no photo is told.
    Raises InputError when there is none, BadParameter for one file and several photos.
    """
    from redeg_cli.io.listing import list_images

    if given is None:
        return {}
    if not given.is_dir():
        if len(photos) != 1:
            raise typer.BadParameter(
                f"{given} is one mask, and there are {len(photos)} photos: give a folder of masks",
                param_hint="--mask",
            )
        return {photos[0].path: given}
    masks = {_stem(mask.name): mask.path for mask in list_images([given])}
    found = {
        photo.path: masks.pop(_stem(photo.name)) for photo in photos if _stem(photo.name) in masks
    }
    if not found:
        raise InputError(f"no mask in {given} has the name of a photo: {photos[0].name}, ...")
    for mask in masks.values():
        warn(f"the mask {mask} is left out: no photo has its name")
    return found


def filled(photo: "Photo", name: str, mask: Path | None, *, tell: bool = True) -> "Photo":
    """Return ``photo`` with what its mask marks filled, and ``tell`` how much that is."""
    if mask is None:
        return photo
    from redeg_cli.restore.scratches import fill_marked, read_mask

    marked = read_mask(mask, photo)
    if tell:
        say(f"{name}: {marked.mean():.1%} of it is marked, and filled from around it")
    return fill_marked(photo, marked)


def _stem(name: str) -> str:
    return str(PurePosixPath(name).with_suffix(""))
