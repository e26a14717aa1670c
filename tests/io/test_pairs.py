"""Pairs of files and the scale between them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redeg_cli.errors import InputError, PairError
from redeg_cli.io.pairs import find_pairs, pair_scale


def make(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


def test_folders_are_matched_by_stem(tmp_path: Path) -> None:
    make(tmp_path, "lq/2.jpg", "lq/10.jpg", "lq/n/a.b.jpg", "hq/2.png", "hq/10.png", "hq/n/a.b.png")
    pairs, problems = find_pairs([tmp_path])
    assert [pair.name for pair in pairs] == ["2.jpg", "10.jpg", "n/a.b.jpg"]
    assert [pair.hq.relative_to(tmp_path).as_posix() for pair in pairs] == [
        *("hq/2.png", "hq/10.png", "hq/n/a.b.png")
    ]
    assert all(pair.lq.is_file() for pair in pairs)
    assert problems == []


def test_what_has_no_partner_is_named(tmp_path: Path) -> None:
    make(tmp_path, "lq/a.png", "lq/b.png", "lq/b.jpg", "hq/b.png", "hq/c.png")
    pairs, problems = find_pairs([tmp_path])
    assert [pair.name for pair in pairs] == ["b.jpg"]
    assert len(problems) == 3
    assert "b.png is left out: b.jpg has the same name" in problems[0]
    assert "a.png has no partner in hq/" in problems[1]
    assert "c.png has no partner in lq/" in problems[2]


def test_names_are_unique_over_inputs(tmp_path: Path) -> None:
    make(tmp_path, *(f"{s}/{side}/1.png" for s in ("one", "two") for side in ("lq", "hq")))
    pairs, _ = find_pairs([tmp_path / "one", tmp_path / "two"])
    assert len({pair.name for pair in pairs}) == 2


def test_tables(tmp_path: Path) -> None:
    make(tmp_path, "t/a.png", "t/ö b.png", "c.png")
    table = tmp_path / "t" / "pairs.tsv"
    lines = ["LQ\tHQ", "# note", "", "a.png\tö b.png\textra", "a.png", "a.png\tgone.png"]
    lines.append(f"a.png\t{tmp_path / 'c.png'}")
    table.write_bytes("\ufeff".encode() + "\r\n".join(lines).encode())
    pairs, problems = find_pairs([table])
    assert [pair.hq for pair in pairs] == [table.parent / "ö b.png", tmp_path / "c.png"]
    assert len({pair.name for pair in pairs}) == 2
    assert len(problems) == 2
    assert "line 5: wanted two tab-separated columns" in problems[0]
    assert "line 6" in problems[1]
    assert "gone.png does not exist" in problems[1]


def test_inputs_that_are_no_pairs(tmp_path: Path) -> None:
    make(tmp_path, "only/lq/a.png", "a.png", "none/lq/a.png", "none/hq/b.png")
    with pytest.raises(InputError, match="holds no folder hq/"):
        find_pairs([tmp_path / "only"])
    with pytest.raises(InputError, match="is not a set of pairs"):
        find_pairs([tmp_path / "a.png"])
    with pytest.raises(InputError, match="does not exist"):
        find_pairs([tmp_path / "gone"])
    with pytest.raises(PairError, match=r"no LQ/HQ pair in .*none \(.*a\.png has no partner"):
        find_pairs([tmp_path / "none"])
    (tmp_path / "latin.tsv").write_bytes("ä.png\tö.png\n".encode("latin-1"))
    with pytest.raises(InputError, match="not UTF-8"):
        find_pairs([tmp_path / "latin.tsv"])


@pytest.mark.parametrize(
    ("lq", "hq", "scale", "expected"),
    [
        ((64, 48), (64, 48), None, (4, False)),
        ((64, 48), (64, 48), 2, (2, False)),
        ((64, 48), (64, 48), 1, (1, False)),
        ((32, 24), (64, 48), None, (2, True)),
        ((32, 24), (64, 48), 2, (2, True)),
        ((22, 17), (64, 49), None, (3, True)),  # ceil(64 / 3), ceil(49 / 3)
        ((25, 13), (100, 49), None, (4, True)),
        ((2, 2), (5, 5), None, (3, True)),  # crops 1 at 3, and 3 at 4
        ((2, 2), (5, 5), 4, (4, True)),
    ],
)
def test_scales(
    lq: tuple[int, int], hq: tuple[int, int], scale: int | None, expected: tuple[int, bool]
) -> None:
    assert pair_scale(lq, hq, scale) == expected


@given(st.integers(8, 500), st.integers(8, 500), st.integers(2, 4))
def test_a_native_lq_is_recognised_whatever_the_crop(height: int, width: int, k: int) -> None:
    lq = (-(-height // k), -(-width // k))
    assert pair_scale(lq, (height, width), k) == (k, True)


@pytest.mark.parametrize(
    ("lq", "hq", "scale", "words"),
    [
        ((40, 40), (100, 100), None, "ratio 2.5 is not a whole number"),
        ((10, 10), (80, 80), None, "ratio 8 is too large, at most 4"),
        ((100, 100), (50, 50), None, "larger than the HQ, are they swapped"),
        ((50, 100), (200, 200), None, "shapes differ"),
        ((100, 50), (50, 100), None, "shapes differ"),
        ((25, 25), (101, 103), None, "crop the HQ to 100x100, 4 times the LQ"),
        ((25, 30), (50, 60), 4, "LQ is 30x25, HQ is 60x50 pixels: a pair of scale 2, but scale 4"),
        ((25, 25), (50, 50), 8, "scale 8 is not supported"),
        ((0, 25), (50, 50), None, "without pixels"),
    ],
)
def test_why_two_pictures_are_no_pair(
    lq: tuple[int, int], hq: tuple[int, int], scale: int | None, words: str
) -> None:
    with pytest.raises(PairError, match=words):
        pair_scale(lq, hq, scale)
