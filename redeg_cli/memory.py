"""The memory of the process."""

import ctypes
import sys


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
