"""Recipes: found, checked key by key, overridden, and held to when a run is carried on."""

import json
import subprocess
from pathlib import Path

import pytest
import torch
from estimated import save_pools

from redeg_cli.degrade.chain import load_degrader, preset_table
from redeg_cli.errors import RecipeError
from redeg_cli.train import settled
from redeg_cli.train.recipe_files import find_recipe, load_recipe, presets, recipe_kind
from redeg_cli.train.recipes import ReDegNetRecipe, RestorerRecipe, parts_of
from redeg_cli.train.settled import provenance, settle_recipe


def test_the_presets_are_valid_recipes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_pools(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert {"redegnet-lite", "f2n-compact", "face-restorer"} <= set(presets())
    for name in presets():
        path, base = find_recipe(name)
        what = name.partition("-")[0]
        kind = recipe_kind(what if what in ("redegnet", "joint", "dml") else "restorer", path)
        recipe = load_recipe(path, kind, base=base)
        assert recipe.name == name
        for part in parts_of(recipe):
            if part.kind == "dml":
                assert part.pairs[0].parts[0] == "data"
                continue
            given = part.pairs if part.kind == "restorer" else []
            sources = [*given, *(each.folder for each in part.data)]
            assert sources[0].parts[0] == "data"  # relative to the working folder
            assert set(part.degraders()) == set(part.scales)


def test_a_file_is_found_and_its_folders_are_its_own(workplace: Path) -> None:
    path, base = find_recipe(workplace / "restorer.toml")
    assert (path, base) == (workplace / "restorer.toml", workplace)
    recipe = load_recipe(path, RestorerRecipe, base=base)
    assert recipe.data[0].folder == workplace / "hq"
    assert recipe.degradation["steps"][1] == {"p": 0.5, "op": "jpeg", "quality": [20, 95]}


def test_the_degradation_is_a_table_a_preset_or_a_file(workplace: Path) -> None:
    path = workplace / "restorer.toml"
    inline = load_recipe(path, RestorerRecipe)
    assert inline.degraders()[2].draw(0)["steps"][0]["op"] == "resize"
    preset = load_recipe(path, RestorerRecipe, ["degradation=bsrgan"])
    assert preset.degradation == preset_table("bsrgan")
    for scale, degrader in preset.degraders().items():
        assert degrader.scale == scale
        assert degrader.draw(3)["steps"] == load_degrader("bsrgan", scale).draw(3)["steps"]
    # A file that the recipe names lies beside it, one that an override names does not.
    (workplace / "sub").mkdir()
    own = workplace / "sub" / "own.toml"
    own.write_text('steps = [{ op = "jpeg", quality = [30, 40] }]\n')
    text = path.read_text()
    path.write_text('degradation = "sub/own.toml"\n' + text[: text.index("[[degradation")])
    quality = [{"op": "jpeg", "quality": [30, 40]}]
    assert load_recipe(path, RestorerRecipe).degradation == {"steps": quality}
    with pytest.raises(RecipeError, match=r"sub/own\.toml does not exist"):
        load_recipe(path, RestorerRecipe, ["degradation=sub/own.toml"])
    overridden = load_recipe(path, RestorerRecipe, [f"degradation={own}"])
    assert overridden.degradation == {"steps": quality}


def test_without_a_degradation_it_is_classical(workplace: Path) -> None:
    recipe = load_recipe(workplace / "redegnet.toml", ReDegNetRecipe)
    assert recipe.degradation == preset_table("classical")


def test_the_degradation_is_checked_for_every_scale(workplace: Path) -> None:
    only = [{"one_of": [{"op": "jpeg", "quality": 50, "only_scale": 1}]}]
    for scales, wrong in (([1], False), ([1, 2], True)):
        overrides = [f"scales={scales}", f"degradation={json.dumps({'steps': only})}"]
        if not wrong:
            load_recipe(workplace / "restorer.toml", RestorerRecipe, overrides)
            continue
        with pytest.raises(RecipeError, match=r"degradation: steps\[0\]\.one_of: .*scale 2"):
            load_recipe(workplace / "restorer.toml", RestorerRecipe, overrides)


def test_a_fault_in_a_file_of_steps_names_file_and_key(workplace: Path) -> None:
    (workplace / "own.toml").write_text('steps = [{ op = "jpeg", qality = 30 }]\n')
    override = f"degradation={workplace / 'own.toml'}"
    with pytest.raises(RecipeError, match=r"restorer\.toml: own\.toml: .*'qality'"):
        load_recipe(workplace / "restorer.toml", RestorerRecipe, [override])


def test_only_restorers_know_scale_3(workplace: Path) -> None:
    assert load_recipe(workplace / "restorer.toml", RestorerRecipe, ["scales=[3]"]).scales == [3]
    with pytest.raises(RecipeError, match=r"'scales': expected some of 1, 2, 4, got \[1, 3\]"):
        load_recipe(workplace / "redegnet.toml", ReDegNetRecipe, ["scales=[1, 3]"])


def test_an_unknown_recipe_names_the_presets() -> None:
    with pytest.raises(RecipeError, match=r"did you mean 'f2n-compact'.*one of .*redegnet-lite"):
        find_recipe("f2n-compakt")


def test_overrides_reach_into_tables_and_lists(workplace: Path) -> None:
    recipe = load_recipe(
        workplace / "restorer.toml",
        RestorerRecipe,
        [
            *(
                "batch=5",
                "degradation.steps.1.quality=[30, 40]",
                "architecture=f2n",
                "init=some=name",
            ),
            *("data.0.folder=elsewhere", "data.0.weight=2", "config.features=8"),
            'validation=[{"folder": "held"}]',
        ],
    )
    assert recipe.batch == 5
    assert recipe.degradation["steps"][1]["quality"] == [30, 40]
    assert recipe.architecture == "f2n"
    assert recipe.init == "some=name"
    assert (recipe.data[0].folder, recipe.data[0].weight) == (Path("elsewhere"), 2)
    assert recipe.config["features"] == 8
    assert recipe.config["blocks"] == 1
    assert recipe.validation[0].folder == Path("held")


@pytest.mark.parametrize(
    "value",
    ['{"features": 8, "blocks": 1}', "{ features = 8, blocks = 1 }", "{features=8,blocks=1}"],
)
def test_an_override_is_json_or_toml(workplace: Path, value: str) -> None:
    recipe = load_recipe(workplace / "restorer.toml", RestorerRecipe, [f"config={value}"])
    assert recipe.config == {"features": 8, "blocks": 1}


@pytest.mark.parametrize(
    "value", ["photos", '["photos"]', "['photos']", "{folder='photos'}", "[{folder='photos'}]"]
)
def test_a_folder_alone_is_a_source(workplace: Path, value: str) -> None:
    (source,) = load_recipe(workplace / "restorer.toml", RestorerRecipe, [f"data={value}"]).data
    assert (source.folder, source.weight) == (Path("photos"), 1)


def test_a_folder_alone_in_a_file_is_relative_to_it(workplace: Path) -> None:
    text = (workplace / "restorer.toml").read_text()
    file = workplace / "short.toml"
    file.write_text(f'validation = ["held", "out"]\n{text}')
    recipe = load_recipe(file, RestorerRecipe)
    assert [each.folder for each in recipe.validation] == [workplace / "held", workplace / "out"]


def test_an_override_that_is_neither_is_text(workplace: Path) -> None:
    recipe = load_recipe(
        workplace / "restorer.toml", RestorerRecipe, ["init=[old] {1}.safetensors"]
    )
    assert recipe.init == "[old] {1}.safetensors"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("steps", "expected key=value"),
        ("stepps=4", r"unknown key 'stepps' \(did you mean 'steps'\?\)"),
        ("degradation.stpes=1", r"degradation: unknown key 'stpes' \(did you mean 'steps'\?\)"),
        ("degradation.steps.1.op=jpg", r"steps\[1\]: unknown op 'jpg' \(did you mean 'jpeg'\?\)"),
        ("degradation.steps.1.quality=0", r"steps\[1\] \(jpeg\): 'quality': .*got 0"),
        ("degradation.steps.1.p=2", r"steps\[1\]\.p: a probability"),
        ("degradation.steps.2.p=1", "no place in a list of 2"),
        ("degradation=bsrgn", r"no degrader 'bsrgn' \(did you mean 'bsrgan'\?\)"),
        ("degradation=3", r"'degradation': expected the name of a degrader.*got 3"),
        ("data.0.wight=1", r"'weight'"),
        ("data.1.weight=1", "no place in a list of 1"),
        ("data.x=1", "no place in a list of 1"),
        ("steps.more=1", "steps is not a table"),
        ("steps=0", r"'steps': .*greater than or equal to 1, got 0"),
        ("steps=many", r"'steps': .*integer.*got 'many'"),
        ("architecture=f3n", r"'architecture': .*'f2n'"),
        ("scales=[5]", r"'scales.0'"),
        ("crop_scales=[1, 0.5]", r"'crop_scales': .*a range from less to more, got \[1.0, 0.5\]"),
        ("crop_scales=[0, 0.5]", r"'crop_scales.0'"),
        ("betas=[0.9, 1]", r"'betas.1'"),
        ("pixel_weight=0", r"'pixel_weight': no loss has a weight"),
        ("kind=redegnet", r"'kind'"),
        ("data=[]", r"'data'"),
        ("data=3", r"'data': expected a list, got 3"),
        ("config={blocks=1,", r"'config': expected a table, got '\{blocks=1,'"),
        ("data=[3]", r"'data.0': expected a table, got 3"),
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
    assert kept["made_with"]["torch"] == torch.__version__.partition("+")[0]
    assert {"redeg", "python"} <= set(kept["made_with"])
    assert kept["data"][0]["folder"] == str(workplace / "hq")


def test_without_a_state_any_recipe_may_follow(workplace: Path) -> None:
    settle_recipe(workplace / "run", recipe_of(workplace))
    path = settle_recipe(workplace / "run", recipe_of(workplace, "batch=3"))
    assert json.loads(path.read_text())["batch"] == 3


def test_what_made_a_run_does_not_keep_it_from_being_carried_on(
    started: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settled, "provenance", lambda: {"redeg": "99", "commit": "abc"})
    path = settle_recipe(started / "run", recipe_of(started))
    assert json.loads(path.read_text())["made_with"] == {"redeg": "99", "commit": "abc"}


def test_the_commit_is_that_of_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert "commit" not in provenance()
    git = ("git", "-c", "user.name=a", "-c", "user.email=a@b.c")
    subprocess.run([*git, "init", "-q"], check=True)
    assert "commit" not in provenance()  # none yet
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "first"], check=True)
    assert len(provenance()["commit"]) == 40
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "commit" not in provenance()  # no git


def test_the_tables_of_the_degradation_are_kept(workplace: Path) -> None:
    path = settle_recipe(workplace / "run", recipe_of(workplace, "degradation=bsrgan"))
    assert json.loads(path.read_text())["degradation"] == preset_table("bsrgan")


@pytest.fixture
def started(workplace: Path) -> Path:
    settle_recipe(workplace / "run", recipe_of(workplace))
    (workplace / "run" / "state.pt").touch()
    return workplace


@pytest.mark.parametrize(
    "change",
    [
        *("steps=90", "minutes=2", "learning_rate=1e-5", "save_every=7", "validate_every=8"),
        *("compile=1", "channels_last=0"),
    ],
)
def test_how_long_and_how_fast_may_change(started: Path, change: str) -> None:
    path = settle_recipe(started / "run", recipe_of(started, change))
    key, _, value = change.partition("=")
    assert json.loads(path.read_text())[key] == float(value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("batch=3", "batch = 2, now it is 3"),
        ("degradation.steps.1.p=0.6", r"degradation\.steps\.1\.p = 0\.5, now it is 0\.6"),
        ("degradation=bsrgan", r"degradation\.chains = null, now it is {.*\.\.\.: give another"),
        ("scales=[1]", r"scales = \[1, 2\], now it is \[1\]"),
        ("config.features=8", r"config\.features = 4, now it is 8"),
        ("data.0.folder=other", r"data\.0\.folder = "),
    ],
)
def test_what_is_trained_may_not_change(started: Path, change: str, message: str) -> None:
    before = (started / "run" / "recipe.json").read_bytes()
    with pytest.raises(RecipeError, match=message):
        settle_recipe(started / "run", recipe_of(started, change))
    assert (started / "run" / "recipe.json").read_bytes() == before


def test_what_is_watched_and_done_at_the_end_may_change(workplace: Path) -> None:
    def settled(*changes: str) -> None:
        recipe = load_recipe(workplace / "redegnet.toml", ReDegNetRecipe, changes)
        settle_recipe(workplace / "run", recipe)

    settled()
    (workplace / "run" / "state.pt").touch()
    settled("watched=detail", "omega_rank=40")
    with pytest.raises(RecipeError, match=r"omega_rank': .* more than 3 are wanted, got 3"):
        settled("omega_rank=3", "scales=[1, 2, 4]")


def test_another_file_of_steps_is_noticed(workplace: Path) -> None:
    own = workplace / "own.toml"
    steps = 'steps = [{ op = "jpeg", quality = [30, 40] }]\n'
    own.write_text(steps)
    settle_recipe(workplace / "run", recipe_of(workplace, f"degradation={own}"))
    (workplace / "run" / "state.pt").touch()
    own.write_text('description = "The same steps with another note"\n' + steps)
    settle_recipe(workplace / "run", recipe_of(workplace, f"degradation={own}"))
    own.write_text(steps.replace("40", "50"))
    with pytest.raises(RecipeError, match=r"steps\.0\.quality\.1 = 40, now it is 50"):
        settle_recipe(workplace / "run", recipe_of(workplace, f"degradation={own}"))


@pytest.mark.parametrize("content", [None, b"", b"{}", b'{"kind": "redegnet"}'])
def test_a_state_without_its_recipe_is_not_carried_on(started: Path, content: bytes | None) -> None:
    path = started / "run" / "recipe.json"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RecipeError, match="cannot be compared"):
        settle_recipe(started / "run", recipe_of(started))


def test_a_kept_degradation_that_is_none_is_not_compared(started: Path) -> None:
    path = started / "run" / "recipe.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"degradation": {"blur": 0.7}}))
    with pytest.raises(RecipeError, match=r"cannot be compared .*unknown key 'blur'"):
        settle_recipe(started / "run", recipe_of(started))


def test_models_beside_a_recipe_are_found(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (workplace / "mine.safetensors").write_bytes(b"")
    text = (workplace / "redegnet.toml").read_text()
    text = text.replace("crop = 32", 'crop = 32\ninit = "mine.safetensors"\npseudo_restorer = "a"')
    (workplace / "redegnet.toml").write_text(text)
    (workplace / "elsewhere").mkdir()
    monkeypatch.chdir(workplace / "elsewhere")
    recipe = load_recipe(workplace / "redegnet.toml", ReDegNetRecipe)
    assert recipe.init == str(workplace / "mine.safetensors")
    assert recipe.pseudo_restorer == "a"  # no file there: a model's name
