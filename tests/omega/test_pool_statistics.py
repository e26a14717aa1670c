"""Figures of pools: closed forms, and what was planted is found."""

import numpy as np
import pytest

from redeg_cli.omega import pool_statistics as module
from redeg_cli.omega.pool_statistics import NEAR, group_separation, pool_statistics


def cloud(count: int, seed: int = 0) -> np.ndarray:
    """(count, 512), all about as far from each other."""
    return np.random.default_rng(seed).standard_normal((count, 512)).astype(np.float32)


def one_each(count: int) -> list[str]:
    return [f"{i}.png" for i in range(count)]


def test_distances_in_closed_form() -> None:
    # Corners of a simplex with side sqrt(2): the mean lies sqrt(1 - 1/4) from each.
    found = pool_statistics(np.eye(512, dtype=np.float32)[:4], ["a", "a", "b", "c"])
    assert found.radius == pytest.approx(np.sqrt(3 / 4))
    assert found.nearest == pytest.approx(np.sqrt(2))
    assert found.nearest_of_other_pair == pytest.approx(np.sqrt(2))
    assert (found.exact_duplicates, found.near_duplicates, found.outliers) == ((), (), ())


def test_crops_of_one_pair_are_known_again() -> None:
    rows = np.zeros((6, 512), np.float32)
    # Pairs at 0, 10 and 20 along a line; the second Ω of the last lies with the first pair.
    rows[:, 0] = [0, 1, 10, 11, 20, 2]
    found = pool_statistics(rows, ["a", "a", "b", "b", "c", "c"])
    # Nearest by row: a a b b and, for c at 20, b at 11, for c at 2, a at 1.
    assert found.nearest_is_same_pair == pytest.approx(4 / 6)
    # 1 1 1 1 9 1 among all; 2 1 8 9 9 1 among other pairs.
    assert found.nearest == pytest.approx(1)
    assert found.nearest_of_other_pair == pytest.approx(5)


def test_single_rows_have_no_neighbours() -> None:
    alone = pool_statistics(cloud(1), ["a"])
    assert (alone.nearest, alone.nearest_of_other_pair, alone.radius) == (None, None, 0)
    crops = pool_statistics(cloud(3), ["a"] * 3)
    assert crops.nearest_of_other_pair is None
    assert crops.nearest_is_same_pair == 1
    assert pool_statistics(cloud(3), one_each(3)).nearest_is_same_pair is None


@pytest.mark.parametrize("distances", [1 << 22, 7 * 40, 3])
def test_planted_duplicates_are_found(distances: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_DISTANCES", distances)
    rows = cloud(40)
    rows[[9, 30]] = rows[2]
    rows[[17, 25]] = rows[11]
    radius = pool_statistics(rows, one_each(40)).radius
    step = np.zeros(512, np.float32)
    # A chain: each near the next, the ends twice as far apart as two near ones may be.
    step[3] = 0.9 * NEAR * radius
    rows[[20, 35, 5]] = [rows[38] + step, rows[38] + 2 * step, rows[38] + 3 * step]
    rows[6] = rows[7] + 1.2 * step
    found = pool_statistics(rows, one_each(40))
    assert found.exact_duplicates == ((2, 9, 30), (11, 17, 25))
    assert found.near_duplicates == ((5, 20, 35, 38),)


def test_large_pools_are_compared_in_small_parts_and_told_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_DISTANCES", 9 * 40)
    told: list[int] = []

    def on_progress(done: int, total: int, text: str = "") -> None:
        assert (total, text) == (40, "")
        told.append(done)

    pool_statistics(cloud(40), one_each(40), on_progress)
    assert told == [9, 18, 27, 36, 40]


def test_equal_rows_far_from_zero_are_exact_and_not_near() -> None:
    rows = cloud(12) + 1000
    rows[4] = rows[3]
    rows[8, 0], rows[9] = 0.0, rows[8]
    rows[9, 0] = -0.0
    found = pool_statistics(rows, one_each(12))
    assert found.exact_duplicates == ((3, 4), (8, 9))
    assert found.near_duplicates == ()


def test_planted_outliers_are_found_though_they_stand_together() -> None:
    rows = cloud(60)
    pairs = [f"{i // 4}.png" for i in range(60)]
    rows[20:24] = 3 * cloud(1, seed=5) + 0.05 * cloud(4, seed=6)  # all four crops of one pair
    found = pool_statistics(rows, pairs)
    assert {index for index, _ in found.outliers} == {20, 21, 22, 23}
    scores = [score for _, score in found.outliers]
    assert scores == sorted(scores, reverse=True)
    assert min(scores) > 3.5


def test_the_score_of_an_outlier_in_closed_form() -> None:
    rows = np.eye(512, dtype=np.float32)[:20]
    rows[3] *= 10
    (outlier,) = pool_statistics(rows, one_each(20)).outliers
    # 19 rows at sqrt(2) from 5 others: no median deviation, so the mean one is taken, which is
    # away / 20: the score is 20 / 1.2533 whatever the distance.
    assert outlier == (3, pytest.approx(20 / 1.2533, rel=1e-6))


def test_no_outliers_where_nothing_can_be_said() -> None:
    assert pool_statistics(np.eye(512)[:20], one_each(20)).outliers == ()
    assert pool_statistics(cloud(20), ["a"] * 20).outliers == ()
    few = np.eye(512)[:9]
    few[0] *= 100
    assert pool_statistics(few, one_each(9)).outliers == ()
    assert pool_statistics(np.ones((20, 512)), one_each(20)).outliers == ()


def test_groups_that_lie_apart() -> None:
    rows = cloud(20)
    groups = ["a"] * 10 + ["b"] * 10
    mixed = group_separation(rows, groups)
    assert mixed == pytest.approx(0, abs=0.05)
    rows[10:] += 100
    assert group_separation(rows, groups) == pytest.approx(1, abs=0.05)
    assert group_separation(rows, ["a"] * 20) is None
    assert group_separation(rows, one_each(20)) is None
