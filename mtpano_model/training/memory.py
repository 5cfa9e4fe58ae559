"""Keeping freed memory in the process, for training on a CPU."""

from __future__ import annotations

import ctypes
import sys

# Of <malloc.h>.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
_NEVER = 2**31 - 1


def keep_freed_memory() -> None:
    """Let glibc give tensors the memory of those that were freed, instead of fresh pages.

    A step allocates the same large maps over and over. By default each is mapped anew, page by page
    zeroed by the kernel, and unmapped again: a third of a step's time. Does nothing under another
    C library.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for setting, value in ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, _NEVER), (_TOP_PAD, 2**26)):
            mallopt(setting, value)
