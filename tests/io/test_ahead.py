"""Threads that run ahead, but not far."""

import threading

import pytest

from redeg_cli.io.ahead import map_ahead


def test_results_come_in_order_and_few_are_made_ahead() -> None:
    started: list[int] = []
    lock = threading.Lock()

    def work(number: int) -> int:
        with lock:
            started.append(number)
        return number * number

    results = map_ahead(work, range(100), threads=3)
    assert [next(results) for _ in range(10)] == [n * n for n in range(10)]
    assert len(started) <= 10 + 3 + 2
    assert list(results) == [n * n for n in range(10, 100)]
    assert sorted(started) == list(range(100))


def test_what_is_not_taken_is_not_made() -> None:
    started: list[int] = []
    results = map_ahead(lambda number: started.append(number), range(100), threads=1)
    next(results)
    results.close()  # pyright: ignore[reportAttributeAccessIssue]
    assert len(started) <= 4


def test_an_exception_comes_in_its_place() -> None:
    results = map_ahead(lambda number: 1 // number, (1, 0, 1), threads=2)
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)
