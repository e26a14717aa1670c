"""``redeg pool plot``: pools become pictures and pages, mistakes are told."""

import json
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from degraded import draw

from redeg_cli.io.images import write_rgb
from redeg_cli.omega.pool import Pool

GROUPS = ("blur", "noise")


def save(path: Path, names: Sequence[str], fingerprint: str = "0" * 12, scale: int = 4) -> Path:
    """Save a pool whose Ωs lie apart by the first letter of the last folder of their names."""
    rng = np.random.default_rng(0)
    places = np.array([20.0 * ord((name.split("/") * 2)[-2][0]) for name in names])
    omegas = (places[:, None] + rng.standard_normal((len(names), 512))).astype(np.float32)
    notes = ("whole",) * len(names)
    Pool(omegas, tuple(names), np.full(len(names), scale), "m", fingerprint, notes).save(path)
    return path


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with pool.npz (two groups of 12) and their LQs in pairs/."""
    monkeypatch.chdir(tmp_path)
    names = [f"{group}/lq/{i}.png" for group in GROUPS for i in range(12)]
    rng = np.random.default_rng(0)
    omegas = rng.standard_normal((24, 512)).astype(np.float32)
    omegas[12:] += 2
    Pool(omegas, tuple(names), np.full(24, 4), "m", "0" * 12, ("whole",) * 24).save(
        Path("pool.npz")
    )
    for name in names:
        draw(Path("pairs") / name, (40, 30))
    return tmp_path


def data_of(page: Path) -> dict[str, Any]:
    (text,) = re.findall(r'id="data">(.*?)</script>', page.read_text("utf-8"), flags=re.DOTALL)
    return json.loads(text)


def test_a_page_with_crops(redeg: Callable, work: Path) -> None:
    result = redeg("pool", "plot", "pool.npz", "-o", "new/plot.html", "--crops", "pairs", "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["groups"] == {"blur": 12, "noise": 12}
    assert (told["omegas"], told["colour_by"], told["crops"]) == (24, "group", 24)
    # Squared distances: 1024 within, 1024 + 512 * 4 between; silhouette 1 - sqrt(1 / 3).
    assert told["silhouette"] == pytest.approx(1 - np.sqrt(1 / 3), abs=0.05)
    data = data_of(work / "new" / "plot.html")
    assert [group["label"] for group in data["groups"]] == ["blur", "noise"]
    assert data["group"] == [0] * 12 + [1] * 12
    assert [data["names"][i] for i in data["name"]][13] == "noise/lq/1.png"
    assert all(crop.startswith("data:image/webp;base64,") for crop in data["crops"])
    assert "coloured by group: 2 in the legend, silhouette 0." in result.stderr


def test_the_same_command_gives_the_same_page(redeg: Callable, work: Path) -> None:
    for name in "ab":
        run = ("pool", "plot", "pool.npz", "-o", f"{name}.html", "--seed", 1, "--crops", "pairs")
        assert redeg(*run).stdout == f"{name}.html\n"
    assert (work / "a.html").read_bytes() == (work / "b.html").read_bytes()


@pytest.mark.parametrize("suffix", [".png", ".svg", ".PDF"])
def test_a_figure(redeg: Callable, work: Path, suffix: str) -> None:
    pytest.importorskip("matplotlib")
    result = redeg("pool", "plot", "pool.npz", "-o", f"plot{suffix}", "--title", "Ω of $mine$")
    assert result.exit_code == 0, result.output
    assert result.stdout == f"plot{suffix}\n"
    heads = {".png": b"\x89PNG", ".svg": b"<?xml", ".PDF": b"%PDF"}
    assert (work / f"plot{suffix}").read_bytes().startswith(heads[suffix])


def test_colours_can_say_other_things(redeg: Callable, work: Path) -> None:
    save(work / "real.npz", ["a.png", "b.png", "a.png"], scale=2)
    save(work / "synthetic.npz", ["c.png", "d.png"])

    def labels(*arguments: object) -> list[str]:
        result = redeg("pool", "plot", *arguments, "-o", "x.html", "--overwrite")
        assert result.exit_code == 0, result.output
        return [group["label"] for group in data_of(work / "x.html")["groups"]]

    both = ("real.npz", "synthetic.npz")
    assert labels(*both) == ["real", "synthetic"]  # no folders: what tells them apart comes next
    assert labels("real.npz") == ["a.png", "b.png"]
    assert labels(*both, "--colour-by", "scale") == ["scale 2", "scale 4"]
    assert labels(*both, "--color-by", "source") == ["a.png", "b.png", "c.png", "d.png"]
    Path("groups.tsv").write_text("a.png\tblur\nb\tnoise\nc\tnoise\n", encoding="utf-8")
    result = redeg("pool", "plot", *both, "-o", "y.html", "--groups", "groups.tsv")
    assert "1 of 5 Ωs are not in groups.tsv" in result.stderr
    groups = data_of(work / "y.html")["groups"]
    assert [(g["label"], g["count"]) for g in groups] == [
        ("blur", 2),
        ("noise", 2),
        ("no group", 1),
    ]


def test_missing_and_damaged_crops(redeg: Callable, work: Path) -> None:
    (work / "pairs/blur/lq/3.png").unlink()
    (work / "pairs/noise/lq/4.png").write_text("no picture")
    result = redeg("pool", "plot", "pool.npz", "-o", "x.html", "--crops", "pairs")
    assert result.exit_code == 1
    assert "1 pictures are in none of the --crops folders, such as blur/lq/3.png" in result.stderr
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "noise/lq/4.png" in errors[0]
    assert sum(map(bool, data_of(work / "x.html")["crops"])) == 22


def test_crops_that_do_not_fit_are_counted(redeg: Callable, work: Path) -> None:
    rng = np.random.default_rng(0)
    for path in (work / "pairs").rglob("*.png"):
        write_rgb(path, rng.random((200, 200, 3)))
    names = [f"blur/lq/{i % 12}.png" for i in range(400)]
    save(work / "large.npz", names)
    result = redeg(
        *("pool", "plot", "large.npz", "-o", "x.html", "--crops", "pairs", "--max-mb", 0.1)
    )
    assert result.exit_code == 0, result.output
    assert "400 crops do not fit into 0.1 MB" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("pool.npz", "-o", "x.jpg"), 1, "use .html, .png, .svg, .pdf"),
        (("pool.npz", "-o", "there.html"), 1, "--overwrite"),
        (("none.npz", "-o", "x.html"), 1, "none.npz does not exist"),
        (("two.npz", "-o", "x.html"), 1, "at least 3 Ωs, got 2"),
        (("pool.npz", "other.npz", "-o", "x.html"), 1, "other.npz was made by m"),
        (("pool.npz", "-o", "x.html", "--groups", "none.tsv"), 1, "cannot read none.tsv"),
        (("pool.npz", "-o", "x.html", "--groups", "odd.tsv"), 1, "names none of the 24 Ωs"),
        (("plain.npz", "-o", "x.html", "--colour-by", "group"), 1, "give --groups"),
        (("pool.npz", "-o", "x.html", "--crops", "none"), 1, "none is not a folder"),
        (("pool.npz", "-o", "x.html", "--perplexity", 24), 1, "below 24"),
        (("pool.npz", "-o", "x.png", "--crops", "pairs"), 2, "write .html"),
        (("pool.npz", "-o", "x.html", "--method", "umap", "--perplexity", 5), 2, "t-SNE"),
        (("pool.npz", "-o", "x.html", "--neighbours", 5), 2, "--method umap"),
        (("pool.npz", "-o", "x.html", "--colour-by", "pool", "--groups", "odd.tsv"), 2, "group"),
        (("pool.npz",), 2, "--output"),
    ],
)
def test_a_mistake_is_told(
    redeg: Callable, work: Path, arguments: tuple, code: int, message: str
) -> None:
    (work / "there.html").touch()
    (work / "odd.tsv").write_text("z.png\tblur\n")
    save(work / "two.npz", ["a.png", "b.png"])
    save(work / "plain.npz", ["a.png", "b.png", "c.png"])
    save(work / "other.npz", ["a.png"], fingerprint="f" * 12)
    before = sorted(work.rglob("*"))
    result = redeg("pool", "plot", *arguments)
    assert result.exit_code == code
    assert message in result.stderr
    assert result.stdout == ""
    if code == 1:
        assert result.stderr.startswith("error: ")
        assert result.stderr.count("\n") == 1
    assert sorted(work.rglob("*")) == before


def test_figures_without_matplotlib(
    redeg: Callable, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = redeg("pool", "plot", "pool.npz", "-o", "x.png")
    assert result.exit_code == 1
    assert "pip install 'redeg[plots]'" in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (work / "x.png").exists()
    assert redeg("pool", "plot", "pool.npz", "-o", "x.html").exit_code == 0
