"""Pictures matched by name: what fits, and what is left out rather than guessed."""

from pathlib import Path

import pytest

from redeg_cli.evaluate.matching import Matched, match_names, trimmed


def match(wanted: dict[str, tuple[str, ...]] | list[str], *offered: str) -> Matched:
    stems = wanted if isinstance(wanted, dict) else {name: (name,) for name in wanted}
    return match_names(stems, [(Path("out") / name, name) for name in offered])


def found(matched: Matched) -> dict[str, str]:
    return {name: path.relative_to("out").as_posix() for name, path in matched.found.items()}


@pytest.mark.parametrize(
    ("stem", "expected"),
    [
        ("0801x4", "0801"),
        ("0801x4w2", "0801"),
        ("Canon_001_LR4", "Canon_001"),
        ("Nikon_012_HR", "Nikon_012"),
        ("panasonic_102_x1", "panasonic_102"),
        ("a/b_x4_restored", "a/b"),
        ("photo-out", "photo"),
        ("a_GT", "a"),
        ("ax4", "ax4"),  # a word that ends so, not 0801x4
        ("shr", "shr"),
        ("_hr", "_hr"),  # nothing would be left
        ("d_hr/_lr", "d_hr/_lr"),
        ("v1.0_lr/img.1", "v1.0_lr/img.1"),
    ],
)
def test_tags_are_taken_off(stem: str, expected: str) -> None:
    assert trimmed(stem) == expected


def test_equal_names_whatever_the_suffix() -> None:
    matched = match(["a", "n/b.c"], "a.jpg", "n/b.c.png")
    assert found(matched) == {"a": "a.jpg", "n/b.c": "n/b.c.png"}
    assert (matched.missing, matched.problems) == ([], [])


@pytest.mark.parametrize("tail", ["_restored", "_out", "_x4", "_SR", "x4", "-out"])
def test_tags_of_restorers(tail: str) -> None:
    names = ["0801", "0802"]
    assert found(match(names, *(f"{n}{tail}.png" for n in names))) == {
        name: f"{name}{tail}.png" for name in names
    }


def test_folders_may_differ() -> None:
    matched = match(["Test/4/Canon_001", "Test/4/Canon_002"], "x/Canon_001_out.png")
    assert found(matched) == {"Test/4/Canon_001": "x/Canon_001_out.png"}
    assert matched.missing == ["Test/4/Canon_002"]


def test_one_tail_on_all() -> None:
    assert found(match(["a", "a_b"], "a_SwinIR.png", "a_b_SwinIR.png")) == {
        "a": "a_SwinIR.png",
        "a_b": "a_b_SwinIR.png",
    }


@pytest.mark.parametrize(
    "offered",
    [
        ("a_SwinIR.png", "b_HAT.png"),  # two tails
        ("a_SwinIR.png", "c_SwinIR.png"),  # c is nothing
        ("a_SwinIR.png",),  # one picture has its tail by chance
        ("aa.png", "ba.png"),  # the tail goes on with a letter
    ],
)
def test_no_tail_is_guessed(offered: tuple[str, ...]) -> None:
    matched = match(["a", "b"], *offered)
    assert matched.found == {}
    assert matched.missing == ["a", "b"]
    assert len(matched.problems) == len(offered)
    assert "it has no partner" in matched.problems[0]


def test_doubles_are_named() -> None:
    matched = match(["a"], "a.jpg", "a.png")
    assert found(matched) == {"a": "a.jpg"}
    assert matched.problems == [f"{Path('out/a.png')} is left out: a.jpg has the same name"]


def test_what_could_be_several_is_left_out() -> None:
    matched = match(["x/a", "y/a"], "a.png")
    assert matched.missing == ["x/a", "y/a"]
    assert "could be any of x/a, y/a" in matched.problems[0]
    matched = match(["a"], "a_x2.png", "a_x4.png")
    assert matched.missing == ["a"]
    assert len(matched.problems) == 2
    assert "another picture could be a too" in matched.problems[0]


def test_a_picture_beside_the_result() -> None:
    matched = match(["a"], "a.png", "a_out.png")
    assert found(matched) == {"a": "a.png"}
    assert "a.png is taken for a" in matched.problems[0]


def test_sheets_of_finetune_are_passed_over() -> None:
    matched = match(["a", "b"], "a_restored.png", "b_restored.png", "b_before_after.png")
    assert (len(matched.found), matched.problems) == (2, [])
    matched = match(["a"], "a_restored.png", "before_after.png", "unbefore_after.png")
    (problem,) = matched.problems
    assert "unbefore_after.png is left out" in problem


def test_two_stems_of_one_name() -> None:
    wanted = {"Canon_001": ("Canon_001", "Canon_001_HR", "Canon_001_LR4")}
    assert found(match(wanted, "Canon_001_LR4.png")) == {"Canon_001": "Canon_001_LR4.png"}
    assert match(wanted, "Canon_001_HR.png", "Canon_001_LR4.png").missing == ["Canon_001"]
