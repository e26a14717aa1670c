"""The page's data and the before/after picture. ``test_report_page`` opens the page."""

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from redeg_cli.finetune import report
from redeg_cli.finetune.report import Views, eight_bits, slider, write_before_after, write_page

SUMMARY: dict[str, Any] = {
    "held_out_scores": {"general": {"psnr": 21.034}, "omega": {"psnr": 23.5, "steps": 62}},
    "photos": [
        {
            "name": "old.png",
            "size": [30, 20],
            "restored_size": [60, 40],
            "faces": [{"name": "face of 60 px at 32,16"}, {"name": "<b>second</b>"}],
            "given": [],
            "faces_not_used": ["the face of 20 px: too small & cut"],
        }
    ],
    "lattice": [[0.1, 0.2], [0.2, 0.1]],
    "print": None,
    "chosen": "omega",
    "share": 1.0,
    "seconds": 12.4,
    "device": "cpu",
    "files": {"restored": ["ol d#ñ_restored.png"], "before_after": ["before_after.png"]},
}


def pictures(height: int = 40, width: int = 60) -> tuple[np.ndarray, np.ndarray]:
    before = np.zeros((height, width, 3), np.float32)
    before[..., 0] = 0.8
    return before, 1 - before


def page_of(folder: Path, title: str = "old.png", **changes: object) -> tuple[dict[str, Any], str]:
    """Write a page; return its data and its text."""
    path = folder / "index.html"
    views = Views([slider(title, *pictures())], curves={"omega": [0.5] * 300})
    write_page(path, title, views, {**SUMMARY, **changes})
    text = path.read_text(encoding="utf-8")
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    assert found is not None
    return json.loads(found[1]), text


def decoded(url: str) -> Image.Image:
    head, data = url.split(",")
    assert head in ("data:image/jpeg;base64", "data:image/png;base64")
    return Image.open(io.BytesIO(base64.b64decode(data, validate=True)))


def test_the_page_needs_nothing_else(tmp_path: Path) -> None:
    _, text = page_of(tmp_path)
    assert text.startswith("<!doctype html>")
    assert "default-src 'none'" in text
    for outside in ("@import", "url(", " src=", " href="):
        assert outside not in text
    # The one address is the name of SVG, which nothing loads.
    assert re.findall(r"https?://[^\"']+", text) == ["http://www.w3.org/2000/svg"]


def test_the_pictures_are_inside(tmp_path: Path) -> None:
    data, _ = page_of(tmp_path)
    (photo,) = data["photos"]
    assert (photo["width"], photo["height"]) == (60, 40)
    for key, picture in zip(("before", "after"), pictures(), strict=True):
        image = decoded(photo[key])
        assert image.size == (60, 40)
        assert np.abs(np.asarray(image) / 255 - picture).max() < 0.03


def test_large_pictures_are_shrunk_for_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert page_of(tmp_path)[0]["photos"][0]["shown"] == 1
    monkeypatch.setattr(report, "_LARGEST_ALONE", 30)
    monkeypatch.setattr(report, "_LARGEST", 15)
    (photo,) = page_of(tmp_path)[0]["photos"]
    assert decoded(photo["before"]).size == (30, 20)
    assert photo["shown"] == 0.5
    of_album = slider("", *pictures(), alone=False)
    assert decoded(of_album["after"]).size == (15, 10)
    assert of_album["shown"] == 0.25


def test_the_files_and_the_regions_are_named_to_the_page(tmp_path: Path) -> None:
    photo = {**SUMMARY["photos"][0], "given": [{"name": "pair"}]}
    photo["faces"] = [{"name": "face", "region": [3, 5, 18, 15]}]
    (shown,) = page_of(tmp_path, photos=[photo])[0]["photos"]
    assert (shown["restored"], shown["sheet"]) == (
        "ol%20d%23%C3%B1_restored.png",
        "before_after.png",
    )
    assert shown["boxes"] == [[0.1, 0.25, 0.5, 0.5]]


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (
            0.0,
            ", by the restorer for any photo: one trained on its own kind of damage did not help",
        ),
        (0.5, ", half by the restorer for any photo and half by one trained on its own kind of"),
        (1.0, ", by one trained on its own kind of damage, which helped: parts that were kept"),
    ],
)
def test_one_sentence_says_whether_it_helped(tmp_path: Path, share: float, words: str) -> None:
    told = page_of(tmp_path, share=share)[0]["told"]
    assert told.startswith(
        "The photo was restored at 2 times its size (30x20 to 60x40 pixels)" + words
    )
    dirty = page_of(tmp_path, share=share, dirt=1.4)[0]["told"]
    assert ("left dirt on smooth parts" in dirty) == (share == 0)
    photo = {**SUMMARY["photos"][0], "restored_size": [30, 20]}
    same = page_of(tmp_path, share=share, photos=[photo, photo], files=two_files())[0]["told"]
    assert same.startswith("2 photos were restored at their own size, ")


def two_files() -> dict[str, list[str]]:
    return {kind: names * 2 for kind, names in SUMMARY["files"].items()}


def test_names_cannot_become_part_of_the_page(tmp_path: Path) -> None:
    name = '<img src=x onerror="alert(1)"></script>.png'
    data, text = page_of(tmp_path, title=name)
    assert "<img src=x" not in text
    assert "<b>second" not in text
    assert data["title"] == name
    findings = dict(data["findings"])
    assert findings["faces used"] == "face of 60 px at 32,16, <b>second</b>"
    assert "sharp versions given" not in findings
    assert findings["faces left out"] == "the face of 20 px: too small & cut"
    checked = findings["checked on parts that were not fitted"]
    assert checked == "general 21.03 dB, omega 23.50 dB after 62 steps"
    assert findings["size"] == "30x20 to 60x40 px"
    assert findings["periodic pattern"] == "2 frequencies"
    assert findings["time"] == "12 s on cpu"


@pytest.mark.parametrize(
    ("chosen", "share", "words"),
    [
        ("general", 0.0, "the general restorer (fine-tuning did not help"),
        ("adapted", 1.0, "fine-tuned, on what Ω makes and SynNet adapted to this photo"),
        ("omega", 0.5, "half-way between the general restorer and one fine-tuned with Ω alone"),
    ],
)
def test_what_was_chosen_is_said(tmp_path: Path, chosen: str, share: float, words: str) -> None:
    photo = {**SUMMARY["photos"][0], "faces": [], "faces_not_used": []}
    photo["given"] = [{"name": "wall.png at 0,16"}]
    data, _ = page_of(tmp_path, chosen=chosen, share=share, lattice=[], photos=[photo])
    findings = dict(data["findings"])
    assert findings["restored by"].startswith(words)
    assert findings["faces used"] == "none"
    assert findings["sharp versions given"] == "wall.png at 0,16"
    assert findings["faces left out"] == findings["periodic pattern"] == "none"


def test_long_curves_are_means(tmp_path: Path) -> None:
    data, _ = page_of(tmp_path)
    assert data["every"] == 3
    assert data["curves"] == {"omega": [0.5] * 100}


def test_a_picture_comes_to_8_bits_by_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = np.random.default_rng(0).uniform(-0.2, 1.2, (50, 30, 3)).astype(np.float32)
    monkeypatch.setattr(report, "_ROWS", 16)
    samples = eight_bits(picture)
    assert samples.dtype == np.uint8
    np.testing.assert_array_equal(samples, np.rint(picture.clip(0, 1) * 255))
    # Of either kind it is the same picture.
    for name, given in (("float", picture), ("eight", samples)):
        write_before_after(tmp_path / name, given, given)
    assert (tmp_path / "float").read_bytes() == (tmp_path / "eight").read_bytes()
    assert slider("", samples, samples) == slider("", picture, picture)


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
