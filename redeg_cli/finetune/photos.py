"""The photos of an album: read from their files when they are looked at."""

from collections.abc import Callable, Sequence
from pathlib import Path

from redeg_cli.errors import InputError
from redeg_cli.io.images import Photo, read_photo


class PhotoFiles(Sequence[tuple[str, Photo]]):
    """Photos by the names of their files, of which only the one last looked at is held.

    All of an album would not fit into memory: 12 scans of 12 megapixels are 1.7 GB.
    """

    def __init__(self, prepare: Callable[[Path, Photo], Photo] = lambda _, photo: photo) -> None:
        """``prepare`` returns what is to be made of the photo of a file, the same each time."""
        self.files: list[Path] = []
        self._sizes: list[tuple[int, ...]] = []
        self._prepare = prepare
        self._index = -1
        self._source: Photo | None = None
        self._prepared: Photo | None = None

    def add(self, file: Path) -> None:
        """Take in the photo of a file. Raises InputError for one that cannot be read."""
        photo = read_photo(file)
        self.files.append(file)
        self._sizes.append(photo.rgb.shape)
        self._hold(len(self.files) - 1, photo)

    def source(self, index: int) -> Photo:
        """Return a photo as its file has it. Raises InputError when that has changed."""
        if self._index != index or self._source is None:
            self._hold(-1, None)  # before another is read
            photo = read_photo(self.files[index], again=True)
            if photo.rgb.shape != self._sizes[index]:
                raise InputError(f"{self.files[index]} has changed meanwhile: start again")
            self._hold(index, photo)
            return photo
        return self._source

    def __getitem__(self, index: int) -> tuple[str, Photo]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return the name of a file and its photo, prepared. Raises what ``prepare`` does."""
        if not 0 <= index < len(self.files):
            raise IndexError(index)
        source = self.source(index)
        if self._prepared is None:
            self._prepared = self._prepare(self.files[index], source)
        return self.files[index].name, self._prepared

    def __len__(self) -> int:
        return len(self.files)

    def _hold(self, index: int, source: Photo | None) -> None:
        self._index, self._source, self._prepared = index, source, None
