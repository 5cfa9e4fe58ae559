"""Memory that is freed stays with the process, for the next image.

By default the C library gives back every block as large as an image and takes a fresh one for the
next: the kernel then zeroes and maps it page by page, which costs more than to fill it. Each image
passes through three such blocks before Python sees it.
"""

from __future__ import annotations

import ctypes

# <malloc.h>; the first is the largest value that glibc takes.
_MMAP_THRESHOLD, _MMAP_BYTES = -3, 32 * 2**20
_TRIM_THRESHOLD, _TRIM_BYTES = -1, 64 * 2**20


def keep_freed_memory() -> None:
    """For this process and from now on; where the C library is not glibc, nothing changes."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    mallopt(_MMAP_THRESHOLD, _MMAP_BYTES)
    mallopt(_TRIM_THRESHOLD, _TRIM_BYTES)
