"""The page with the slider, in a browser."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import Watched

from redeg_cli.finetune.report import Views, slider, write_page

SUMMARY: dict[str, Any] = {
    "held_out_scores": {"general": {"psnr": 21.0}, "omega": {"psnr": 23.5, "steps": 62}},
    "photos": [
        {
            "name": "old.png",
            "size": [200, 150],
            "restored_size": [400, 300],
            "faces": [{"name": "face of 60 px at 32,16", "region": [50, 30, 100, 60]}],
            "given": [],
            "faces_not_used": [],
        }
    ],
    "lattice": [],
    "print": None,
    "chosen": "omega",
    "share": 1.0,
    "seconds": 12.4,
    "device": "cpu",
    "files": {"restored": ["ol d#ñ_restored.png"], "before_after": ["before_after.png"]},
}


@pytest.fixture
def page(open_page: Callable[..., Watched], tmp_path: Path) -> Watched:
    """Black before, white after."""
    before = np.zeros((300, 400, 3), np.float32)
    face = [("in the photo", before[:60, :60]), ("in the restored photo", 1 - before[:60, :60])]
    views = Views(
        [slider("old.png", before, 1 - before)],
        [("<b>first</b> face", face)],
        [(before[:64, :64], 1 - before[:64, :64])],
        {"omega": [0.3, 0.2, 0.1], "adapted": [0.2, 0.1]},
    )
    write_page(tmp_path / "index.html", "<i>ñ & 'old'</i>.png", views, SUMMARY)
    return open_page(tmp_path / "index.html")


def edge(watched: Watched) -> float:
    """Return where the restored photo begins, 0 to 1 from the left, as the eye sees it."""
    code = """() => {
        const pair = document.querySelector(".pair").getBoundingClientRect();
        const line = document.querySelector(".line").getBoundingClientRect();
        const clip = getComputedStyle(document.querySelector(".after")).clipPath;
        return [(line.left - pair.left) / pair.width, parseFloat(clip.split(" ").at(-1)) / 100];
    }"""
    line, clip = watched.page.evaluate(code)
    assert line == pytest.approx(clip, abs=0.01)
    return clip


def test_the_slider_uncovers_the_restored_photo(page: Watched) -> None:
    assert edge(page) == pytest.approx(0.5)
    slider = page.page.locator("input[type=range]")
    page.drag(slider, -100)
    assert edge(page) == pytest.approx(0.25, abs=0.03)
    slider.press("ArrowRight")
    assert edge(page) == pytest.approx(float(slider.input_value()) / 100)
    assert page.requests == []


def test_dragging_over_the_photo_does_too(page: Watched) -> None:
    page.drag(page.page.locator(".pair"), 120)
    assert edge(page) == pytest.approx(0.8, abs=0.02)
    assert float(page.page.locator("input[type=range]").input_value()) == pytest.approx(80, abs=2)
    page.page.mouse.move(10, 10)
    assert edge(page) == pytest.approx(0.8, abs=0.02)  # the button is up


def test_the_name_is_text(page: Watched) -> None:
    assert page.page.locator("h1").text_content() == "<i>ñ & 'old'</i>.png"
    widths = page.page.locator(".pair img").evaluate_all("all => all.map(e => e.naturalWidth)")
    assert widths == [400, 400]


def test_faces_synthetic_parts_and_losses_are_shown(page: Watched) -> None:
    locate = page.page.locator
    assert locate("#regions img").evaluate_all("all => all.map(e => e.naturalWidth)") == [60, 60]
    assert locate("#regions .tile").text_content() == "<b>first</b> face"
    assert locate("#likeness img").evaluate_all("all => all.map(e => e.naturalWidth)") == [64, 64]
    points = locate("#curves polyline").evaluate_all("all => all.map(e => e.points.length)")
    assert points == [3, 2]
    assert "SynNet adapted" in (locate("#curves .legend").text_content() or "")
    assert "200x150 to 400x300 px" in (locate("#findings").text_content() or "")


def test_the_restored_photo_can_be_opened_and_looked_at_closely(page: Watched) -> None:
    locate, near = page.page.locator, page.page.get_by_role
    hrefs = locate("a").evaluate_all("all => all.map(e => e.getAttribute('href'))")
    assert hrefs == ["ol%20d%23%C3%B1_restored.png", "before_after.png"]
    assert locate(".label").all_text_contents() == ["before", "after"]
    page.page.set_viewport_size({"width": 300, "height": 300})
    assert locate(".pair").bounding_box()["width"] < 300
    near("button", name="200 %").click()
    assert locate(".pair").bounding_box()["width"] == 800
    seen = "e => [e.clientWidth, e.scrollWidth, document.documentElement.scrollWidth]"
    inside, whole, window = locate(".frame").evaluate(seen)
    assert inside < window == 300 < whole == 800
    # The line stays in the middle of the frame, wherever that is scrolled to.
    locate(".frame").evaluate("e => e.scrollTo(500, 0)")
    page.page.wait_for_timeout(100)
    assert edge(page) == pytest.approx((500 + inside / 2) / 800, abs=0.01)
    near("button", name="whole").click()
    assert edge(page) == pytest.approx(0.5)
    assert page.requests == []


def test_labels_go_where_nothing_of_their_picture_is_left(page: Watched) -> None:
    before, after = page.page.locator(".label.left"), page.page.locator(".label.right")
    assert before.is_visible()
    assert after.is_visible()
    page.page.locator("input[type=range]").fill("2")
    assert not before.is_visible()
    assert after.is_visible()


def test_regions_are_marked_when_that_is_asked_for(page: Watched) -> None:
    box = page.page.locator(".box")
    assert not box.is_visible()
    page.page.get_by_role("checkbox").check()
    photo, marked = page.page.locator(".pair").bounding_box(), box.bounding_box()
    assert marked["x"] - photo["x"] == pytest.approx(photo["width"] / 4, abs=1)
    assert marked["width"] == pytest.approx(photo["width"] / 4, abs=1)
    assert marked["y"] - photo["y"] == pytest.approx(photo["height"] / 5, abs=1)


def test_the_page_scrolls_under_a_finger_and_says_the_rest_when_asked(page: Watched) -> None:
    touch = "e => getComputedStyle(e).touchAction"
    assert page.page.locator(".pair").evaluate(touch) == "pan-y"
    page.page.get_by_role("button", name="100 %").click()
    assert page.page.locator(".pair").evaluate(touch) == "auto"
    findings = page.page.locator("#findings")
    assert not findings.is_visible()
    page.page.locator("summary").click()
    assert findings.is_visible()
    assert (page.page.locator("#told").text_content() or "").startswith("The photo was restored")
