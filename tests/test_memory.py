"""Freed memory that is kept costs no page faults, and threads share what there is."""

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from redeg_cli import memory
from redeg_cli.memory import Room, available_memory

GIB = 1 << 30
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


def test_a_container_has_less_memory_than_its_computer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job of 8 GiB on a node of 256: 3 are used, of which 1 is of files that were read."""
    job = tmp_path / "groups" / "slurm" / "job"
    job.mkdir(parents=True)
    (tmp_path / "own").write_text("0::/slurm/job\n")
    monkeypatch.setattr(memory, "OWN_CGROUP", tmp_path / "own")
    monkeypatch.setattr(memory, "CGROUPS", tmp_path / "groups")
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=256 * GIB))

    def limit(folder: Path, most: object, used: int, cached: int) -> None:
        (folder / "memory.max").write_text(f"{most}\n")
        (folder / "memory.current").write_text(f"{used}\n")
        stat = f"anon {used - cached}\nactive_file 0\ninactive_file {cached}\n"
        (folder / "memory.stat").write_text(stat)

    assert available_memory() == 256 * GIB
    limit(job, "max", 3 * GIB, GIB)
    assert available_memory() == 256 * GIB
    limit(job, 8 * GIB, 3 * GIB, GIB)
    assert available_memory() == 6 * GIB
    limit(job.parent, 16 * GIB, 11 * GIB, 0)
    assert available_memory() == 5 * GIB
    monkeypatch.setattr(memory, "OWN_CGROUP", tmp_path / "none")
    assert available_memory() == 256 * GIB
