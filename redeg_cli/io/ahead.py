"""Work of threads that runs ahead of who takes its results, but not far."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from redeg_cli.cpu import cpu_cores

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_ahead(
    function: Callable[[Item], Result], items: Iterable[Item], threads: int | None = None
) -> Iterator[Result]:
    """Yield ``function`` of each item, in order, from threads (None: one a core, at most 8).

    At most two results more than there are threads are under way or wait to be taken: of pictures,
    all would fill the memory. An exception of ``function`` is raised where its result would come.
    """
    threads = threads or min(8, cpu_cores())
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(threads, "redeg-ahead") as pool:
        try:
            for item in items:
                if len(waiting) >= threads + 2:
                    yield waiting.popleft().result()
                waiting.append(pool.submit(function, item))
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
