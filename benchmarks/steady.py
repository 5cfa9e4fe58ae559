"""Measures whether memory grows while a long stream passes through a fresh node."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from benchmarks.laboratory import Laboratory
from benchmarks.measure import resident_bytes
from benchmarks.scenario import Load

SIZE = (256, 512)
WARM_FRAMES = 500
SAMPLE_SECONDS = 0.5
SAMPLES = 10
FASTER = 1.15


@dataclass
class Growth:
    """Resident bytes by number of frames that came out."""

    frames: list[int] = field(default_factory=list)
    resident: list[int] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        """(last - first) / first, where first is right after frame 500; medians of ten samples."""
        warm = [size for n, size in zip(self.frames, self.resident, strict=True)
                if n >= WARM_FRAMES]  # fmt: skip
        if len(warm) < 2 * SAMPLES:
            return float("nan")
        first, last = median(warm[:SAMPLES]), median(warm[-SAMPLES:])
        return round((last - first) / first, 5)

    def facts(self) -> dict[str, Any]:
        """For the report: about fifty points of the curve."""
        step = max(1, len(self.frames) // 50)
        return {
            "frames": self.frames[-1] if self.frames else 0,
            "curve": [
                [n, round(size / 2**20, 1)]
                for n, size in zip(self.frames[::step], self.resident[::step], strict=True)
            ],
        }


def run_steadily(laboratory: Laboratory, frames: int, rate: float) -> Growth:
    """Send `frames` small images, a little faster than `rate`, sustained with larger ones."""
    system = laboratory.start_ours("steady")
    growth = Growth()
    sampled = 0.0

    def watch(complete: int) -> None:
        nonlocal sampled
        if time.monotonic() - sampled > SAMPLE_SECONDS:
            sampled = time.monotonic()
            growth.frames.append(complete)
            growth.resident.append(resident_bytes(system.pid))

    laboratory.run(system, Load(SIZE, FASTER * rate, frames / (FASTER * rate)), watch)
    laboratory.stop(system)
    return growth
