"""Arrays with a header in one file (.npz), as the pools of kernels and of noise keep them."""

import io
import json
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from redeg_cli.errors import InputError, one_line
from redeg_cli.io.files import atomic_path

# What NumPy raises for a file of another kind, or for one that was cut off or changed.
DAMAGE = (
    *(ValueError, KeyError, TypeError, AttributeError, EOFError, NotImplementedError),
    *(RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error, tokenize.TokenError, OSError),
)
_HEADER = "header"
_ALWAYS, _MOST_TIMES = 64 << 20, 64
"""Bytes that any file may unpack to, and times its own size that a larger one may. Pools of Ωs
unpack to 1.2 times their size; zeros, of which a file of 2 MB makes 2 GB, to 1030 times."""


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray], header: Mapping[str, Any]) -> None:
    """Write arrays and a JSON header as NumPy's npz, whole or not at all. Raises OutputError.

    The same content gives the same file, byte for byte.
    """
    buffer = io.BytesIO()
    text = np.array(json.dumps(header, sort_keys=True))
    np.savez_compressed(buffer, **arrays, **{_HEADER: text})  # pyright: ignore[reportArgumentType]
    with atomic_path(path) as temporary:
        temporary.write_bytes(buffer.getvalue())


def read_arrays(
    path: Path, what: str, command: str
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return what ``write_arrays`` wrote: the arrays by name, and the header.

    Messages name the file ("pool of noise") and the ``command`` that makes one. Raises InputError
    for anything else.
    """
    try:
        with Path(path).open("rb") as content, open_arrays(content) as file:
            header = json.loads(str(file[_HEADER]))
            if not isinstance(header, dict):
                raise ValueError("its header is no table")
            return {name: file[name] for name in file.files if name != _HEADER}, header
    except FileNotFoundError:
        raise InputError(f"{what} {path} does not exist") from None
    except IsADirectoryError:
        raise InputError(f"{what} {path} is a folder, expected an .npz file") from None
    except DAMAGE as error:
        raise InputError(
            f"{path} is not a {what} ({one_line(error)}); make one with `{command}`"
        ) from None


def open_arrays(file: IO[bytes]) -> "np.lib.npyio.NpzFile":
    """Return an .npz file, from which nothing is unpacked yet; pickles in it are refused.

    Raises one of ``DAMAGE`` for a file of another kind, or one that would unpack to so much more
    than it is that it was made to fill the memory.
    """
    start = file.read(2)
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    if start != b"PK":
        raise ValueError("not an .npz file")
    opened = np.load(file, allow_pickle=False)
    assert isinstance(opened, np.lib.npyio.NpzFile)
    assert opened.zip is not None
    # Of a member no more is unpacked than this says, whatever is in it.
    unpacked = sum(member.file_size for member in opened.zip.infolist())
    if unpacked > max(_ALWAYS, _MOST_TIMES * size):
        opened.close()
        raise ValueError(f"its {size:,} bytes would unpack to {unpacked:,}")
    return opened


def read_header(path: Path) -> dict[str, Any]:
    """Return the header of a file of arrays; {} for any other file, and for none."""
    try:
        with Path(path).open("rb") as content, open_arrays(content) as file:
            header = json.loads(str(file[_HEADER]))
    except DAMAGE:
        return {}
    return header if isinstance(header, dict) else {}
