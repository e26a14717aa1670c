"""The memory of the process."""

import ctypes
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

OWN_CGROUP = Path("/proc/self/cgroup")
CGROUPS = Path("/sys/fs/cgroup")


def keep_freed_memory() -> None:
    """Have this process keep the memory it frees, for the next tensors, where the C library can.

    glibc hands large blocks back to the system at once, and each page of the next block costs a
    fault: degrading 256x256 images takes a fifth more time so. Up to 2 GiB are kept.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        set_option = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return  # another C library
    trim_threshold, mmap_threshold = -1, -3  # of malloc.h
    set_option(trim_threshold, (1 << 31) - 1)
    set_option(mmap_threshold, 32 << 20)  # the largest it takes


def available_memory() -> int:
    """Return the bytes that this process can still have: what the computer has left, or the least
    that its container or its job on a cluster (Linux's cgroup v2) may still take."""
    from psutil import virtual_memory

    left = [virtual_memory().available]
    try:
        line = OWN_CGROUP.read_text(encoding="utf-8").rpartition("0::/")[2]
    except OSError:
        return left[0]  # not Linux
    group = CGROUPS / line.strip()
    for folder in (group, *group.parents):
        left += _left_of(folder)
    return max(0, min(left))


def _left_of(group: Path) -> list[int]:
    """Return what the processes of a group may still take, or nothing where there is no limit."""
    try:
        limit = int((group / "memory.max").read_text())
        used = int((group / "memory.current").read_text())
        rows = (line.split() for line in (group / "memory.stat").read_text().splitlines())
        # Files that were read lie in the memory until it is wanted.
        cached = sum(int(size) for key, size in rows if key in ("active_file", "inactive_file"))
    except (OSError, ValueError):
        return []
    return [limit - used + cached]


class Room:
    """Memory that threads share: one that wants more than is left waits for the others.

    What wants more than all of it gets all, and works alone.
    """

    def __init__(self, size: int) -> None:
        self._size = self._left = size
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, wanted: int) -> Iterator[None]:
        """Hold ``wanted`` bytes as long as the block runs."""
        wanted = min(wanted, self._size)
        with self._changed:
            self._changed.wait_for(lambda: wanted <= self._left)
            self._left -= wanted
        try:
            yield
        finally:
            with self._changed:
                self._left += wanted
                self._changed.notify_all()
