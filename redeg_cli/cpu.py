"""What this computer's CPU can do, told without importing anything slow."""

import os
from functools import cache
from pathlib import Path


@cache
def cpu_flags() -> frozenset[str]:
    """Return the names of the CPU's instruction sets as Linux lists them, in lower case; empty on
    other systems."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return frozenset()
    lines = (line.partition(":") for line in text.splitlines())
    found = (value for key, _, value in lines if key.strip() in ("flags", "Features"))
    return frozenset(next(found, "").lower().split())


def cpu_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
