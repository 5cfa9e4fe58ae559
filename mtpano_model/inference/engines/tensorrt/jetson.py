"""What a Jetson says of itself in files, also to its containers where they are mounted."""

from __future__ import annotations

import re
from pathlib import Path

RELEASE = Path("/etc/nv_tegra_release")
# What `nvpmodel` wrote last ("pmode:0002 ..."), and the modes that the board has.
POWER_STATUS = Path("/var/lib/nvpmodel/status")
POWER_MODES = Path("/etc/nvpmodel.conf")
MEMORY = Path("/proc/meminfo")


def is_jetson() -> bool:
    """Whether this is a Jetson."""
    return RELEASE.is_file()


def power_mode() -> str:
    """Such as "power mode 2, MAXN": clocks and multiprocessors depend on it; "" where unknown."""
    found = re.search(r"pmode:0*(\d+)", _text(POWER_STATUS))
    if found is None:
        return ""
    number = found[1]
    name = re.search(rf"POWER_MODEL\s+ID={number}\s+NAME=(\S+)", _text(POWER_MODES))
    return f"power mode {number}" + (f", {name[1]}" if name else "")


def free_memory() -> int | None:
    """Bytes that processes, and an integrated GPU, could still take; None where it is not told."""
    found = re.search(r"^MemAvailable:\s+(\d+) kB", _text(MEMORY), re.M)
    return int(found[1]) * 1024 if found else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
