"""Pages of several methods: what is matched, what is written, and how the page behaves."""

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import Watched
from PIL import Image

from redeg_cli.errors import InputError
from redeg_cli.evaluate.compare import (
    Embedded,
    embed_picture,
    match_methods,
    method_labels,
    write_comparison,
)
from redeg_cli.io.images import read_rgb, write_rgb


def picture(path: Path, width: int = 60, height: int = 40, level: float = 0.5) -> Path:
    write_rgb(path, np.full((height, width, 3), level))
    return path


def test_folders_are_matched_by_name(tmp_path: Path) -> None:
    for name in ("a/2.png", "a/10.jpg", "a/in/ñ.png", "b/10.png", "b/2_restored.png", "b/in/ñ.jpg"):
        picture(tmp_path / name)
    rows, problems = match_methods([tmp_path / "a", tmp_path / "b"])
    assert problems == []
    assert [row.name for row in rows] == ["2.png", "10.jpg", "in/ñ.png"]
    assert [row.paths[1].name for row in rows] == ["2_restored.png", "10.png", "ñ.jpg"]


def test_what_has_no_partner_is_named(tmp_path: Path) -> None:
    for name in ("a/1.png", "a/1.jpg", "a/2.png", "b/1.png", "b/3.png", "c/1.png", "c/2.png"):
        picture(tmp_path / name)
    rows, problems = match_methods([tmp_path / folder for folder in "abc"])
    assert [row.name for row in rows] == ["1.jpg"]
    assert len(problems) == 3
    for words in (("1.png", "1.jpg"), ("2.png", f"not in {tmp_path / 'b'}"), ("3.png", "left out")):
        assert any(all(word in line for word in words) for line in problems), words


def test_sheets_of_finetune_are_passed_over(tmp_path: Path) -> None:
    for name in ("a/1_restored.png", "a/before_after.png", "b/1.png"):
        picture(tmp_path / name)
    for order in ("ab", "ba"):
        rows, problems = match_methods([tmp_path / folder for folder in order])
        assert (len(rows), problems) == (1, [])
    (tmp_path / "a" / "1_restored.png").unlink()
    with pytest.raises(InputError, match="no picture is in all 2 folders"):
        match_methods([tmp_path / "a", tmp_path / "b"])


def test_single_files_make_one_row(tmp_path: Path) -> None:
    paths = [picture(tmp_path / name) for name in ("x.png", "other.jpg")]
    rows, problems = match_methods(paths)
    assert [(row.name, list(row.paths)) for row in rows] == [("x.png", paths)]
    assert problems == []


def test_what_cannot_be_compared(tmp_path: Path) -> None:
    for name in ("a/1.png", "b/2.png"):
        picture(tmp_path / name)
    (tmp_path / "empty").mkdir()
    a, b, empty, none = (tmp_path / name for name in ("a", "b", "empty", "none"))
    for inputs, message in (
        ((a, none), "none does not exist"),
        ((a, empty), "no picture is in all"),
        ((empty, a), "empty holds no images"),
        ((a, b / "2.png"), "is a file and"),
        ((a, b), "no picture is in all 2 folders"),
    ):
        with pytest.raises(InputError, match=message):
            match_methods(inputs)


def test_labels_differ() -> None:
    paths = [Path("runs/x/lq"), Path("runs/y/lq"), Path("hq")]
    assert method_labels(paths) == ["x/lq", "y/lq", "hq"]


def test_pictures_that_browsers_show_stay_as_they_are(tmp_path: Path) -> None:
    for name, kind in (("a.png", "image/png"), ("a.jpg", "image/jpeg"), ("a.webp", "image/webp")):
        found = embed_picture(picture(tmp_path / name))
        assert (found.kind, found.width, found.height) == (kind, 60, 40)
        assert found.content == (tmp_path / name).read_bytes()
        assert found.uri.startswith(f"data:{kind};base64,")
        assert base64.b64decode(found.uri.split(",")[1]) == found.content


def test_other_formats_become_png(tmp_path: Path) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (20, 30, 3)) / 255
    write_rgb(tmp_path / "a.tif", rgb)
    found = embed_picture(tmp_path / "a.tif")
    assert found.kind == "image/png"
    (tmp_path / "again.png").write_bytes(found.content)
    assert np.abs(read_rgb(tmp_path / "again.png") - rgb).max() < 1e-6


def test_a_turned_photo_has_its_upright_size(tmp_path: Path) -> None:
    turned = Image.Exif()
    turned[274] = 6
    Image.new("RGB", (60, 40)).save(tmp_path / "a.jpg", exif=turned)
    found = embed_picture(tmp_path / "a.jpg")
    assert (found.width, found.height) == (40, 60)


def test_a_picture_cut_off_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    write_rgb(path, np.random.default_rng(0).random((200, 200, 3)))
    path.write_bytes(path.read_bytes()[:50_000])
    with pytest.raises(InputError, match=r"a\.png"):
        embed_picture(path)


def test_linked_pictures_lie_beside_the_page(tmp_path: Path) -> None:
    found = embed_picture(picture(tmp_path / "a.jpg"))
    folder = tmp_path / "out" / "50% & #1_files"
    write_comparison(tmp_path / "out" / "x.html", ["A", "B"], [("a", [found] * 2)], folder=folder)
    assert sorted(path.name for path in folder.iterdir()) == ["0001_1.jpeg", "0001_2.jpeg"]
    assert (folder / "0001_1.jpeg").read_bytes() == found.content
    assert "50%25%20%26%20%231_files/0001_1.jpeg" in (tmp_path / "out" / "x.html").read_text()


LABELS = ["LQ <b>&", "ñ 'SwinIR'", '"HQ"', "D"]
NAMES = ["first <i>.png", "zweites ä & ö.png", "third.png"]


@pytest.fixture
def sheet(open_page: Callable[..., Watched], tmp_path: Path) -> Callable[..., Watched]:
    """Open a page of these methods; the first has pictures of half the size."""

    def make(methods: int, folder: str | None = None) -> Watched:
        sizes = [(60, 40)] + [(120, 80)] * (methods - 1)
        rows: list[tuple[str, list[Embedded]]] = []
        for number, name in enumerate(NAMES):
            paths = [
                picture(tmp_path / f"{number}_{method}.png", *size, level=(method + 1) / 5)
                for method, size in enumerate(sizes)
            ]
            rows.append((name, [embed_picture(path) for path in paths]))
        place = None if folder is None else tmp_path / folder
        write_comparison(tmp_path / "x.html", LABELS[:methods], rows, folder=place)
        return open_page(tmp_path / "x.html")

    return make


def boxes(watched: Watched) -> list[dict[str, Any]]:
    """Return each picture's place relative to its pane, rounded to pixels."""
    code = """all => all.map(e => {
        const own = e.getBoundingClientRect(), pane = e.closest(".pane").getBoundingClientRect();
        return { x: Math.round(own.x - pane.x), y: Math.round(own.y - pane.y),
                 width: Math.round(own.width), height: Math.round(own.height) };
    })"""
    return watched.page.locator(".pane img").evaluate_all(code)


def level(watched: Watched) -> list[int]:
    """Return the gray of each picture that is loaded now."""
    code = """all => Promise.all(all.map(e => e.decode().then(() => {
        const canvas = document.createElement("canvas"), pen = canvas.getContext("2d");
        pen.drawImage(e, 0, 0);
        return pen.getImageData(5, 5, 1, 1).data[0];
    })))"""
    return watched.page.locator(".pane img").evaluate_all(code)


def test_all_panes_zoom_and_move_in_step(sheet: Callable[..., Watched]) -> None:
    watched = sheet(4)
    panes = watched.page.locator(".pane")
    assert panes.count() == 4
    before = boxes(watched)
    assert all(box == before[0] for box in before)  # half the size, yet shown at common scale
    box = panes.nth(1).bounding_box()
    watched.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    watched.page.mouse.wheel(0, -600)
    watched.page.wait_for_function("view.zoom > 0 && !fitted")
    zoomed = boxes(watched)
    assert all(box == zoomed[0] for box in zoomed)
    assert zoomed[0]["width"] == pytest.approx(np.exp(0.9) * before[0]["width"], rel=0.01)
    watched.drag(panes.nth(2), 40, 25)
    moved = boxes(watched)
    assert all(box == moved[0] for box in moved)
    assert moved[0]["x"] - zoomed[0]["x"] == pytest.approx(40, abs=1)
    assert moved[0]["y"] - zoomed[0]["y"] == pytest.approx(25, abs=1)
    watched.page.get_by_role("button", name="Fit").click()
    assert boxes(watched) == before
    assert watched.requests == []


def test_labels_and_names_are_text(sheet: Callable[..., Watched]) -> None:
    watched = sheet(4)
    assert watched.page.locator("figcaption b").all_text_contents() == LABELS
    assert watched.page.locator("#which option").all_text_contents() == NAMES
    sizes = watched.page.locator("figcaption .faint").all_text_contents()
    assert sizes == ["60×40"] + ["120×80"] * 3
    assert level(watched) == [51, 102, 153, 204]


def test_the_keyboard_changes_the_picture(sheet: Callable[..., Watched]) -> None:
    watched = sheet(3)
    count = watched.page.locator("#count")
    for key, told in (("ArrowRight", "2 / 3"), ("ArrowRight", "3 / 3"), ("ArrowRight", "1 / 3")):
        watched.page.keyboard.press(key)
        assert count.text_content() == told
    watched.page.keyboard.press("ArrowLeft")
    assert count.text_content() == "3 / 3"
    assert watched.page.title() == "third.png"
    watched.page.locator("#which").select_option("1")
    assert watched.page.title() == NAMES[1]
    watched.page.locator(".pane").first.focus()
    watched.page.keyboard.press("1")
    assert watched.page.locator("#zoom").text_content() == "100 %"
    assert boxes(watched)[0]["width"] == 120


def test_two_have_a_slider(sheet: Callable[..., Watched]) -> None:
    watched = sheet(2)
    assert watched.page.locator(".pane").count() == 1
    left, right = boxes(watched)
    assert left == right
    pane = watched.page.locator(".pane").bounding_box()

    def cut() -> float:
        style = watched.page.locator(".layer").nth(1).evaluate("e => e.style.clipPath")
        assert watched.page.locator(".layer").nth(0).evaluate("e => e.style.clipPath") == ""
        return float(style.rstrip("%)").split()[-1])

    assert cut() == 50
    watched.drag(watched.page.locator(".handle"), pane["width"] / 4)
    assert cut() == pytest.approx(75, abs=0.5)
    assert boxes(watched) == [left, right]  # the picture stays
    bar = watched.page.locator("#at")
    assert float(bar.input_value()) == pytest.approx(75, abs=0.5)
    bar.press("ArrowLeft")
    assert cut() == float(bar.input_value()) < 75
    assert watched.page.locator("#count").text_content() == "1 / 3"  # the arrow was the bar's
    watched.page.get_by_role("button", name="Slider").click()
    assert watched.page.locator(".pane").count() == 2
    assert watched.page.locator("#bar").is_hidden()


def test_any_two_of_many_have_a_slider(sheet: Callable[..., Watched]) -> None:
    watched = sheet(4)
    watched.page.keyboard.press("s")
    assert level(watched) == [51, 102]
    watched.page.get_by_label("on the right").select_option("3")
    assert level(watched) == [51, 204]
    assert watched.page.locator("figcaption b").all_text_contents() == [LABELS[0], LABELS[3]]


def test_two_fingers_zoom(sheet: Callable[..., Watched]) -> None:
    watched = sheet(3)
    code = """() => {
        const pane = document.querySelector(".pane"), box = pane.getBoundingClientRect();
        pane.setPointerCapture = () => {};
        const fire = (type, pointerId, x) => pane.dispatchEvent(new PointerEvent(type, { pointerId,
            clientX: box.x + x, clientY: box.y + 50, pointerType: "touch", bubbles: true }));
        const before = view.zoom;
        fire("pointerdown", 11, 20); fire("pointerdown", 12, 60); fire("pointermove", 12, 140);
        fire("pointerup", 11, 20); fire("pointerup", 12, 140);
        return view.zoom / before;
    }"""
    assert watched.page.evaluate(code) == pytest.approx(3)
    first, *others = boxes(watched)
    assert all(other == first for other in others)


def test_linked_pictures_are_loaded_from_their_folder(sheet: Callable[..., Watched]) -> None:
    watched = sheet(2, "50% & #1_files")
    assert level_count(watched) == [60, 120]
    assert set(watched.requests) <= {
        f"50% & #1_files/{row:04d}_{method}.png" for row in (1, 2, 3) for method in (1, 2)
    }
    assert "50% & #1_files/0001_1.png" in watched.requests


def level_count(watched: Watched) -> list[int]:
    """Return the width in its own pixels of each picture, once it is decoded."""
    code = "all => Promise.all(all.map(e => e.decode().then(() => e.naturalWidth)))"
    return watched.page.locator(".pane img").evaluate_all(code)
