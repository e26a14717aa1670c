"""How parameters are given and drawn: ranges, laws by statistics, golden draws, error messages."""

import math
from typing import Annotated, Any, Literal

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import Field
from scipy import stats

from redeg_cli.degrade.distributions import NewSeed, Reader, pick, read_weights
from redeg_cli.errors import RecipeError
from redeg_cli.seeds import numpy_generator

COUNT = 4000
Triple = tuple[float, float, float]
quick = settings(deadline=None, derandomize=True, max_examples=60)


class OnlyRandom:
    """A generator of which nothing but ``random()`` may be used: its stream alone is kept."""

    def __init__(self, seed: int) -> None:
        self._rng = numpy_generator(seed)

    def random(self) -> float:
        return self._rng.random()


def draws(value: Any, kind: Any = float, count: int = COUNT, scale: int = 4) -> np.ndarray:
    distribution = Reader(scale).read(value, kind, "here")
    rng = OnlyRandom(1)
    return np.array([distribution.draw(rng) for _ in range(count)])  # pyright: ignore


def is_uniform(values: np.ndarray, low: float, high: float) -> bool:
    return stats.kstest(values, "uniform", (low, high - low)).pvalue > 1e-3


def are_alike(values: np.ndarray, options: list[Any]) -> bool:
    """Whether each option came about as often."""
    assert set(values.tolist()) == set(options)
    return stats.chisquare([(values == option).sum() for option in options]).pvalue > 1e-3


def refusal(value: Any, kind: Any = float, scale: int = 4) -> str:
    with pytest.raises(RecipeError) as caught:
        Reader(scale).read(value, kind, "steps[2].sigma")
    message = str(caught.value)
    assert message.startswith("steps[2].sigma")
    return message.removeprefix("steps[2].sigma")


@pytest.mark.parametrize(
    ("value", "kind", "wanted"),
    [
        (3, float, [3, 3, 3]),
        ([2, 8], float, [5.82177, 5.07093, 3.56967]),
        ([2, 8], int, [6, 5, 3]),
        ({"uniform": [2, 8]}, float, [5.82177, 5.07093, 3.56967]),
        ({"log_uniform": [1, 100]}, float, [18.7899, 10.5595, 3.33599]),
        ({"sqrt_uniform": [0, 8]}, float, [2.25736, 2.02351, 1.44668]),
        ({"reciprocal": [1, 8]}, float, [0.183193, 0.21821, 0.353197]),
        ({"integers": [7, 25], "step": 2}, int, [19, 17, 11]),
        ({"chance": 0.4}, bool, [False, False, True]),
        ({"choice": [1, [2, 3]], "weights": [1, 1]}, float, [2.26979, 2.95046, 1]),
        (
            [[0, 1], 2, [3, 4]],
            Triple,
            [[0.636962, 2, 3.26979], [0.511822, 2, 3.95046], [0.261612, 2, 3.29849]],
        ),
        ([0, "2 + 0.2 * scale"], float, [1.78349, 1.4331, 0.732514]),
    ],
)
def test_a_seed_always_draws_these_values(value: Any, kind: Any, wanted: list[Any]) -> None:
    distribution = Reader(4).read(value, kind, "here")
    assert [distribution.draw(numpy_generator(seed)) for seed in range(3)] == wanted


def test_a_seed_always_draws_this_mixing_and_this_seed() -> None:
    matrix = Reader(4).read({"mixing": 0.1}, tuple[Triple, ...], "here").draw(numpy_generator(0))
    wanted = [
        [0.0176163, 0.00494558, 0.00167764],
        [0.00494558, 0.0636754, 0.002845],
        [0.00167764, 0.002845, 0.0554217],
    ]
    np.testing.assert_allclose(matrix, wanted, rtol=1e-5)
    assert NewSeed().draw(numpy_generator(0)) == 2937467306286538492


@pytest.mark.parametrize("value", [3, 2.5, True, "area", None])
def test_constants_are_what_they_are(value: Any) -> None:
    kind = Literal["area"] if value == "area" else type(value)
    distribution = Reader(4).read(value, kind, "here")
    assert [distribution.draw(numpy_generator(0)), *distribution.extremes()] == [value, value]


def test_uniform_is_uniform() -> None:
    assert is_uniform(draws([2, 8]), 2, 8)
    assert is_uniform(draws([-3, "-1"]), -3, -1)


def test_a_range_of_a_whole_number_has_both_ends() -> None:
    for kind in (int, Annotated[int, Field(ge=1)], int | None, Annotated[int, Field(ge=1)] | None):
        values = draws([2, 5], kind)
        assert values.dtype == int
        assert are_alike(values, [2, 3, 4, 5])


def test_integers_go_in_steps() -> None:
    assert are_alike(draws({"integers": [7, 25], "step": 2}), [*range(7, 26, 2)])
    assert are_alike(draws({"integers": [0, 8], "step": 3}), [0, 3, 6])
    assert are_alike(draws({"integers": [-1, 1]}), [-1, 0, 1])


def test_log_uniform_has_a_uniform_logarithm() -> None:
    assert is_uniform(np.log(draws({"log_uniform": [0.1, 50]})), math.log(0.1), math.log(50))


def test_sqrt_uniform_has_a_uniform_square() -> None:
    assert is_uniform(draws({"sqrt_uniform": [0, 8]}) ** 2, 0, 8)


def test_reciprocal_is_one_over_a_uniform_number() -> None:
    assert is_uniform(1 / draws({"reciprocal": [1, "2 * scale"]}), 1, 8)


def test_chance_is_true_so_often() -> None:
    values = draws({"chance": 0.3}, bool)
    assert values.dtype == bool
    assert stats.binomtest(int(values.sum()), COUNT, 0.3).pvalue > 1e-3
    assert not draws({"chance": 0}, bool, 100).any()
    assert draws({"chance": 1}, bool, 100).all()


def test_choice_keeps_to_its_weights_and_draws_from_what_it_chose() -> None:
    values = draws({"choice": [0, [2, 3], {"log_uniform": [10, 20]}], "weights": [5, 3, 2]})
    parts = values == 0, (values >= 2) & (values <= 3), values >= 10
    seen = [int(part.sum()) for part in parts]
    assert sum(seen) == COUNT
    assert stats.chisquare(seen, [COUNT * share for share in (0.5, 0.3, 0.2)]).pvalue > 1e-3
    assert is_uniform(values[parts[1]], 2, 3)
    assert are_alike(draws({"choice": ["area", "bicubic"]}, Literal["area", "bicubic"]), FILTERS)


FILTERS = ["area", "bicubic"]


def test_what_weighs_nothing_is_never_chosen() -> None:
    assert set(draws({"choice": [1, 2, 3], "weights": [0, 1, 0]}).tolist()) == {2}


def test_elements_of_a_tuple_are_drawn_each_by_itself() -> None:
    values = draws([[0, 1], 2, [3, 4]], Triple)
    assert is_uniform(values[:, 0], 0, 1)
    assert (values[:, 1] == 2).all()
    assert is_uniform(values[:, 2], 3, 4)
    assert abs(np.corrcoef(values[:, 0], values[:, 2])[0, 1]) < 4 / math.sqrt(COUNT)
    # As many as are given, where any number is allowed; whole numbers where those are.
    several = draws([[1, 2], [5, 5], 7], tuple[int, ...])
    assert several.dtype == int
    assert are_alike(several[:, 0], [1, 2])
    assert (several[:, 1:] == [5, 7]).all()
    # A choice of whole tuples.
    angles = draws({"choice": [[15, 75, 0], [0, 0, 0]]}, Triple, 200)
    assert {tuple(each) for each in angles.tolist()} == {(15, 75, 0), (0, 0, 0)}


def test_mixing_makes_the_covariance_of_bsrgan() -> None:
    """|L² Uᵀ D U| with D in [0, 1]: no entry is negative, and the trace is that of D."""
    level = 0.1
    matrices = draws({"mixing": "25 / 250"}, tuple[Triple, ...], 1500)
    assert matrices.shape == (1500, 3, 3)
    covariance = matrices @ matrices.transpose(0, 2, 1) / level**2
    assert covariance.min() > -1e-5
    eigenvalues = np.linalg.eigvalsh(covariance)
    assert eigenvalues.min() > -1e-5
    diagonal = np.einsum("nii->ni", covariance)
    assert diagonal.max() < 1.01
    # The sum of three numbers uniform on [0, 1].
    assert stats.kstest(diagonal.sum(1), stats.irwinhall(3).cdf).pvalue > 1e-3
    # A random rotation favours no channel, and does mix them.
    assert np.ptp(diagonal.mean(0)) < 0.03
    assert 0.08 < covariance[:, 0, 1].mean() < 0.2


def test_seeds_have_62_bits_each_set_half_of_the_time() -> None:
    rng = OnlyRandom(0)
    seeds = [NewSeed().draw(rng) for _ in range(2000)]  # pyright: ignore[reportArgumentType]
    assert len(set(seeds)) == 2000
    for bit in range(62):
        ones = sum(seed >> bit & 1 for seed in seeds)
        assert abs(ones - 1000) < 4 * math.sqrt(500), bit
    assert max(seeds) < 1 << 62


def test_pick_goes_by_the_weights() -> None:
    rng = numpy_generator(0)
    seen = np.bincount([pick(rng, (1, 0, 3)) for _ in range(COUNT)], minlength=3)
    assert seen[1] == 0
    assert stats.chisquare(seen[[0, 2]], [COUNT / 4, 3 * COUNT / 4]).pvalue > 1e-3


@pytest.mark.parametrize(("value", "place"), [(0.0, 1), (math.nextafter(1, 0), 3)])
def test_pick_stays_among_those_that_weigh_something(value: float, place: int) -> None:
    """At both ends, wherever the sum of the weights is rounded to."""

    class Always:
        def random(self) -> float:
            return value

    weights = (0.0, 0.1, 0.2, 0.3, 0.0)
    assert pick(Always(), weights) == place  # pyright: ignore[reportArgumentType]


ENDS = st.floats(-1e6, 1e6, allow_nan=False)


@quick
@given(ENDS, ENDS, st.integers(0, 2**32))
@example(0.1, 0.1, 0)
def test_draws_lie_between_the_ends(one: float, other: float, seed: int) -> None:
    low, high = sorted((one, other))
    value = Reader(1).read([low, high], float, "here").draw(numpy_generator(seed))
    rounding = 5e-6 * max(abs(low), abs(high))
    assert low - rounding <= value <= high + rounding
    assert float(f"{value:.6g}") == value


@quick
@given(
    st.sampled_from(["log_uniform", "sqrt_uniform", "reciprocal"]),
    st.floats(1e-6, 1e6),
    st.floats(1e-6, 1e6),
    st.integers(0, 2**32),
)
def test_functions_lie_between_those_of_the_ends(
    name: str, one: float, other: float, seed: int
) -> None:
    low, high = sorted((one, other))
    distribution = Reader(1).read({name: [low, high]}, float, "here")
    first, last = sorted(float(value) for value in distribution.extremes())
    function = {"log_uniform": float, "sqrt_uniform": math.sqrt, "reciprocal": lambda x: 1 / x}
    ends = sorted(function[name](end) for end in (low, high))
    assert [first, last] == pytest.approx(ends, rel=5.1e-6)  # six digits
    assert first <= distribution.draw(numpy_generator(seed)) <= last


@quick
@given(st.integers(-50, 50), st.integers(0, 99), st.integers(1, 9), st.integers(0, 2**32))
def test_integers_are_on_their_grid(low: int, span: int, step: int, seed: int) -> None:
    distribution = Reader(1).read({"integers": [low, low + span], "step": step}, int, "here")
    grid = [*range(low, low + span + 1, step)]
    assert distribution.draw(numpy_generator(seed)) in grid
    assert set(distribution.extremes()) == set(grid)


@pytest.mark.parametrize("end", [0.05, 3, 10, 100, 5000, 1e7])
def test_the_ends_of_a_range_are_those_given(end: float) -> None:
    """exp(log(100)) is more than 100, which the range of a parameter may end with."""
    for name in ("uniform", "log_uniform"):
        assert Reader(4).read({name: [end, end]}, float, "here").extremes() == [end, end]
        assert Reader(4).read({name: [end / 2, end]}, float, "here").extremes() == [end / 2, end]


def test_the_last_of_very_many_integers_is_among_the_extremes() -> None:
    distribution = Reader(1).read({"integers": [1, 10**12], "step": 3}, int, "here")
    values = distribution.extremes()
    assert len(values) < 2000
    assert {values[0], values[1], values[-1]} == {1, 4, 10**12}


EXPRESSIONS = st.recursive(
    st.one_of(st.just("scale"), st.integers(0, 99).map(str), st.floats(0.01, 99).map(repr)),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*/"), inner).map(" ".join),
        inner.map("({})".format),
        inner.map("-({})".format),
    ),
    max_leaves=6,
)


@quick
@given(EXPRESSIONS, st.integers(1, 4))
@example("2 + 0.2 * scale", 4)
@example("(scale - 1) / 2", 3)
@example("10 / scale / scale", 2)
@example("1 / (scale - 1)", 1)
def test_expressions_are_worth_what_python_makes_of_them(text: str, scale: int) -> None:
    try:
        wanted = eval(text, {"__builtins__": {}}, {"scale": scale})
    except ZeroDivisionError:
        assert "expected a number" in refusal(text, scale=scale)
        return
    assert Reader(scale).read(text, float, "here").draw(numpy_generator(0)) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "scale ** 2",
        "2 * size",
        "scale.real",
        "__import__('os')",
        "abs(1)",
        "[1][0]",
        "1 if scale else 2",
        "'a'",
        "1j",
        "",
        "2 +",
        "\0",
        "True",
        "+1",
        "1" + "0" * 400 + " / 3",
        "(" * 300 + "1" + ")" * 300,
    ],
)
def test_other_text_is_no_number(text: str) -> None:
    assert "expected a number, or text like '2 + 0.2 * scale', got" in refusal(text)


@pytest.mark.parametrize(
    ("value", "kind", "words"),
    [
        ([3, 1], float, ": 3 is above 1; expected [low, high]"),
        (["scale", 3], float, ": 4 is above 3; expected [low, high]"),
        ([1, 2, 3], float, ": expected [low, high], got [1, 2, 3]"),
        ([1], float, ": expected [low, high], got [1]"),
        ([1, True], float, ": expected a number"),
        ([1, None], float, "got None"),
        ([0, math.inf], float, ": expected a finite number, got inf"),
        ([math.nan, 1], float, ": expected a finite number, got nan"),
        ([0, 10**400], float, ": expected a number"),
        ([1.5, 3], int, ": expected whole numbers, got [1.5, 3]"),
        ([0, 1], bool, ": expected a value or { choice = [...] }, got [0, 1]"),
        (["area", "pool"], Literal["area", "pool"], ": expected a value or { choice = [...] }"),
        ([1, 2], Triple, ": expected 3 values, got [1, 2]"),
        ([1, [3, 2], 1], Triple, "[1]: 3 is above 2"),
        ({"log_unifrm": [1, 2]}, float, ".log_unifrm: unknown (did you mean 'log_uniform'?)"),
        ({"log_uniform": [1, 2], "uniform": [1, 2]}, float, ": expected a table with one of"),
        ({"log_uniform": [1, 2], "step": 2}, float, ": expected a table with one of"),
        ({"step": 2}, float, ": expected a table with one of"),
        ({}, float, ": expected a table with one of uniform, log_uniform"),
        ({"log_uniform": [0, 2]}, float, ".log_uniform: both ends must be above 0, got [0, 2]"),
        ({"reciprocal": [0, 2]}, float, ".reciprocal: both ends must be above 0"),
        ({"sqrt_uniform": [-1, 2]}, float, ".sqrt_uniform: both ends must be above 0"),
        ({"log_uniform": 3}, float, ".log_uniform: expected [low, high], got 3"),
        ({"log_uniform": [1, 9]}, int, ".log_uniform: gives fractions; expected [low, high]"),
        ({"uniform": [0, 1]}, bool, ".uniform: gives fractions; expected chance"),
        ({"integers": [1, 2.5]}, int, ".integers: expected whole numbers, got [1, 2.5]"),
        ({"integers": [1, 9], "step": 0}, int, ".integers: step must be a whole number above 0"),
        ({"integers": [1, 9], "step": 1.5}, int, ".integers: step must be a whole number above 0"),
        ({"chance": 1.2}, bool, ".chance: a probability lies between 0 and 1, got 1.2"),
        ({"chance": "scale"}, bool, ".chance: a probability lies between 0 and 1, got 'scale'"),
        ({"mixing": 2}, Triple, ".mixing: a deviation lies between 0 and 1, got 2"),
        ({"mixing": -0.1}, Triple, ".mixing: a deviation lies between 0 and 1, got -0.1"),
        ({"choice": []}, float, ".choice: expected a list, got []"),
        ({"choice": 3}, float, ".choice: expected a list, got 3"),
        ({"choice": [1, 2], "weights": [1]}, float, ".choice: expected 2 weights, got [1]"),
        ({"choice": [1, 2], "weights": 3}, float, ".choice: expected 2 weights, got 3"),
        ({"choice": [1, 2], "weights": [1, -1]}, float, ".choice: weights must not be negative"),
        ({"choice": [1, 2], "weights": [0, 0]}, float, "nor all 0, got [0, 0]"),
        ({"choice": [1, [3, 2]]}, float, ".choice[1]: 3 is above 2"),
    ],
)
def test_what_is_none_is_refused_by_name(value: Any, kind: Any, words: str) -> None:
    assert words in refusal(value, kind)


def test_a_weight_may_be_an_expression_but_not_negative() -> None:
    values = draws({"choice": [1, 2], "weights": ["scale - 1", 1]})
    assert stats.binomtest(int((values == 1).sum()), COUNT, 0.75).pvalue > 1e-3
    assert read_weights([0, 2.5], "here") == (0, 2.5)
    with pytest.raises(RecipeError, match="here: weights must not be negative"):
        read_weights([-1, 2], "here")
