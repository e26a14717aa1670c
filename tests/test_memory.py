"""Freed memory that is kept costs no page faults, and threads share what there is."""

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from redeg_cli.memory import Room

FAULTS = """
import resource, sys
import numpy as np
from redeg_cli.memory import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
np.ones(20 << 20, np.uint8)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    np.ones(20 << 20, np.uint8)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> int:
    run = subprocess.run(
        [sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=True
    )
    return int(run.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc is Linux")
def test_blocks_are_used_again() -> None:
    without, kept = faults("no"), faults("keep")
    assert kept < 200
    assert kept <= without


def test_threads_share_the_room_and_the_largest_works_alone() -> None:
    room, held, most = Room(10), 0, 0
    lock = threading.Lock()

    def work(wanted: int) -> None:
        nonlocal held, most
        with room.taken(wanted):
            with lock:
                held += min(wanted, 10)
                most = max(most, held)
            time.sleep(0.002)
            with lock:
                held -= min(wanted, 10)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, [3, 4, 25, 1, 9, 2, 2, 10, 6, 3] * 4))
    assert (held, most) == (0, 10)


def test_room_is_given_back_after_an_error() -> None:
    room = Room(1)
    with pytest.raises(ValueError, match="broke"), room.taken(1):
        raise ValueError("broke")
    with room.taken(1):
        pass
