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
    Photos of one name (a scan and a smaller copy, 1.tif and 1.jpg) share the mask; one that it does
    not fit fails for its size. Raises InputError when there is no mask, or two for a photo,
    BadParameter for one file and several photos.
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
    masks: dict[str, list[Path]] = {}
    for mask in list_images([given]):
        masks.setdefault(_stem(mask.name), []).append(mask.path)
    found: dict[Path, Path] = {}
    for photo in photos:
        fitting = masks.get(_stem(photo.name), [])
        if len(fitting) > 1:
            both = f"{fitting[0]} and {fitting[1]}"
            raise InputError(f"{both} are both masks of {photo.name}: keep one of them")
        if fitting:
            found[photo.path] = fitting[0]
    if not found:
        raise InputError(f"no mask in {given} has the name of a photo: {photos[0].name}, ...")
    used = set(found.values())
    for mask in (mask for group in masks.values() for mask in group if mask not in used):
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
