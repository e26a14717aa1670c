"""Arrays with a header in one file (.npz), as the pools of kernels and of noise keep them."""

import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from redeg_cli.errors import InputError
from redeg_cli.io.files import atomic_path

# What NumPy raises for a file of another kind, or for one that was cut off or changed.
DAMAGE = (
    *(ValueError, KeyError, TypeError, AttributeError, EOFError, NotImplementedError),
    *(RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error, OSError),
)
_HEADER = "header"


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray], header: Mapping[str, Any]) -> None:
    """Write arrays and a JSON header as NumPy's npz, whole or not at all. Raises OutputError.

    The same content gives the same file, byte for byte.
    """
    buffer = io.BytesIO()
    text = np.array(json.dumps(header, sort_keys=True))
    np.savez_compressed(buffer, **arrays, **{_HEADER: text})  # pyright: ignore[reportArgumentType]
    with atomic_path(path) as temporary:
        temporary.write_bytes(buffer.getvalue())


def read_arrays(path: Path, what: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return what ``write_arrays`` wrote: the arrays by name, and the header.

    ``what`` names the file in messages ("pool"). Raises InputError for anything else.
    """
    try:
        content = Path(path).read_bytes()
        if not content.startswith(b"PK"):
            raise ValueError("not an .npz file")
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            header = json.loads(str(file[_HEADER]))
            if not isinstance(header, dict):
                raise ValueError("its header is no table")
            return {name: file[name] for name in file.files if name != _HEADER}, header
    except FileNotFoundError:
        raise InputError(f"{what} {path} does not exist") from None
    except IsADirectoryError:
        raise InputError(f"{what} {path} is a folder, expected an .npz file") from None
    except DAMAGE as error:
        raise InputError(f"{path} is not a {what} ({reason(error)})") from None


def reason(error: Exception) -> str:
    """Return an exception's message as a single line; one without text gives its class name."""
    return " ".join(str(error).split()) or type(error).__name__


def read_header(path: Path) -> dict[str, Any]:
    """Return the header of a file of arrays; {} for any other file, and for none."""
    try:
        # From memory: NumPy leaves a file that is no archive open.
        with np.load(io.BytesIO(Path(path).read_bytes()), allow_pickle=False) as file:
            header = json.loads(str(file[_HEADER]))
    except DAMAGE:
        return {}
    return header if isinstance(header, dict) else {}
