"""Ω without content: no probe tells it any more, and the degradation stays."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from redeg_cli.errors import RedegError
from redeg_cli.omega.content import fold, without_content

SIZE = 40


def omegas(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return Ωs of two kinds of content: five directions of degradation, a leak, and crumbs."""
    fixed = torch.Generator().manual_seed(0)
    mixing = torch.randn(5, SIZE, generator=fixed)
    leak = mixing[0] * 0.3 + 0.3 * torch.randn(SIZE, generator=fixed)
    crumbs = 0.02 * torch.randn(SIZE, generator=fixed)
    drawn = torch.Generator().manual_seed(seed)
    degradation = torch.randn(count, 5, generator=drawn) @ mixing
    kinds = [degradation + 0.01 * torch.randn(count, SIZE, generator=drawn) for _ in range(2)]
    return kinds[0] + leak + crumbs + 1.5, kinds[1] - leak - crumbs + 1.5


def probe(train: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor]) -> float:
    labels = [np.repeat([0, 1], len(each[0])) for each in (train, test)]
    fitted = LogisticRegression(max_iter=2000).fit(torch.cat(train).numpy(), labels[0])
    return float(fitted.score(torch.cat(test).numpy(), labels[1]))


def test_no_probe_tells_content_and_the_degradation_stays() -> None:
    train, test = omegas(400, 1), omegas(400, 2)
    assert probe(train, test) > 0.95
    directions = without_content([train], rank=6)
    cleaned = [tuple(directions.keep(each).float() for each in p) for p in (train, test)]
    assert probe(*cleaned) < 0.56
    # What partners have in common is nearly all that there was.
    a, b = cleaned[1]
    spread = torch.cat(test).var(0).sum()
    assert (a - b).square().sum(1).mean() < 0.05 * spread
    assert torch.cat([a, b]).var(0).sum() > 0.8 * spread


def test_only_so_many_directions_are_left() -> None:
    cleaned = without_content([omegas(300, 1)], rank=4).keep(torch.cat(omegas(300, 3)))
    assert torch.linalg.matrix_rank(cleaned - cleaned.mean(0), atol=1e-6) == 3


def test_what_is_clean_stays_as_it_is() -> None:
    train = omegas(300, 1)
    directions = without_content([train], rank=6)
    once = directions.keep(torch.cat(train))
    torch.testing.assert_close(directions.keep(once), once)


def test_folding_keeps_what_comes_behind_ω_and_leaves_room_in_it() -> None:
    torch.manual_seed(0)
    last, first, x = nn.Linear(7, SIZE), nn.Linear(SIZE, 5), torch.randn(9, 7)
    directions = without_content([omegas(300, 1)], rank=6)
    before = directions.keep(last(x)).float()
    expected = first(before)
    fold(last, first, directions)
    omega = last(x)
    torch.testing.assert_close(first(omega), expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(torch.cdist(omega, omega), torch.cdist(before, before))
    assert not omega[:, 6:].any()
    omega[:, 6:] = 100  # what stands there is nothing to SynNet
    torch.testing.assert_close(first(omega), expected, atol=1e-4, rtol=1e-4)


def test_too_few_rows_are_one_line() -> None:
    with pytest.raises(RedegError, match="20 Ωs in 1 groups cannot be kept to 24"):
        without_content([omegas(10, 1)], rank=24)


def test_groups_may_tell_content_in_ways_of_their_own() -> None:
    """In one group content adds to a direction, in the other it takes away from it."""

    def both(seed: int) -> list[tuple[Tensor, Tensor]]:
        (a, b), (c, d) = omegas(400, seed), omegas(400, seed + 50)
        return [(a, b), (d, c)]

    directions = without_content(both(1), rank=6)
    for train, test in zip(both(1), both(2), strict=True):
        cleaned = [tuple(directions.keep(each).float() for each in pair) for pair in (train, test)]
        assert probe(train, test) > 0.95
        assert probe(*cleaned) < 0.58  # pyright: ignore[reportArgumentType]
