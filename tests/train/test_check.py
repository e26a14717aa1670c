"""What is found in the images of a recipe before a run."""

from pathlib import Path

import numpy as np
import pytest
from degraded import draw
from PIL import Image

from redeg_cli.errors import InputError
from redeg_cli.io.images import write_rgb
from redeg_cli.train.check import check_data, smallest_side
from redeg_cli.train.recipe_files import load_recipe
from redeg_cli.train.recipes import ReDegNetRecipe, RestorerRecipe


def recipe_of(workplace: Path, *overrides: str) -> RestorerRecipe:
    return load_recipe(workplace / "restorer.toml", RestorerRecipe, overrides)


def test_good_images_have_no_findings(workplace: Path) -> None:
    seen: list[tuple[int, int]] = []

    def note(done: int, total: int, text: str = "") -> None:
        assert text == "reading images"
        seen.append((done, total))

    found = check_data(recipe_of(workplace), note)
    assert (found.images, found.findings) == (4, [])
    assert seen == [(i, 4) for i in (1, 2, 3, 4)]


def test_each_problem_is_one_line_with_the_path(workplace: Path) -> None:
    hq = workplace / "hq"
    (hq / "torn.png").write_bytes((hq / "0.png").read_bytes()[:60])
    (hq / "empty.jpg").touch()
    write_rgb(hq / "small.png", np.full((20, 15, 3), 0.5))
    (hq / "copy.png").write_bytes((hq / "1.png").read_bytes())
    Image.open(hq / "2.png").save(hq / "other.bmp")  # the same pixels in another file
    found = check_data(recipe_of(workplace))
    assert found.images == 9
    assert {(each.path.name, each.problem) for each in found.findings} == {
        ("torn.png", "unreadable"),
        ("empty.jpg", "unreadable"),
        ("small.png", "small"),
        ("copy.png", "duplicate"),
        ("other.bmp", "duplicate"),
    }
    messages = {each.path.name: each.message for each in found.findings}
    assert all(str(hq / name) in text and "\n" not in text for name, text in messages.items())
    assert messages["copy.png"].endswith(f"has the same bytes as {hq / '1.png'}")
    assert messages["other.bmp"].endswith(f"has the same pixels as {hq / '2.png'}")
    assert messages["small.png"].endswith("is 15x20 pixels: at least 16x16 are needed")
    assert [found.count(each) for each in ("unreadable", "small", "duplicate")] == [2, 1, 2]


def test_one_file_under_two_names_of_a_folder_is_no_duplicate(workplace: Path) -> None:
    (workplace / "hq" / "linked.png").hardlink_to(workplace / "hq" / "1.png")
    assert check_data(recipe_of(workplace)).findings == []


def test_a_training_image_in_the_validation_is_told(workplace: Path) -> None:
    (workplace / "val").mkdir()
    (workplace / "val" / "a.png").write_bytes((workplace / "hq" / "3.png").read_bytes())
    found = check_data(recipe_of(workplace, f'validation=[{{"folder": "{workplace}/val"}}]'))
    assert [each.path for each in found.findings] == [workplace / "val" / "a.png"]


def test_a_folder_given_twice_is_read_once(workplace: Path) -> None:
    found = check_data(recipe_of(workplace, f'validation=[{{"folder": "{workplace}/hq"}}]'))
    assert (found.images, found.findings) == (4, [])


def test_pictures_whose_faces_are_cut_out_may_be_any_size(workplace: Path) -> None:
    draw(workplace / "hq" / "small.png", (12, 10))
    for align, problems in ((False, ["small"]), (True, [])):
        found = check_data(recipe_of(workplace, f"data.0.align_faces={str(align).lower()}"))
        assert [each.problem for each in found.findings] == problems


def test_a_folder_that_is_missing_is_an_error(workplace: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        check_data(recipe_of(workplace, f"data.0.folder={workplace}/none"))


def test_the_smallest_side_is_that_of_the_largest_crop(workplace: Path) -> None:
    assert smallest_side(recipe_of(workplace)) == 16
    assert smallest_side(load_recipe(workplace / "redegnet.toml", ReDegNetRecipe)) == 32
