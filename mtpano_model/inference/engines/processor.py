"""What this processor can do."""

from __future__ import annotations

import re
from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")
_INSTRUCTIONS = re.compile(r"^(?:flags|Features)\s*:(.*)$", re.MULTILINE)  # x86 or ARM


def instruction_sets() -> list[str]:
    """The instructions that it has beyond the basic ones, as Linux names them; none elsewhere."""
    try:
        found = _INSTRUCTIONS.search(CPU_INFO.read_text())
    except OSError:
        return []
    return found[1].split() if found else []


def has_bf16() -> bool:
    """Whether an x86 processor multiplies bf16 itself (AVX512_BF16 or AMX).

    Elsewhere bf16 was not measured, or is converted, which is slower than fp32.
    """
    return not {"avx512_bf16", "amx_bf16"}.isdisjoint(instruction_sets())
