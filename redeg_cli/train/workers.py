"""Batches of training that processes make ahead, while the network trains on earlier ones."""

import ctypes
import logging
import multiprocessing
import os
import signal
import sys
import warnings
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Generic, TypeVar

import cv2
import numpy as np
import torch
from torch import Tensor

from redeg_cli.cpu import cpu_cores
from redeg_cli.device import processes_here
from redeg_cli.errors import RecipeError

Batch = TypeVar("Batch", bound=tuple[Tensor, ...])
"""A NamedTuple of tensors."""

_log = logging.getLogger(__name__)
_MOST = 8
"""Processes that ``worker_count`` gives at most by itself."""
_PR_SET_PDEATHSIG = 1


def worker_count(wanted: int | None, device: torch.device) -> int:
    """Return how many processes make batches for a run on ``device``; 0 for the run itself.

    None lets a GPU have the other cores, at most 8: to degrade a batch takes thousands of small
    operations, and a GPU waits for each to be given to it. A CPU is busy with the network. Raises
    RecipeError where there are no such processes: they are forked, which only Linux does well.
    """
    if wanted is None:
        gpu = device.type == "cuda" and sys.platform == "linux"
        return max(0, min(_MOST, cpu_cores() // processes_here() - 1)) if gpu else 0
    if wanted and sys.platform != "linux":
        raise RecipeError("'workers': batches are made by other processes on Linux only, give 0")
    return wanted


class BatchMaker(Generic[Batch]):
    """Gives the batches of a run's steps, one after the other.

    With ``workers`` so many processes make those of the coming steps; they know what ``make`` knew
    when the first batch was asked for. A batch must depend on its step alone: then it is the same
    however many there are.
    """

    def __init__(
        self, make: Callable[[int], Batch], device: torch.device, workers: int = 0
    ) -> None:
        """``make`` returns the batch of a step, which is moved to ``device``; workers make theirs
        on the CPU."""
        self._make = make
        self._device = device
        self._workers = workers
        self._pool: ProcessPoolExecutor | None = None
        self._coming: deque[Future[_Sent]] = deque()
        self._next = 0
        """The step of the first of those."""

    def close(self) -> None:
        """Let the workers end."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
        self._pool = None
        self._coming.clear()

    def __call__(self, step: int) -> Batch:
        """Return the batch of a step."""
        if not self._workers:
            return _on(self._make(step), self._device)
        try:
            kind, arrays = self._taken(step)
        except BrokenProcessPool:
            _log.warning(
                "a process that makes batches was ended, for want of memory perhaps (fewer: "
                "--set workers=1): the run goes on without, more slowly"
            )
            self._workers = 0
            self.close()
            return self(step)
        return _on(kind(*map(torch.from_numpy, arrays)), self._device)

    def _taken(self, step: int) -> "_Sent":
        """Return what a worker made for ``step``, and let the next steps be made."""
        if step != self._next:
            self._coming.clear()
            self._next = step
        # Two for each, so that none waits until a batch of its own is taken.
        while len(self._coming) < 2 * self._workers:
            self._coming.append(self._submitted(self._next + len(self._coming)))
        self._next += 1
        return self._coming.popleft().result()

    def _submitted(self, step: int) -> "Future[_Sent]":
        if self._pool is not None:
            return self._pool.submit(_work, step)
        forked = multiprocessing.get_context("fork")
        self._pool = ProcessPoolExecutor(self._workers, forked, _begin, (self._make,))
        with warnings.catch_warnings():
            # That locks of other threads would stay locked. There are none that a worker needs.
            warnings.filterwarnings("ignore", ".*multi-threaded.*fork", DeprecationWarning)
            return self._pool.submit(_work, step)


_Sent = tuple[type, list[np.ndarray]]
"""A batch on its way. Tensors would go through shared memory, of which a container has 64 MB."""
_make: Callable[[int], tuple[Tensor, ...]] | None = None
"""In a worker: what it makes."""


def _begin(make: Callable[[int], tuple[Tensor, ...]]) -> None:
    """Make this process a worker: of one thread, and with the run's end as its own."""
    global _make
    _make = make
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    os.setpgrp()  # a stop, as by Ctrl-C, is the run's own, which finishes its step first
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_DFL)
    # Else one that waits would outlive a run that is killed.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _work(step: int) -> _Sent:
    assert _make is not None
    with torch.no_grad():
        batch = _make(step)
    return type(batch), [tensor.numpy() for tensor in batch]


def _on(batch: Batch, device: torch.device) -> Batch:
    return type(batch)(*(tensor.to(device) for tensor in batch))
