"""Recipes: found, checked key by key, overridden, and held to when a run is carried on."""

import json
from pathlib import Path

import pytest

from redeg_cli.errors import RecipeError
from redeg_cli.train.recipes import (
    ReDegNetRecipe,
    RestorerRecipe,
    find_recipe,
    load_recipe,
    presets,
    settle_recipe,
)


def test_the_presets_are_valid_recipes() -> None:
    assert {"redegnet-lite", "f2n-compact", "face-restorer"} <= set(presets())
    for name in presets():
        path, base = find_recipe(name)
        kind = ReDegNetRecipe if name.startswith("redegnet") else RestorerRecipe
        recipe = load_recipe(path, kind, base=base)
        assert recipe.name == name
        assert recipe.data[0].folder.parts[0] == "data"  # relative to the working folder


def test_a_file_is_found_and_its_folders_are_its_own(workplace: Path) -> None:
    path, base = find_recipe(workplace / "restorer.toml")
    assert (path, base) == (workplace / "restorer.toml", workplace)
    recipe = load_recipe(path, RestorerRecipe, base=base)
    assert recipe.data[0].folder == workplace / "hq"
    assert recipe.degradation.jpeg == 0.5
    assert recipe.degradation.blur == 0.7  # the default


def test_an_unknown_recipe_names_the_presets() -> None:
    with pytest.raises(RecipeError, match=r"did you mean 'f2n-compact'.*one of .*redegnet-lite"):
        find_recipe("f2n-compakt")


def test_overrides_reach_into_tables_and_lists(workplace: Path) -> None:
    recipe = load_recipe(
        workplace / "restorer.toml",
        RestorerRecipe,
        [
            *("batch=5", "degradation.quality=[30, 40]", "architecture=f2n", "init=some=name"),
            *("data.0.folder=elsewhere", "data.0.weight=2", "config.features=8"),
            'validation=[{"folder": "held"}]',
        ],
    )
    assert recipe.batch == 5
    assert recipe.degradation.quality == (30, 40)
    assert recipe.architecture == "f2n"
    assert recipe.init == "some=name"
    assert (recipe.data[0].folder, recipe.data[0].weight) == (Path("elsewhere"), 2)
    assert recipe.config["features"] == 8
    assert recipe.config["blocks"] == 1
    assert recipe.validation[0].folder == Path("held")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("steps", "expected key=value"),
        ("stepps=4", r"unknown key 'stepps' \(did you mean 'steps'\?\)"),
        ("degradation.jpg=1", r"unknown key 'degradation.jpg' \(did you mean 'jpeg'\?\)"),
        ("data.0.wight=1", r"'weight'"),
        ("data.1.weight=1", "no place in a list of 1"),
        ("data.x=1", "no place in a list of 1"),
        ("steps.more=1", "steps is not a table"),
        ("steps=0", r"'steps': .*greater than or equal to 1, got 0"),
        ("steps=many", r"'steps': .*integer.*got 'many'"),
        ("architecture=f3n", r"'architecture': .*'f2n'"),
        ("scales=[3]", r"'scales.0'"),
        ("kind=redegnet", r"'kind'"),
        ("data=[]", r"'data'"),
        ("data=3", r"'data'"),
    ],
)
def test_a_wrong_override_names_its_key(workplace: Path, override: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message) as caught:
        load_recipe(workplace / "restorer.toml", RestorerRecipe, [override])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"kind = ", "cannot be read as TOML"),
        (b"\xff\xfe", "cannot be read as TOML"),
        (b'kind = "restorer"\n', "Field required"),
        (b"data = 3\n", "Field required|'data'"),
    ],
)
def test_an_unreadable_recipe_is_one_line(tmp_path: Path, text: bytes, message: str) -> None:
    (tmp_path / "r.toml").write_bytes(text)
    with pytest.raises(RecipeError, match=message):
        load_recipe(tmp_path / "r.toml", RestorerRecipe)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="does not exist"):
        load_recipe(tmp_path / "none.toml", RestorerRecipe)


def recipe_of(workplace: Path, *overrides: str) -> RestorerRecipe:
    return load_recipe(workplace / "restorer.toml", RestorerRecipe, overrides)


def test_the_resolved_recipe_is_kept(workplace: Path) -> None:
    path = settle_recipe(workplace / "run", recipe_of(workplace, "batch=3"))
    kept = json.loads(path.read_text())
    assert kept["batch"] == 3
    assert kept["learning_rate"] == 5e-4  # a default is written out
    assert kept["data"][0]["folder"] == str(workplace / "hq")


def test_without_a_state_any_recipe_may_follow(workplace: Path) -> None:
    settle_recipe(workplace / "run", recipe_of(workplace))
    path = settle_recipe(workplace / "run", recipe_of(workplace, "batch=3"))
    assert json.loads(path.read_text())["batch"] == 3


@pytest.fixture
def started(workplace: Path) -> Path:
    settle_recipe(workplace / "run", recipe_of(workplace))
    (workplace / "run" / "state.pt").touch()
    return workplace


@pytest.mark.parametrize(
    "change",
    ["steps=90", "minutes=2", "learning_rate=1e-5", "save_every=7", "validate_every=8"],
)
def test_how_long_and_how_fast_may_change(started: Path, change: str) -> None:
    path = settle_recipe(started / "run", recipe_of(started, change))
    key, _, value = change.partition("=")
    assert json.loads(path.read_text())[key] == float(value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("batch=3", "batch = 2, now it is 3"),
        ("degradation.jpeg=0.6", r"degradation\.jpeg = 0\.5, now it is 0\.6"),
        ("config.features=8", r"config\.features = 4, now it is 8"),
        ("data.0.folder=other", "data = "),
    ],
)
def test_what_is_trained_may_not_change(started: Path, change: str, message: str) -> None:
    before = (started / "run" / "recipe.json").read_bytes()
    with pytest.raises(RecipeError, match=message):
        settle_recipe(started / "run", recipe_of(started, change))
    assert (started / "run" / "recipe.json").read_bytes() == before


@pytest.mark.parametrize("content", [None, b"", b"{}", b'{"kind": "redegnet"}'])
def test_a_state_without_its_recipe_is_not_carried_on(started: Path, content: bytes | None) -> None:
    path = started / "run" / "recipe.json"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RecipeError, match="cannot be compared"):
        settle_recipe(started / "run", recipe_of(started))
