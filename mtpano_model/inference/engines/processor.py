"""Finds out which arithmetic is the fastest on this processor."""

from __future__ import annotations

import re
from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")
_BF16 = re.compile(r"^flags\s*:.*\b(avx512_bf16|amx_bf16)\b", re.MULTILINE)


def has_bf16() -> bool:
    """Whether an x86 processor multiplies bf16 itself (AVX512_BF16 or AMX).

    Elsewhere bf16 was not measured, or is converted, which is slower than fp32.
    """
    try:
        return _BF16.search(CPU_INFO.read_text()) is not None
    except OSError:
        return False
