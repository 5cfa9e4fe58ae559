"""Freed memory stays with the process: what a program allocates again comes without page faults."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

# As a thread of the node does: the arrays of an image, one image after another.
PROGRAM = """
import resource, sys
from concurrent.futures import ThreadPoolExecutor
import numpy as np
from mtpano_model.memory import keep_freed_memory

if len(sys.argv) > 1:
    keep_freed_memory(eval(sys.argv[1]))

def blocks(*megabytes):
    return [np.ones(many << 20, np.uint8) for many in megabytes]

thread = ThreadPoolExecutor(1)

def image():
    thread.submit(lambda: len(blocks(16, 12, 12))).result()

for _ in range(3):
    image()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    image()
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) // 5)
"""


def faults(*kept: object) -> int:
    """Page faults an image."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, kept)], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
@pytest.mark.parametrize("kept", [None, 64 * 2**20])
def test_the_next_image_needs_no_fresh_memory(kept) -> None:
    assert faults() > 100  # else this shows nothing
    assert faults(kept) < 20
