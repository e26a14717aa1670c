"""One-file pages: nothing in the data is read as HTML, the policy fits what is inside."""

import base64
import hashlib
import json
import re
from pathlib import Path

import pytest

from redeg_cli.io.page import build_page

NASTY = "</script><script>alert(1)</script><!-- & \" ' ñ \u2028"


def contents(text: str, tag: str) -> str:
    (inside,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, flags=re.DOTALL)
    return inside


@pytest.mark.parametrize("name", ["pool_plot", "compare"])
def test_the_policy_allows_what_is_inside_and_no_more(name: str) -> None:
    text = build_page(name, "title", {})
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', text)
    for tag, rule in (("script", "script-src"), ("style", "style-src")):
        digest = hashlib.sha256(contents(text, tag).encode()).digest()
        assert f"{rule} 'sha256-{base64.b64encode(digest).decode()}'" in policy
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "img-src data: file: 'self';" in build_page(name, "title", {}, linked=True)
    assert "http:" not in text
    assert "https:" not in text
    assert " style=" not in text  # the policy would drop it
    assert not re.search(r" on\w+=", text)


def test_names_stay_names(tmp_path: Path) -> None:
    text = build_page("compare", NASTY, {"name": NASTY, "path": tmp_path, "odd": float("nan")})
    assert text.count("<script") == 2
    assert "<title>&lt;/script&gt;" in text
    (data,) = re.findall(r'id="data">(.*?)</script>', text, flags=re.DOTALL)
    assert json.loads(data) == {"name": NASTY, "path": str(tmp_path), "odd": None}
