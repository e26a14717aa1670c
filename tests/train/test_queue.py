"""The pool of training pairs: nothing is lost, pairs stay pairs, and a resumed run goes on."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from redeg_cli.errors import RecipeError
from redeg_cli.train.queue import PairQueue


def batch(first: int, count: int) -> tuple[Tensor, Tensor]:
    """LQ and HQ images that carry their number: n and −n."""
    numbers = torch.arange(first, first + count, dtype=torch.float32).view(-1, 1, 1, 1)
    return numbers.expand(count, 3, 2, 3).clone(), -numbers.expand(count, 3, 4, 6).clone()


def numbers(lq: Tensor, hq: Tensor) -> list[int]:
    assert torch.equal(lq, lq[:, :1, :1, :1].expand_as(lq))
    assert torch.equal(hq, -lq[:, :1, :1, :1].expand_as(hq))  # still the pair it was
    return [int(n) for n in lq[:, 0, 0, 0]]


def held(queue: PairQueue) -> list[int]:
    state = queue.state_dict()
    return numbers(state["lq"], state["hq"]) if len(queue) else []


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 1000))
def test_no_pair_is_lost_or_torn(capacity: int, count: int, seed: int) -> None:
    queue = PairQueue(capacity)
    if count > capacity:
        with pytest.raises(ValueError, match="cannot take a batch"):
            queue.give(*batch(0, count), seed)
        return
    for step in range(8):
        before = held(queue)
        given_now = batch(step * count, count)
        out = numbers(*queue.give(*given_now, seed + step))
        assert len(out) == count
        if len(before) + count <= capacity:
            assert out == numbers(*given_now)
            assert held(queue) == before + out
        else:
            assert set(out) <= set(before)
            assert sorted(held(queue) + out) == sorted(before + numbers(*given_now))
        assert len(queue) == len(held(queue)) <= capacity


def test_batches_are_mixed_from_many_earlier_ones() -> None:
    queue = PairQueue(32)
    ages = set()
    for step in range(60):
        out = numbers(*queue.give(*batch(4 * step, 4), seed=step))
        if step >= 30:
            assert len({n // 4 for n in out}) >= 2
            ages |= {step - n // 4 for n in out}
    assert min(ages) == 1  # the last batch can come at once
    assert max(ages) > 8  # and pairs stay longer than a first-in-first-out queue would keep them


def test_what_comes_out_depends_on_the_seed() -> None:
    outs = []
    for seed in (5, 5, 6):
        queue = PairQueue(16)
        for step in range(4):
            queue.give(*batch(4 * step, 4), seed=0)
        outs.append(numbers(*queue.give(*batch(16, 4), seed)))
    assert outs[0] == outs[1] != outs[2]


@pytest.mark.parametrize("stop", [0, 2, 7])
def test_a_resumed_run_goes_on_bit_for_bit(tmp_path: Path, stop: int) -> None:
    def run(queue: PairQueue, steps: range) -> list[list[int]]:
        return [numbers(*queue.give(*batch(3 * s, 3), seed=100 + s)) for s in steps]

    whole = run(PairQueue(10), range(12))
    first = PairQueue(10)
    start = run(first, range(stop))
    torch.save(first.state_dict(), tmp_path / "state.pt")
    run(first, range(stop, 12))  # what goes on after saving does not reach the file
    second = PairQueue(10)
    second.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert start + run(second, range(stop, 12)) == whole


def test_a_state_is_not_changed_by_what_follows() -> None:
    queue = PairQueue(4)
    queue.give(*batch(0, 4), seed=0)
    state = queue.state_dict()
    other = PairQueue(4)
    other.load_state_dict(state)
    for each in (queue, other):
        each.give(*batch(4, 4), seed=1)
    assert numbers(state["lq"], state["hq"]) == [0, 1, 2, 3]


def test_the_pool_is_not_a_view_of_what_was_given() -> None:
    queue = PairQueue(4)
    lq, hq = batch(0, 2)
    lq.requires_grad_()
    out, _ = queue.give(lq, hq, seed=0)
    assert not out.requires_grad
    out.add_(50)
    hq.add_(50)
    assert held(queue) == [0, 1]


def test_wrong_pairs_and_states_are_errors() -> None:
    queue = PairQueue(4)
    queue.give(*batch(0, 2), seed=0)
    lq, hq = batch(2, 2)
    with pytest.raises(ValueError, match="got 1 LQ and 2 HQ"):
        queue.give(lq[:1], hq, seed=0)
    with pytest.raises(ValueError, match=r"holds images of \[3, 4, 6\], got \[3, 4, 5\]"):
        queue.give(lq, hq[..., :5], seed=0)
    assert held(queue) == [0, 1]
    with pytest.raises(RecipeError, match="queue of 4 pairs, the recipe one of 8"):
        PairQueue(8).load_state_dict(queue.state_dict())
    with pytest.raises(ValueError, match="at least 1"):
        PairQueue(0)
