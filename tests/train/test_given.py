"""Ready pairs for a restorer: where their rows lie, how they fit each scale, what is refused."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from registered import boxes

from redeg_cli.degrade.resize import resize
from redeg_cli.errors import PairError, RecipeError
from redeg_cli.io.images import to_array, to_tensor, write_rgb
from redeg_cli.train.check import check_data
from redeg_cli.train.data import load_store
from redeg_cli.train.given import batch_of, load_given
from redeg_cli.train.overview import overview
from redeg_cli.train.pairs import PairMaker
from redeg_cli.train.recipe_files import load_recipe
from redeg_cli.train.recipes import RestorerRecipe
from redeg_cli.train.training import train

CPU = torch.device("cpu")


def write_pairs(folder: Path, scale: int = 2, count: int = 3) -> Path:
    """Write native pairs; the HQ is red, so that no made pair is taken for one of these."""
    for number in range(count):
        hq = boxes(number) * [1.0, 0.0, 0.0]
        height, width = (side // scale for side in hq.shape[:2])
        lq = to_array(resize(to_tensor(hq.astype("float32")), (height, width), "area"))
        write_rgb(folder / "hr" / f"{number}.png", hq)
        write_rgb(folder / "lr" / f"{number}.png", lq)
    return folder


def recipe_with(workplace: Path, *overrides: str) -> RestorerRecipe:
    pairs = f'pairs=["{workplace}/pairs"]'
    return load_recipe(workplace / "restorer.toml", RestorerRecipe, [pairs, *overrides])


def is_red(images: torch.Tensor) -> list[bool]:
    return [bool(image[1:].max() < 0.02) for image in images]


def test_pairs_fit_every_scale(workplace: Path) -> None:
    write_pairs(workplace / "pairs")
    given = load_given(recipe_with(workplace))
    assert given is not None
    for scale in (1, 2):
        lq, hq = given.crops([4, 5, 6], 8, scale)
        assert lq.shape == (3, 3, 8, 8)
        assert hq.shape == (3, 3, 8 * scale, 8 * scale)
        # Registered: the HQ made as small as the LQ is the LQ.
        assert (resize(hq, (8, 8), "area") - lq).abs().mean() < 0.03
    # The LQs of a seed are those of every scale.
    assert torch.equal(given.crops([4], 8, 1)[0], given.crops([4], 8, 2)[0])


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_the_share_of_given_rows(workplace: Path, share: float) -> None:
    write_pairs(workplace / "pairs")
    recipe = recipe_with(workplace, f"pairs_share={share}", "batch=40")
    store = load_store(recipe.data, CPU, 16)
    maker = PairMaker(recipe, CPU, given=load_given(recipe))
    lq, hq = maker.fresh_batch(store, 2, 0)
    assert lq.shape == (40, 3, 8, 8)
    rows = is_red(hq)
    assert rows == is_red(lq)  # LQ and HQ of a row belong together
    assert sum(rows) == 40 if share == 1 else 10 <= sum(rows) <= 30
    again = PairMaker(recipe, CPU, given=load_given(recipe)).fresh_batch(store, 2, 0)
    assert torch.equal(lq, again[0])
    # What is validated on is made.
    assert not any(is_red(maker.batch(store, 2, "validation", 4)[1]))


def test_two_processes_share_a_batch(workplace: Path) -> None:
    write_pairs(workplace / "pairs")
    recipe = recipe_with(workplace, "pairs_share=0.5", "batch=6")
    store = load_store(recipe.data, CPU, 16)

    def rows_of(process: int, processes: int) -> torch.Tensor:
        maker = PairMaker(recipe, CPU, process, processes, given=load_given(recipe))
        return maker.fresh_batch(store, 2, 3)[1]

    whole = rows_of(0, 1)
    torch.testing.assert_close(whole[0::2], rows_of(0, 2))
    torch.testing.assert_close(whole[1::2], rows_of(1, 2))


def test_rows_keep_the_order_of_their_seeds(workplace: Path) -> None:
    write_pairs(workplace / "pairs")
    given = load_given(recipe_with(workplace, "pairs_share=0.5"))
    assert given is not None

    def made(seeds: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
        values = torch.tensor(seeds, dtype=torch.float32).view(-1, 1, 1, 1) + 10
        return values.expand(-1, 3, 8, 8), values.expand(-1, 3, 16, 16)

    seeds = list(range(20))
    lq, hq = batch_of(made, given, seeds, 8, 2, CPU)
    for seed in seeds:
        want = given.crops([seed], 8, 2) if given.has(seed) else made([seed])
        assert torch.equal(lq[seed], want[0][0])
        assert torch.equal(hq[seed], want[1][0])


def test_faces_stay_upright(workplace: Path) -> None:
    """The upper half is white: no crop of the whole picture has a white lower half."""
    picture = torch.zeros(1, 3, 32, 32)
    picture[:, :, :16] = 1
    for side in ("hr", "lr"):
        write_rgb(workplace / "pairs" / side / "a.png", to_array(picture))
    face = ('architecture="face-restorer"', "scales=[1]", "crop=32", "config={}")
    given = load_given(recipe_with(workplace, *face))
    assert given is not None
    lq, _ = given.crops(range(12), 32, 1)
    assert (lq[:, :, :16] == 1).all()
    assert (lq[:, :, 16:] == 0).all()


def test_a_run_on_pairs_alone_needs_no_other_images(workplace: Path) -> None:
    write_pairs(workplace / "pairs")
    recipe = recipe_with(workplace, "data=[]", "steps=2", "validate_every=1")
    assert overview(recipe, workplace / "run", device="cpu")["pairs"] == {
        str(workplace / "pairs"): 3
    }
    assert train(recipe, workplace / "run", device="cpu")[0].is_file()


def test_a_network_learns_what_the_pairs_show(workplace: Path) -> None:
    """Targets are darker than any LQ: after some steps what comes out is darker too."""
    for number in range(2):
        hq = boxes(number)
        write_rgb(workplace / "pairs" / "hr" / f"{number}.png", hq * 0.5)
        small = F.interpolate(to_tensor(hq), scale_factor=0.5, mode="area")
        write_rgb(workplace / "pairs" / "lr" / f"{number}.png", to_array(small))
    from redeg_cli.models import load_restorer

    recipe = recipe_with(workplace, "steps=60", "scales=[2]", "learning_rate=1e-2")
    restorer = load_restorer(train(recipe, workplace / "run", device="cpu")[0], 2)
    lq = F.interpolate(to_tensor(boxes(0)), scale_factor=0.5, mode="area")
    with torch.inference_mode():
        assert restorer(lq).mean() < 0.8 * lq.mean()


def test_what_is_refused(workplace: Path) -> None:
    with pytest.raises(RecipeError, match="'data': give folders"):
        load_recipe(workplace / "restorer.toml", RestorerRecipe, ["data=[]"])
    write_pairs(workplace / "pairs")
    with pytest.raises(RecipeError, match="'data'"):
        recipe_with(workplace, "data=[]", "pairs_share=0.5")
    with pytest.raises(PairError, match="no pair of scale 4"):
        load_given(recipe_with(workplace, "scales=[4]", "config.scales=[4]"))
    for side in ("hr", "lr"):
        write_rgb(workplace / "same" / side / "a.png", boxes(0))
    same = load_recipe(workplace / "restorer.toml", RestorerRecipe, [f'pairs=["{workplace}/same"]'])
    with pytest.raises(RecipeError, match="as large as their HQs"):
        load_given(same)


def test_check_data_looks_at_the_pairs(workplace: Path) -> None:
    write_pairs(workplace / "pairs")
    assert check_data(recipe_with(workplace, "data=[]")).findings == []
    shifted = boxes(7)
    write_rgb(workplace / "pairs" / "hr" / "7.png", shifted)
    small = F.interpolate(to_tensor(shifted).roll(6, 3), scale_factor=0.5, mode="area")
    write_rgb(workplace / "pairs" / "lr" / "7.png", to_array(small))
    found = check_data(recipe_with(workplace, "data=[]")).findings
    assert [finding.problem for finding in found] == ["mismatched"]
    assert "shifted" in found[0].message
