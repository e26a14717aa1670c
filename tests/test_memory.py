"""Freed memory that is kept costs no page faults when it is used again."""

import subprocess
import sys

import pytest

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
