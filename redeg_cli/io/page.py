"""One-file HTML pages: a template of this package, the data, and a policy that forbids the rest."""

import base64
import hashlib
import html
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from redeg_cli.io.files import to_plain

_PAGES = Path(__file__).parent / "pages"


def build_page(name: str, title: str, data: Mapping[str, Any], *, linked: bool = False) -> str:
    """Return the page of the template ``name`` (its .html, .css and .js) with its data inside.

    The script reads the data from the element ``data``; what is in it is never read as HTML. The
    page's own policy lets nothing be loaded or sent but pictures inside it, with ``linked`` also
    files beside it.
    """
    style = _read("common.css") + _read(f"{name}.css")
    script = _read(f"{name}.js")
    pictures = "data: file: 'self'" if linked else "data:"
    policy = (
        f"default-src 'none'; img-src {pictures}; "
        f"style-src '{_digest(style)}'; script-src '{_digest(script)}'"
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{style}</style>\n</head>\n"
        f"<body>\n{_read(f'{name}.html')}"
        f'<script type="application/json" id="data">{_json(data)}</script>\n'
        f"<script>{script}</script>\n</body>\n</html>\n"
    )


def _read(name: str) -> str:
    return (_PAGES / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _json(data: Mapping[str, Any]) -> str:
    """Return JSON that cannot end the element it stands in, whatever names it holds."""
    text = json.dumps(to_plain(data), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")
