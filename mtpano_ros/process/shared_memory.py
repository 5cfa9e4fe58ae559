"""Removes the shared memory of Fast DDS that killed processes left in /dev/shm.

Fast DDS does not remove it, and with our profile it is 67 MiB a process. Each segment has a file
beside it, `NAME_el`, on which its owner holds a lock (flock) as long as it lives, also where the
owner is stopped, or in another container.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import stat
import time
from pathlib import Path

from mtpano_ros.doctor.transport import SHARED_MEMORY

_LOCK_NAME = re.compile(r"(fastdds|fastrtps)_[0-9a-f]{16}_el")
# A process that starts makes the file a moment before it locks it.
_NEW_SECONDS = 10.0


def remove_leftovers(folder: Path = SHARED_MEMORY) -> list[str]:
    """Remove the segments of this user whose owners are dead; returns their names.

    A process that still maps one keeps its memory until it unmaps it.
    """
    removed = []
    with contextlib.suppress(OSError):
        for lock in sorted(folder.iterdir()):
            if _LOCK_NAME.fullmatch(lock.name):
                with contextlib.suppress(OSError):
                    if _remove(lock):
                        removed.append(lock.name.removesuffix("_el"))
    return removed


def _remove(lock: Path) -> bool:
    descriptor = os.open(lock, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        facts = os.fstat(descriptor)
        mine = stat.S_ISREG(facts.st_mode) and facts.st_uid == os.geteuid()
        if not mine or time.time() - facts.st_mtime < _NEW_SECONDS:
            return False
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # BlockingIOError: its owner lives
        lock.with_name(lock.name.removesuffix("_el")).unlink(missing_ok=True)
        lock.unlink()
        return True
    finally:
        os.close(descriptor)
