"""The HQs that a set of pairs puts beside its LQs."""

import threading
from dataclasses import replace
from pathlib import Path

from redeg_cli.io.files import link_or_copy
from redeg_cli.io.images import Photo, write_rgb

_LOCKS = 64
"""Images of which one thread at a time writes the HQ; more than there are threads."""


def cut_to_fit(photo: Photo, scale: int) -> Photo:
    """Return a photo without what is over at the right and the bottom of multiples of ``scale``."""
    height, width = (side // scale * scale for side in photo.rgb.shape[:2])
    if photo.rgb.shape[:2] == (height, width):
        return photo
    alpha = None if photo.alpha is None else photo.alpha[:height, :width]
    return replace(photo, rgb=photo.rgb[:height, :width], alpha=alpha)


class Partners:
    """Writes the HQ of each pair, the same for all variants of an image."""

    def __init__(self, output: Path) -> None:
        self._output = output
        self._written: dict[Path, str] = {}  # names that the jobs hold: there may be millions
        self._locks = [threading.Lock() for _ in range(_LOCKS)]

    def lock(self, hq: Path) -> threading.Lock:
        """Return what is to be held while the HQ of one of the image's pairs is written."""
        return self._locks[hash(hq) % _LOCKS]

    def remember(self, hq: Path, name: str) -> None:
        """Take a file of the output folder for the image's HQ as it is in its pairs."""
        self._written.setdefault(hq, name)

    def write(self, path: Path, hq: Path, photo: Photo, whole: bool) -> None:
        """Write the HQ of a pair, ``photo``, which is the image ``hq``; ``whole`` if nothing was
        cut off.

        A PNG that every reader takes for these very pixels is linked to, or copied where the file
        system has no links. So is what was written for another variant. All else becomes a PNG in
        colour, as the LQs are, without metadata. Raises OutputError.
        """
        if whole and _is_plain(hq, photo):
            link_or_copy(hq, path)
        elif hq in self._written:
            link_or_copy(self._output / self._written[hq], path)
        else:
            write_rgb(path, photo.rgb, bit_depth=photo.bit_depth, durable=False)


def _is_plain(path: Path, photo: Photo) -> bool:
    """Return whether a file is a PNG in colour without transparency, profile, EXIF (it may turn the
    picture) and further frames."""
    # What the file holds, not what it is called.
    with path.open("rb") as file:
        if file.read(8) != b"\x89PNG\r\n\x1a\n":
            return False
    bare = photo.metadata.icc is None and photo.metadata.exif is None
    return bare and photo.alpha is None and not photo.gray and photo.pages == 1
