"""How long calls take, without ROS; medians, so that other work on the machine counts little."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

Clock = Callable[[], float]


def seconds_of(call: Callable[[], Any], clock: Clock) -> float:
    """What one call takes."""
    began = clock()
    call()
    return clock() - began


def median_ms(
    call: Callable[[], Any], repeats: int = 30, warm_up: int = 3, clock: Clock = time.thread_time
) -> float:
    """Milliseconds of a call; of this thread's CPU time, so that others do not count."""
    for _ in range(warm_up):
        call()
    return 1e3 * median(seconds_of(call, clock) for _ in range(repeats))


def median_wall_ms(call: Callable[[], Any], repeats: int = 10) -> float:
    """Milliseconds that pass in a call."""
    return median_ms(call, repeats, 0, time.perf_counter)


def interleaved(
    calls: Mapping[str, Callable[[], Any]], duration: float, repeats: int, clock: Clock
) -> dict[str, float]:
    """Seconds of each call, taken in turns for about `duration` s, at least `repeats` times."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()
    end = time.monotonic() + duration
    while time.monotonic() < end or any(len(times) < repeats for times in taken.values()):
        for name, call in calls.items():
            taken[name].append(seconds_of(call, clock))
    return {name: median(times) for name, times in taken.items()}


def write_figures(path: Path | None, figures: Any) -> None:
    """Write them as JSON, where a file is named; its folder is made."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
