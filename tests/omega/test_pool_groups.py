"""Groups of Ωs: by folders and by tables."""

from pathlib import Path

import pytest

from redeg_cli.errors import InputError
from redeg_cli.omega.pool_groups import folder_groups, picture_name, read_groups, table_groups


@pytest.mark.parametrize(
    ("names", "groups"),
    [
        (["blur/lq/a.png", "noise/lq/a.png"], ["blur", "noise"]),
        (["all/blur/a.png", "all/noise/a.png", "all/c.png"], ["blur", "noise", None]),
        (["a.png", "b.png"], [None, None]),
        (["x/a.png", "x/b.png"], [None, None]),  # the only folder says nothing
        (["x/a.png"], [None]),
    ],
)
def test_folders(names: list[str], groups: list[str | None]) -> None:
    assert folder_groups(names) == groups


def test_a_table_names_pictures_in_several_ways(tmp_path: Path) -> None:
    table = tmp_path / "groups.tsv"
    table.write_bytes("\ufeffName\tGroup\n# old\n\na.png\tblur\nb\tnoise\nñ c.jpg\tfax\n".encode())
    groups = read_groups(table)
    assert groups == {"a.png": "blur", "b": "noise", "ñ c.jpg": "fax"}
    names = ["a.png", "b.png", "ñ c.jpg face 2", "d.png"]
    assert table_groups(names, groups) == ["blur", "noise", "fax", None]
    assert picture_name("a face 1.png") == "a face 1.png"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a.png blur\n", "line 1: wanted a name, a tab"),
        (b"a\tx\nb\ty\tz\n", "line 2: wanted"),
        (b"a\tx\na\ty\n", "line 2: a is in x and in y"),
        (b"\n# nothing\n", "holds no line"),
        (b"\xff\xfe\n", "not UTF-8"),
    ],
)
def test_what_is_no_table(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "t.tsv").write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_groups(tmp_path / "t.tsv")
    assert "\n" not in str(caught.value)


def test_a_missing_table(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read"):
        read_groups(tmp_path / "none.tsv")
