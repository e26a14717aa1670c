"""The page of a pool, in a browser."""

import base64
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import Watched
from PIL import Image

from redeg_cli.evaluate.pool_map import PoolMap, make_groups
from redeg_cli.evaluate.pool_page import write_pool_page

LABELS = ["blur", "noise", "<b>fax</b> & 'x'"]
TITLE = '</script><b>"ñ" & Ω'


def crop(colour: tuple[int, int, int]) -> str:
    content = io.BytesIO()
    Image.new("RGB", (64, 64), colour).save(content, format="WEBP")
    return "data:image/webp;base64," + base64.b64encode(content.getvalue()).decode()


@pytest.fixture
def page(open_page: Callable[..., Watched], tmp_path: Path) -> Watched:
    """Points at the corners of a square and one near its middle; the last has no crop."""
    members, groups = make_groups(["blur", "blur", "noise", "noise", LABELS[2]])
    places = np.array([[-1, -1], [-1, 1], [1, 1], [1, -1], [0, 0.2]], np.float32)
    names = ("a.png", "b.png", "<i>c</i>.png", "d.png", "ñ.png")
    notes = tuple(f"crop at {i},0 of 256 px" for i in range(5))
    pool_map = PoolMap(places, names, notes, members, groups, TITLE, "t-SNE of 5 Ωs")
    crops = [crop((40 * i, 0, 0)) for i in range(1, 5)]
    write_pool_page(tmp_path / "page.html", pool_map, [*crops, ""])
    opened = open_page(tmp_path / "page.html")
    opened.page.wait_for_function("sides.width > 0")  # the map knows its size after the page loads
    return opened


def spot(watched: Watched, index: int) -> tuple[float, float]:
    """Return where a point stands in the window."""
    x, y = watched.page.evaluate("index => place(index)", index)
    box = watched.page.locator("#map").bounding_box()
    return box["x"] + x, box["y"] + y


def shown(watched: Watched) -> dict[str, Any] | None:
    """Return what the card says; None when it is hidden."""
    if watched.page.locator("#card").is_hidden():
        return None
    told = {part: watched.page.locator(f"#{part}").text_content() for part in ("name", "group")}
    image = watched.page.locator("#crop")
    source = image.get_attribute("src") if image.is_visible() else None
    return {**told, "crop": source}


def point_at(watched: Watched, index: int, found: bool = True) -> None:
    """Move the mouse to a point and wait until the page has seen it."""
    watched.page.mouse.move(1, 1)
    watched.page.wait_for_function("current === -1")
    watched.page.mouse.move(*spot(watched, index))
    watched.page.evaluate("() => new Promise(requestAnimationFrame)")
    watched.page.wait_for_function("wanted => current === wanted", arg=index if found else -1)


def ink(watched: Watched, index: int) -> tuple[int, ...]:
    """Return the colour (R, G, B) that is seen where a point stands."""
    x, y = spot(watched, index)
    clip = {"x": round(x), "y": round(y), "width": 1, "height": 1}
    picture = Image.open(io.BytesIO(watched.page.screenshot(clip=clip)))
    return picture.convert("RGB").getpixel((0, 0))  # pyright: ignore[reportReturnType]


def test_pointing_at_a_point_shows_its_crop(page: Watched) -> None:
    assert shown(page) is None
    for index, (name, group) in enumerate(
        [("a.png", "blur"), ("b.png", "blur"), ("<i>c</i>.png", "noise"), ("d.png", "noise")]
    ):
        point_at(page, index)
        assert shown(page) == {
            "name": name,
            "group": group,
            "crop": crop((40 * (index + 1), 0, 0)),
        }
        assert (
            page.page.locator("#crop").evaluate("e => e.decode().then(() => e.naturalWidth)") == 64
        )
        card, window = page.page.locator("#card").bounding_box(), (900, 700)
        assert card["x"] >= 0
        assert card["y"] >= 0
        assert card["x"] + card["width"] <= window[0]
        assert card["y"] + card["height"] <= window[1]
    point_at(page, 4)
    assert shown(page) == {"name": "ñ.png", "group": LABELS[2], "crop": None}
    x, y = spot(page, 4)
    page.page.mouse.move(x + 60, y)
    page.page.wait_for_function("current === -1")
    assert shown(page) is None
    assert page.requests == []


def test_the_picture_is_the_right_way_up(page: Watched) -> None:
    (left, low), (right, high) = spot(page, 0), spot(page, 2)
    assert left < right
    assert low > high  # y grows upwards


def test_names_and_labels_are_text(page: Watched) -> None:
    assert page.page.locator("h1").text_content() == TITLE
    assert page.page.title() == TITLE
    assert page.page.locator("#legend .label").all_text_contents() == sorted(
        LABELS, key=lambda label: label.replace("<", " ")
    )


def test_legend_entries_hide_and_show_their_group(page: Watched) -> None:
    entry = page.page.get_by_role("button", name="blur")
    paper, blur, noise = ink_of_paper(page), ink(page, 0), ink(page, 2)
    assert len({paper, blur, noise}) == 3
    entry.click()
    assert entry.get_attribute("aria-pressed") == "false"
    assert ink(page, 0) == paper
    assert ink(page, 2) == noise
    point_at(page, 0, found=False)
    entry.click()
    point_at(page, 0)
    assert (shown(page) or {})["name"] == "a.png"


def ink_of_paper(watched: Watched) -> tuple[int, ...]:
    clip = {"x": 5, "y": 5, "width": 1, "height": 1}
    picture = Image.open(io.BytesIO(watched.page.screenshot(clip=clip)))
    return picture.convert("RGB").getpixel((0, 0))  # pyright: ignore[reportReturnType]


def test_the_wheel_zooms_about_the_pointer_and_dragging_moves(page: Watched) -> None:
    before = spot(page, 2)
    pointer = [round(value) - 20 for value in before]
    page.page.mouse.move(*pointer)
    page.page.mouse.wheel(0, -500)
    page.page.wait_for_function("view.zoom > 2 * base")
    zoomed = spot(page, 2)
    for now, was, fixed in zip(zoomed, before, pointer, strict=True):
        assert now - fixed == pytest.approx(np.exp(0.75) * (was - fixed), abs=0.1)
    page.drag(page.page.locator("#map"), 50, -30)
    page.page.wait_for_function("fingers.size === 0")
    moved = spot(page, 2)
    assert moved == pytest.approx((zoomed[0] + 50, zoomed[1] - 30), abs=0.1)
    page.page.get_by_role("button", name="All").click()
    assert spot(page, 2) == pytest.approx(before, abs=0.1)


def test_the_keyboard_goes_from_point_to_point(page: Watched) -> None:
    chart = page.page.locator("#map")
    chart.focus()
    names = []
    for key in ("ArrowRight", "ArrowUp", "ArrowDown", "ArrowDown", "ArrowRight", "ArrowRight"):
        chart.press(key)
        names.append((shown(page) or {})["name"])
    # First the middle one; at the edge of the map an arrow leads nowhere.
    assert names[0] == "ñ.png"
    assert names[1] in ("b.png", "<i>c</i>.png")
    assert names[2] == "ñ.png"
    assert names[3] in ("a.png", "d.png")
    assert names[4:] == ["d.png", "d.png"]
    assert page.page.locator("#told").text_content() == "d.png, noise, crop at 3,0 of 256 px"
    before = page.page.evaluate("view.zoom")
    chart.press("+")
    assert page.page.evaluate("view.zoom") == pytest.approx(1.4 * before)
    chart.press("0")
    assert page.page.evaluate("view.zoom") == pytest.approx(before)
    chart.press("Escape")
    assert shown(page) is None


def test_a_finger_shows_and_two_zoom(open_page: Callable[..., Watched], page: Watched) -> None:
    touch = open_page(page.file, 390, 700, has_touch=True)
    x, y = spot(touch, 1)
    touch.page.touchscreen.tap(x + 8, y + 8)
    assert (shown(touch) or {})["name"] == "b.png"
    code = """() => {
        const fire = (type, pointerId, x, y) => map.dispatchEvent(new PointerEvent(type,
            { pointerId, clientX: x, clientY: y, pointerType: "touch", bubbles: true }));
        map.setPointerCapture = () => {};
        const before = view.zoom;
        fire("pointerdown", 11, 100, 300); fire("pointerdown", 12, 200, 300);
        fire("pointermove", 12, 300, 300);
        fire("pointerup", 11, 100, 300); fire("pointerup", 12, 300, 300);
        return view.zoom / before;
    }"""
    assert touch.page.evaluate(code) == pytest.approx(2)


def test_many_points_are_drawn_quickly(open_page: Callable[..., Watched], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    members, groups = make_groups([f"group {i % 8}" for i in range(10_000)])
    names = tuple(f"{i // 8}.png" for i in range(10_000))
    places = rng.standard_normal((10_000, 2)).astype(np.float32)
    pool_map = PoolMap(places, names, ("whole",) * 10_000, members, groups, "many", "")
    write_pool_page(tmp_path / "page.html", pool_map, [])
    assert (tmp_path / "page.html").stat().st_size < 500_000
    watched = open_page(tmp_path / "page.html")
    watched.page.mouse.move(*spot(watched, 123))
    watched.page.wait_for_function("current >= 0")
    assert (shown(watched) or {})["crop"] is None
    seconds = watched.page.evaluate(
        "() => { let start = performance.now(); draw(); return (performance.now() - start) / 1000 }"
    )
    assert seconds < 1
