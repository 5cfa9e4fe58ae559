"""Bags of ten pictures, and the commands that read bags."""

from __future__ import annotations

from pathlib import Path

from bag_files import raw
from odd_pictures import scene

TEN = [raw(scene() // 2 + 3 * n, 10**9 + n) for n in range(10)]


def storage_file(bag: Path) -> Path:
    return next(path for path in bag.iterdir() if path.suffix in (".db3", ".mcap"))
