"""Entries of a chain: how often and in which order steps come, and what is refused by name."""

import itertools
from collections import Counter
from typing import Any

import pytest
from scipy import stats

from redeg_cli.degrade.draws import ChainReader
from redeg_cli.degrade.ops import OPS
from redeg_cli.errors import RecipeError
from redeg_cli.seeds import numpy_generator

COUNT = 3000
A, B, C, D = ({"op": "jpeg", "quality": quality} for quality in (10, 20, 30, 40))


def no_preset(name: Any, where: str) -> Any:
    raise RecipeError(f"{where}: no preset {name!r}")


def reader(scale: int = 2, chains: Any = None, presets: Any = None) -> ChainReader:
    find = no_preset if presets is None else lambda name, _: presets[name]
    return ChainReader(scale, chains or {}, find)


def qualities(steps: list[Any], count: int = COUNT, **more: Any) -> list[tuple[int, ...]]:
    """What was drawn: the quality of each step."""
    chain, rng = reader(**more).read_list(steps, "steps"), numpy_generator(0)
    return [tuple(step["quality"] for step in chain.draw(rng)) for _ in range(count)]


def once(steps: list[Any], **more: Any) -> list[dict[str, Any]]:
    return reader(**more).read_list(steps, "steps").draw(numpy_generator(0))


def come_as_often_as(seen: list[Any], shares: dict[Any, float]) -> bool:
    counts = Counter(seen)
    assert set(counts) == {key for key, share in shares.items() if share}
    keys = [key for key, share in shares.items() if share]
    expected = [len(seen) * shares[key] / sum(shares.values()) for key in keys]
    return len(keys) == 1 or stats.chisquare([counts[k] for k in keys], expected).pvalue > 1e-3


def refusal(steps: Any, **more: Any) -> str:
    with pytest.raises(RecipeError) as caught:
        reader(**more).read_list(steps, "steps")
    return str(caught.value)


def test_entries_come_in_order_with_their_parameters_drawn() -> None:
    steps = [
        {"op": "blur", "size": {"integers": [7, 9], "step": 2}, "sigma": [0.5, "scale"]},
        {"op": "resize", "of": "native"},
        {"op": "noise", "sigma": 0.1, "gray": {"chance": 1}},
        {"op": "jpeg", "quality": 30, "subsample": False},
    ]
    drawn = once(steps)
    assert [step["op"] for step in drawn] == ["blur", "resize", "noise", "jpeg"]
    assert drawn[0]["size"] in (7, 9)
    assert 0.5 <= drawn[0]["sigma"] <= 2
    assert drawn[1] == {"op": "resize", "of": "native"}
    assert drawn[3] == {"op": "jpeg", "quality": 30, "subsample": False}
    # The noise has drawn the seed of its field.
    assert drawn[2] == {"op": "noise", "sigma": 0.1, "gray": True, "seed": drawn[2]["seed"]}
    assert 0 < drawn[2]["seed"] < 1 << 62


def test_a_seed_that_is_given_is_kept_and_others_differ() -> None:
    steps = [
        {"op": "noise", "sigma": 0.1, "seed": 5},
        *({"op": "noise", "sigma": 0.1} for _ in range(2)),
    ]
    first, second, third = (step["seed"] for step in once(steps))
    assert first == 5
    assert second != third


@pytest.mark.parametrize("p", [0.3, "0.6 / scale", 0.0, 1])
def test_p_is_how_often_an_entry_happens(p: float | str) -> None:
    share = 0.3 if isinstance(p, str) else p
    shares = {(10,): share, (): 1 - share}
    assert come_as_often_as(qualities([{**A, "p": p}]), shares)
    assert come_as_often_as(qualities([{"steps": [A], "p": p}]), shares)
    assert come_as_often_as(qualities([{"one_of": [A], "p": p}]), shares)
    assert come_as_often_as(qualities([{"shuffle": [A], "p": p}]), shares)
    assert come_as_often_as(qualities([{"use": "a", "p": p}], chains={"a": [A]}), shares)


def test_p_is_drawn_for_each_entry_by_itself() -> None:
    seen = qualities([{**A, "p": 0.5}, {**B, "p": 0.2}])
    assert come_as_often_as(seen, {(): 0.4, (10,): 0.4, (20,): 0.1, (10, 20): 0.1})


def test_one_of_goes_by_the_weights() -> None:
    options = [{**A, "weight": 3}, B, {**C, "weight": "scale"}, {**D, "weight": 0}]
    shares = {(10,): 3, (20,): 1, (30,): 2, (40,): 0}
    assert come_as_often_as(qualities([{"one_of": options}]), shares)


def test_one_of_may_hold_several_steps_or_none() -> None:
    options = [{"steps": [A, B], "weight": 1}, {"steps": [], "weight": 3}]
    assert come_as_often_as(qualities([{"one_of": options}]), {(10, 20): 1, (): 3})


def test_p_within_one_of_leaves_nothing_in_its_place() -> None:
    options = [{**A, "p": 0.5}, B]
    assert come_as_often_as(qualities([{"one_of": options}]), {(10,): 1, (): 1, (20,): 2})


def test_shuffle_makes_all_orders_alike() -> None:
    orders = itertools.permutations((10, 20, 30, 40))
    assert come_as_often_as(qualities([{"shuffle": [A, B, C, D]}]), dict.fromkeys(orders, 1))


def test_shuffled_entries_stay_whole() -> None:
    seen = qualities([{"shuffle": [{"steps": [A, B]}, C]}])
    assert come_as_often_as(seen, {(10, 20, 30): 1, (30, 10, 20): 1})


def test_in_order_exchanges_two_that_came_out_the_other_way_round() -> None:
    """Not a new draw: the two keep the places that were drawn."""
    entries = [{**A, "name": "first"}, {**B, "name": "second"}, C, D]
    seen = qualities([{"shuffle": entries, "in_order": ["first", "second"]}])
    shares = Counter()
    for order in itertools.permutations((10, 20, 30, 40)):
        a, b = sorted((order.index(10), order.index(20)))
        shares[tuple({a: 10, b: 20}.get(at, value) for at, value in enumerate(order))] += 1
    assert len(shares) == 12
    assert come_as_often_as(seen, dict(shares))


def test_in_order_knows_chains_by_their_names() -> None:
    chains = {"one": [A], "two": [B]}
    for entries in (["two", "one"], [{"use": "two"}, {"use": "one"}]):
        table = {"shuffle": entries, "in_order": ["one", "two"]}
        assert set(qualities([table], 50, chains=chains)) == {(10, 20)}


def test_a_chain_is_used_by_its_name_or_just_named() -> None:
    chains = {"two": [A, B]}
    assert qualities(["two", C, {"use": "two"}], 1, chains=chains) == [(10, 20, 30, 10, 20)]


def test_each_use_of_a_chain_is_a_draw_of_its_own() -> None:
    chains = {"any": [{"op": "jpeg", "quality": {"choice": [1, 2]}}]}
    seen = qualities(["any", "any"], chains=chains)
    assert come_as_often_as(seen, {(1, 1): 1, (1, 2): 1, (2, 1): 1, (2, 2): 1})


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_only_scale_is_a_scale_or_a_list_of_them(scale: int) -> None:
    steps = [{**A, "only_scale": 4}, {**B, "only_scale": [1, 4]}, C]
    wanted = {1: (20, 30), 2: (30,), 4: (10, 20, 30)}[scale]
    assert qualities(steps, 1, scale=scale) == [wanted]
    shuffled = qualities([{"shuffle": steps}], 20, scale=scale)
    assert {tuple(sorted(each)) for each in shuffled} == {wanted}
    assert {each[0] for each in qualities([{"one_of": steps}], 60, scale=scale)} == set(wanted)


def test_scale_beside_use_is_what_scale_means_inside() -> None:
    chains = {
        "outer": ["inner", {"use": "inner", "scale": 3}],
        "inner": [{"op": "jpeg", "quality": "10 * scale"}],
    }
    steps = ["inner", {"use": "inner", "scale": 1}, {"use": "outer", "scale": 4}]
    assert qualities(steps, 1, chains=chains, scale=2) == [(20, 10, 40, 30)]


def test_only_scale_looks_at_the_scale_of_the_degrader_all_the_same() -> None:
    """Halved images of scale 4 are treated as at scale 2, but they are those of scale 4."""
    chains = {"inner": [{**A, "only_scale": 2}, {**B, "only_scale": 4}]}
    assert qualities([{"use": "inner", "scale": 2}], 1, chains=chains, scale=4) == [(20,)]


def test_what_never_happens_at_this_scale_is_checked_at_one_where_it_does() -> None:
    only = {"one_of": [{**A, "only_scale": 4}], "only_scale": 4}
    factor = {"op": "jpeg", "quality": [10, "5 * scale"], "only_scale": [4, 3]}
    assert qualities([B, only, factor], 1, scale=1) == [(20,)]
    assert "10 is above 5" in refusal([{**factor, "only_scale": 1}], scale=1)
    assert "unknown key 'qality'" in refusal([{"op": "jpeg", "qality": 1, "only_scale": 4}])


def test_an_order_that_does_not_matter_at_this_scale_is_none() -> None:
    entries = [{**A, "name": "a", "only_scale": 4}, {**B, "name": "b"}, C]
    table = {"shuffle": entries, "in_order": ["b", "a"]}
    assert set(qualities([table], 50, scale=2)) == {(20, 30), (30, 20)}
    assert all(each.index(20) < each.index(10) for each in qualities([table], 50, scale=4))


PRESETS = {
    "inner": {"steps": ["main"], "chains": {"main": [{"op": "jpeg", "quality": "scale"}]}},
    "outer": {"steps": [{"preset": "inner"}, "main"], "chains": {"main": [A]}},
    "loop": {"steps": [{"preset": "pool"}]},
    "pool": {"steps": ["main"], "chains": {"main": [{"preset": "loop"}]}},
}


def test_a_preset_brings_its_own_lists() -> None:
    """``main`` of the file, of ``outer`` and of ``inner`` are three lists."""
    steps, chains = ["main", {"preset": "outer", "scale": 3}], {"main": [{"preset": "inner"}, B]}
    assert qualities(steps, 1, chains=chains, presets=PRESETS) == [(2, 20, 3, 10)]


def test_a_list_or_preset_within_itself_is_refused() -> None:
    message = "steps[0]: use 'a' contains itself"
    assert refusal(["a"], chains={"a": ["b"], "b": [{"one_of": [A, "a"]}]}).endswith(
        "use 'a' contains itself"
    )
    assert refusal(["a"], chains={"a": ["a"]}) == message.replace("steps", "chains.a")
    assert "preset 'loop' contains itself" in refusal([{"preset": "loop"}], presets=PRESETS)


def test_the_same_list_twice_is_not_within_itself() -> None:
    chains = {"a": [A], "b": ["a", "a"]}
    assert qualities(["a", "b", "a"], 1, chains=chains) == [(10,) * 4]


def test_no_op_has_a_parameter_that_would_be_taken_for_a_key_of_the_entry() -> None:
    """Except for the weight of ``sharpen``, which is refused where it could be either."""
    for name, op in OPS.items():
        for key in ("op", "p", "only_scale", "name", "weight", "scale"):
            assert key not in op.step.model_fields or (name, key) == ("sharpen", "weight")


def test_the_weight_of_sharpen_is_its_own_but_in_one_of() -> None:
    assert once([{"op": "sharpen", "weight": 0.3}]) == [{"op": "sharpen", "weight": 0.3}]
    message = refusal([{"one_of": [{"op": "sharpen", "weight": 0.3}]}])
    assert message == (
        "steps[0].one_of[0] (sharpen): 'weight' may be that of the op or of the entry: write the "
        "op within steps = [...]"
    )
    within = {"steps": [{"op": "sharpen", "weight": 0.3}], "weight": 2}
    assert once([{"one_of": [within]}]) == [{"op": "sharpen", "weight": 0.3}]


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        (None, "steps: expected a list of steps, got None"),
        ([], "steps: expected a list of steps, got []"),
        ({"op": "jpeg"}, "steps: expected a list of steps, got {'op': 'jpeg'}"),
        ([3], "steps[0]: expected a table, got 3"),
        ([A, {"steps": [A, [B]]}], "steps[1].steps[1]: expected a table, got "),
        ([{"op": "jpg", "quality": 3}], "steps[0]: unknown op 'jpg' (did you mean 'jpeg'?)"),
        ([{"op": ["jpeg"]}], "steps[0]: unknown op ['jpeg']"),
        ([{"op": "1"}], "steps[0]: unknown op '1': there are blur, resize, noise, "),
        (
            [{**A, "zzz": 2}],
            "unknown key 'zzz': there are quality, subsample, p, only_scale",
        ),
        ([{"use": "a", "zzz": 2}], "unknown key 'zzz': there are use, scale, p, only_scale"),
        (
            [{"op": "jpeg", "quality": {"zzz": 1}}],
            "steps[0].quality.zzz: unknown: there are uniform, log_uniform, ",
        ),
        (
            [{"op": "video", "codec": {"choice": ["h264", "mpeg2"]}, "quality": [20, 40]}],
            "of mpeg2: want 1 to 31",
        ),
        (
            [{"op": "blur", "size": {"choice": [21, 7]}, "shift": [0, 5]}],
            "steps[0] (blur): shift 5 is outside of a kernel of size 7",
        ),
        (
            [{"op": "jpeg", "qualty": 3}],
            "steps[0] (jpeg): unknown key 'qualty' (did you mean 'quality'?)",
        ),
        ([{"op": "jpeg"}], "steps[0] (jpeg): 'quality': Field required"),
        ([A, {**A, "weight": 2}], "steps[1] (jpeg): unknown key 'weight'"),
        ([{"shuffle": [{**A, "weight": 2}]}], "steps[0].shuffle[0] (jpeg): unknown key 'weight'"),
        ([{**A, "name": "a"}], "steps[0] (jpeg): unknown key 'name'"),
        ([{"one_of": [A], "weight": 2}], "steps[0]: unknown key 'weight'"),
        (
            [{"op": "jpeg", "quality": 101}],
            "steps[0] (jpeg): 'quality': Input should be less than or equal to 100, got 101",
        ),
        (
            [{"op": "jpeg", "quality": [50, "scale * 60"]}],
            "steps[0] (jpeg): 'quality': Input should be less than or equal to 100, got 120",
        ),
        (
            [{"op": "blur", "size": [7, 9]}],
            "steps[0] (blur): 'size': a kernel size must be odd, got 8",
        ),
        (
            [{"op": "noise", "sigma": 0.1, "mixing": {"mixing": 0.1}}],
            "steps[0] (noise): give either sigma or mixing",
        ),
        (
            [{"op": "resize", "filter": {"choice": ["area", "cubic"]}}],
            "steps[0] (resize): 'filter': Input should be 'area', ",
        ),
        (
            [{"op": "jpeg", "quality": {"log_unifrm": [1, 2]}}],
            "steps[0].quality.log_unifrm: unknown (did you mean 'log_uniform'?)",
        ),
        ([{**A, "p": 1.5}], "steps[0].p: a probability lies between 0 and 1, got 1.5"),
        ([{**A, "p": [0, 1]}], "steps[0].p: expected a number, "),
        ([{**A, "only_scale": "4"}], "steps[0].only_scale: expected scales, got '4'"),
        ([{**A, "only_scale": []}], "steps[0].only_scale: expected scales, got []"),
        ([{**A, "only_scale": True}], "steps[0].only_scale: expected scales, got True"),
        ([{"oneof": [A]}], "steps[0]: expected one of op, steps, shuffle, one_of, preset, use, "),
        ([{"oneof": [A]}], "got 'oneof' (did you mean 'one_of'?)"),
        ([{"p": 0.5}], "steps[0]: expected one of op, steps, shuffle, one_of, preset, use, got []"),
        ([{"one_of": [A], "shuffle": [A]}], "got ['shuffle', 'one_of']"),
        ([{"shuffle": [A], "inorder": 1}], "unknown key 'inorder' (did you mean 'in_order'?)"),
        ([{"steps": [A], "in_order": ["a", "b"]}], "steps[0]: unknown key 'in_order'"),
        ([{"shuffle": []}], "steps[0].shuffle: expected a list of steps, got []"),
        ([{"one_of": A}], "steps[0].one_of: expected a list of steps, got "),
        (
            [{"shuffle": [A, B], "in_order": "ab"}],
            "steps[0].shuffle: in_order: expected two names, got 'ab'",
        ),
        (
            [{"shuffle": [{**A, "name": "a"}, B], "in_order": ["a", "b"]}],
            "steps[0].shuffle: in_order: expected one entry of the name 'b', there are 0",
        ),
        (
            [{"shuffle": [{**A, "name": "a"}, {**B, "name": "a"}], "in_order": ["a", "b"]}],
            "steps[0].shuffle: in_order: expected one entry of the name 'a', there are 2",
        ),
        ([{"one_of": [{**A, "weight": "x"}]}], "steps[0].one_of: weight: expected a number, "),
        ([{"one_of": [{**A, "weight": -1}]}], "steps[0].one_of: weights must not be negative"),
        ([{"one_of": [{**A, "weight": 0}]}], "steps[0].one_of: weights must not be negative nor"),
        (
            [{"one_of": [{**A, "only_scale": 4}]}],
            "steps[0].one_of: nothing is left for scale 2",
        ),
        (
            ["jpg"],
            "steps[0]: there is no list 'jpg' under [chains] (did you mean 'jpeg'?)",
        ),
        ([{"use": ["jpeg"]}], "steps[0]: there is no list ['jpeg'] under [chains]"),
        ([{"use": "jpeg", "scale": 0}], "steps[0].scale: expected a scale, got 0"),
        ([{"use": "jpeg", "scale": 1.5}], "steps[0].scale: expected a scale, got 1.5"),
        ([{"use": "jpeg", "scale": True}], "steps[0].scale: expected a scale, got True"),
        ([{**A, "scale": 2}], "steps[0] (jpeg): unknown key 'scale'"),
        ([{"use": "broken"}], "chains.broken[1]: unknown op 'blurr' (did you mean 'blur'?)"),
        ([{"preset": "bsrgn"}], "steps[0]: no preset 'bsrgn'"),
    ],
)
def test_what_is_none_is_refused_by_name(steps: Any, message: str) -> None:
    chains = {"jpeg": [A], "broken": [A, {"op": "blurr"}]}
    assert message in refusal(steps, chains=chains)
