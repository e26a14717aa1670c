"""Groups of a plot, and the figure."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from redeg_cli.evaluate.pool_figure import write_figure
from redeg_cli.evaluate.pool_map import NO_GROUP, REST_COLOUR, PoolMap, make_groups


def test_groups_come_in_natural_order() -> None:
    members, groups = make_groups(["b10", "b2", None, "a", "b2"])
    assert [(group.label, group.count) for group in groups] == [
        ("a", 1),
        ("b2", 2),
        ("b10", 1),
        (NO_GROUP, 1),
    ]
    assert members.tolist() == [2, 1, 3, 0, 1]


def test_many_groups_keep_looks_of_their_own() -> None:
    _, groups = make_groups([f"g{i}" for i in range(20)])
    assert len({(group.colour, group.shape) for group in groups}) == 20
    assert REST_COLOUR not in {group.colour for group in groups}


def test_the_smallest_of_too_many_become_one() -> None:
    labels = [f"g{i}" for i in range(30) for _ in range(i + 1)]
    members, groups = make_groups(labels)
    assert [group.label for group in groups] == [f"g{i}" for i in range(11, 30)] + ["11 others"]
    assert groups[-1].count == sum(range(1, 12))
    assert groups[-1].colour == REST_COLOUR
    assert np.bincount(members).tolist() == [group.count for group in groups]


def small_map(label: str = "blur") -> PoolMap:
    members, groups = make_groups([label] * 30 + ["noise"] * 30)
    places = np.zeros((60, 2), np.float32)
    places[:30, 0], places[30:, 0] = -5, 5
    places[:, 1] = np.tile(np.linspace(-2, 2, 30), 2)
    return PoolMap(places, ("a",) * 60, ("",) * 60, members, groups, "My $pool$ & <b>", "caption")


def test_the_figure_shows_each_group_where_it_is(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    write_figure(tmp_path / "a.png", small_map())
    picture = np.asarray(Image.open(tmp_path / "a.png").convert("RGB")).astype(int)
    lower = picture[len(picture) // 2 :]  # the legend stands at the top
    blue = (lower[..., 2] - lower[..., 0] > 100).nonzero()[1]
    orange = (lower[..., 0] - lower[..., 2] > 100).nonzero()[1]
    assert min(len(blue), len(orange)) > 500
    assert blue.max() < orange.min()


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_the_same_map_is_the_same_file(tmp_path: Path, suffix: str) -> None:
    pytest.importorskip("matplotlib")
    for name in ("a", "b"):
        write_figure(tmp_path / f"{name}{suffix}", small_map("ñ <&> $x$"))
    content = (tmp_path / f"a{suffix}").read_bytes()
    assert content == (tmp_path / f"b{suffix}").read_bytes()
    if suffix == ".svg":
        text = content.decode()
        assert "ñ &lt;&amp;&gt; $x$ (30)" in text
        assert "My $pool$ &amp; &lt;b&gt;" in text


def test_characters_without_a_glyph_are_warned_of(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        write_figure(tmp_path / "a.png", small_map("\U00020000"))
    assert any("missing" in str(warning.message) for warning in caught)
