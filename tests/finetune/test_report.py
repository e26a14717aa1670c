"""The page and the before/after picture."""

import base64
import io
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from redeg_cli.finetune import report
from redeg_cli.finetune.report import write_before_after, write_page

VOID = {"meta", "img", "input"}
SUMMARY: dict[str, Any] = {
    "held_out_scores": {"general": {"psnr": 21.034}, "omega": {"psnr": 23.5}},
    "faces": [{"name": "face of 60 px at 32,16"}, {"name": "<b>second</b>"}],
    "faces_not_used": ["the face of 20 px: too small & cut"],
    "lattice": [[0.1, 0.2], [0.2, 0.1]],
    "chosen": "omega",
    "size": {"photo": [30, 20], "restored": [60, 40]},
    "seconds": 12.4,
    "device": "cpu",
}


class Page(HTMLParser):
    """Collects the tags and text; every tag that is opened must be closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def pictures(height: int = 40, width: int = 60) -> tuple[np.ndarray, np.ndarray]:
    before = np.zeros((height, width, 3), np.float32)
    before[..., 0] = 0.8
    return before, 1 - before


def page_of(folder: Path, name: str = "old.png", **changes: object) -> tuple[Page, str]:
    path = folder / "index.html"
    write_page(path, name, *pictures(), {**SUMMARY, **changes})
    text = path.read_text(encoding="utf-8")
    page = Page()
    page.feed(text)
    page.close()
    return page, text


def test_the_page_is_well_formed_and_needs_nothing_else(tmp_path: Path) -> None:
    page, text = page_of(tmp_path)
    assert text.startswith("<!doctype html>")
    assert page.open == []
    assert "{" not in page.text.split("<style>")[0].split("body")[0]
    for _, attributes in page.tags:
        for name in ("src", "href"):
            assert (attributes.get(name) or "data:").startswith("data:")
    assert "http" not in text
    assert "@import" not in text
    assert "url(" not in text
    identities = {a["id"] for _, a in page.tags if "id" in a}
    assert identities == {"pair", "slider"}


def test_the_pictures_are_inside(tmp_path: Path) -> None:
    page, _ = page_of(tmp_path)
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    assert [image["class"] for image in images] == ["before", "after"]
    for image, picture in zip(images, pictures(), strict=True):
        head, data = str(image["src"]).split(",")
        assert head == "data:image/jpeg;base64"
        decoded = Image.open(io.BytesIO(base64.b64decode(data, validate=True)))
        assert decoded.size == (60, 40)
        assert np.abs(np.asarray(decoded) / 255 - picture).max() < 0.03


def test_large_pictures_are_shrunk_for_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "_LARGEST", 30)
    page, _ = page_of(tmp_path)
    source = next(str(attributes["src"]) for tag, attributes in page.tags if tag == "img")
    decoded = Image.open(io.BytesIO(base64.b64decode(source.split(",")[1])))
    assert decoded.size == (30, 20)


def test_findings_and_names_are_escaped(tmp_path: Path) -> None:
    page, text = page_of(tmp_path, name='<img src=x onerror="alert(1)">.png')
    assert "<img src=x" not in text
    assert "<b>second" not in text
    assert "<b>second</b>" in page.text
    assert "too small & cut" in page.text
    assert "general 21.03 dB, omega 23.50 dB" in page.text
    assert "30x20 to 60x40 px" in page.text
    assert "2 frequencies" in page.text
    assert "12 s on cpu" in page.text


@pytest.mark.parametrize(
    ("chosen", "words"), [("general", "did not help"), ("adapted", "adapted to this photo")]
)
def test_what_was_chosen_is_said(tmp_path: Path, chosen: str, words: str) -> None:
    page, text = page_of(tmp_path, chosen=chosen, lattice=[], faces_not_used=[])
    assert words in page.text
    assert text.count("<td>none</td>") == 2


def test_before_and_after_stand_side_by_side(tmp_path: Path) -> None:
    before, after = pictures()
    write_before_after(tmp_path / "pair.png", before, after)
    sheet = np.asarray(Image.open(tmp_path / "pair.png").convert("RGB")) / 255
    assert sheet.shape == (40 + 28, 2 * 60 + 8, 3)
    assert np.abs(sheet[28:, :60] - before).max() < 1 / 255
    assert np.abs(sheet[28:, 68:] - after).max() < 1 / 255
    assert (sheet[28:, 60:68] == 1).all()
    # Both are labelled.
    assert sheet[:28, :60].min() < 0.5
    assert sheet[:28, 68:].min() < 0.5
