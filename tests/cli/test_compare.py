"""``redeg compare``: folders become a page, what has no partner is named."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from degraded import draw


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with lq/ and out/, three pictures each."""
    monkeypatch.chdir(tmp_path)
    for name in ("1.png", "in/ñ.png", 'q"<i>.png'):
        draw(Path("lq") / name, (30, 20))
        draw(Path("out") / name, (60, 40))
    return tmp_path


def data_of(page: Path) -> dict[str, Any]:
    (text,) = re.findall(r'id="data">(.*?)</script>', page.read_text("utf-8"), flags=re.DOTALL)
    return json.loads(text)


def test_folders_become_one_file(redeg: Callable, work: Path) -> None:
    result = redeg("compare", "lq", "out", "-o", "new/sheet.html", "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told == {
        "path": "new/sheet.html",
        "folder": None,
        "pictures": ["1.png", "in/ñ.png", 'q"<i>.png'],
        "failed": [],
    }
    data = data_of(work / "new" / "sheet.html")
    assert data["labels"] == ["lq", "out"]
    images = [image for row in data["rows"] for image in row["images"]]
    assert [image["width"] for image in images] == [30, 60] * 3
    assert all(image["src"].startswith("data:image/png;base64,") for image in images)
    assert [path.name for path in (work / "new").iterdir()] == ["sheet.html"]


def test_single_files_and_labels(redeg: Callable, work: Path) -> None:
    result = redeg(
        *("compare", "lq/1.png", "out/1.png", "out/in/ñ.png", "-o", "x.html"),
        *("--label", "LQ", "--label", "<b>", "--label", "ñ"),
    )
    assert result.exit_code == 0, result.output
    assert result.stdout == "x.html\n"
    data = data_of(work / "x.html")
    assert data["labels"] == ["LQ", "<b>", "ñ"]
    assert [row["name"] for row in data["rows"]] == ["1.png"]


def test_what_fails_is_named_and_the_rest_is_shown(redeg: Callable, work: Path) -> None:
    (work / "out" / "in" / "ñ.png").unlink()
    (work / "out" / "1.png").write_text("no picture")
    result = redeg("compare", "lq", "out", "-o", "x.html")
    assert result.exit_code == 1
    assert result.stdout == "x.html\n"
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 2
    assert errors[0] == "error: in/ñ.png is left out: not in out"
    assert "out/1.png" in errors[1]
    assert "2 of 3 failed" in result.stderr
    assert [row["name"] for row in data_of(work / "x.html")["rows"]] == ['q"<i>.png']


def test_large_pages_get_a_folder(redeg: Callable, work: Path) -> None:
    result = redeg("compare", "lq", "out", "-o", "x.html", "--linked", "--json")
    assert json.loads(result.stdout)["folder"] == "x_files"
    linked = [image["src"] for row in data_of(work / "x.html")["rows"] for image in row["images"]]
    assert linked == [f"x_files/{row:04d}_{method}.png" for row in (1, 2, 3) for method in (1, 2)]
    for number, name in ((1, "1.png"), (3, 'q"<i>.png')):
        copy = work / "x_files" / f"{number:04d}_2.png"
        assert copy.read_bytes() == (work / "out" / name).read_bytes()
    for name in ("a", "b"):
        draw(Path(name) / "1.png", (700, 500), seed=1)
    large = redeg("compare", "a", "b", "-o", "y.html", "--max-mb", 0.1)
    assert large.exit_code == 0, large.output
    assert "more than --max-mb 0.1: see y_files" in large.stderr
    assert len(list((work / "y_files").iterdir())) == 2


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("lq", "-o", "x.html"), 2, "two or more"),
        (("lq", "out", "-o", "x.html", "--label", "a"), 2, "1 times --label for 2"),
        (("lq", "out"), 2, "--output"),
        (("lq", "out", "-o", "x.png"), 1, "ends in .html"),
        (("lq", "out", "-o", "there.html"), 1, "--overwrite"),
        (("lq", "out", "-o", "old.html", "--linked"), 1, "old_files exists; give --overwrite"),
        (("lq", "none", "-o", "x.html"), 1, "none does not exist"),
        (("lq", "out/1.png", "-o", "x.html"), 1, "is a file and lq a folder"),
        (("empty", "lq", "-o", "x.html"), 1, "empty holds no images"),
        (("lq", "empty", "-o", "x.html"), 1, "no picture is in all 2 folders"),
        (("bad/1.png", "lq/1.png", "-o", "x.html"), 1, "bad/1.png"),
    ],
)
def test_a_mistake_is_told(
    redeg: Callable, work: Path, arguments: tuple, code: int, message: str
) -> None:
    (work / "there.html").touch()
    for folder in ("empty", "old_files", "bad"):
        (work / folder).mkdir()
    (work / "bad" / "1.png").write_text("no picture")
    before = sorted(work.rglob("*"))
    result = redeg("compare", *arguments)
    assert result.exit_code == code
    assert message in result.stderr
    assert result.stdout == ""
    if code == 1:
        assert result.stderr.startswith("error: ")
        assert result.stderr.count("\n") == 1
    assert sorted(work.rglob("*")) == before
