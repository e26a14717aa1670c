"""Reading tables that people write, and saying which key is wrong and what was probably meant."""

import difflib
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from redeg_cli.errors import RecipeError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pyright: ignore[reportMissingImports]

_EXPECTED = {
    "dict_type": "expected a table",
    "model_type": "expected a table",
    "list_type": "expected a list",
}
"""What was wanted, where pydantic would speak of its classes."""


def read_toml(path: Path) -> dict[str, Any]:
    """Return the tables of a TOML file. Raises RecipeError when it cannot be read."""
    try:
        data = path.read_bytes()
        # Windows PowerShell's > writes UTF-16.
        utf16 = len(data) > 2 and data.startswith((b"\xff\xfe", b"\xfe\xff"))
        text = data.decode("utf-16" if utf16 else "utf-8-sig")
        return parse_toml(text.replace("\r\n", "\n"))
    except FileNotFoundError:
        raise RecipeError(f"{path} does not exist") from None
    except (RecipeError, UnicodeDecodeError, OSError) as error:
        raise RecipeError(f"{path} cannot be read as TOML: {error}") from None


def parse_toml(text: str) -> dict[str, Any]:
    """Return the tables of TOML text. Raises RecipeError with the parser's reason."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(str(error)) from None


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """Return `` (did you mean 'x'?)`` for the known name nearest to ``name``, or nothing."""
    near = difflib.get_close_matches(str(name), list(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def nearest_or_all(name: object, known: Iterable[str]) -> str:
    """Return what ``did_you_mean`` does, or ``: there are x, y`` with all if none is near."""
    known = list(known)
    return did_you_mean(name, known) or f": there are {', '.join(known)}"


def explain(error: ValidationError, kind: type[BaseModel], more: Iterable[str] = ()) -> str:
    """Return the first fault of a table of ``kind`` as text that names its key.

    ``more`` are keys of nested tables that a mistyped one is compared with too.
    """
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        name, known = first["loc"][-1], [*kind.model_fields, *more]
        if name in known:
            return f"{key!r} is a key of another table"
        return f"unknown key {key!r}{did_you_mean(name, known)}"
    if first["type"] == "value_error":  # of a validator of ours, which says what it got
        reason = str(first.get("ctx", {}).get("error", first["msg"]))
        return f"{key!r}: {reason}" if key else reason
    if first["type"] == "missing":
        return f"{key!r}: {first['msg']}"
    wanted = _EXPECTED.get(first["type"], first["msg"])
    return f"{key!r}: {wanted}, got {first['input']!r}"
