"""Put messages of several topics together by their exact stamp, and count them. Needs no ROS."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from mtpano_ros.watch.stamps import stamp_age_ms


@dataclass(eq=False)
class FrameSet:
    """What arrived for one camera image: topic -> message, and when the last output came."""

    stamp: int
    messages: dict[str, Any] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    completed: int | None = None

    @property
    def latency_ms(self) -> float:
        """From the camera's stamp to the arrival of the last output; NaN if that is unknown."""
        assert self.completed is not None, "only a complete set has a latency"
        return stamp_age_ms(self.stamp, self.completed)


class Collector:
    """Exact-time synchroniser; times are nanoseconds of one clock.

    topics: a set is complete when each of these has come. keep: the first so many sets hold on to
    their messages; later ones are only counted. Messages of any other topic join their set
    without being waited for. At most `open_sets` sets wait for their rest, the oldest is given up.
    """

    def __init__(self, topics: Sequence[str], keep: int, open_sets: int = 16) -> None:
        self.topics = tuple(topics)
        self.received: Counter[str] = Counter(dict.fromkeys(topics, 0))
        self.kept: list[FrameSet] = []
        self.complete = 0
        self.incomplete = 0
        self.latencies_ms: list[float] = []
        self.last_stamp = 0
        self._keep = keep
        self._open_sets = open_sets
        self._sets: list[FrameSet] = []

    def add(self, topic: str, stamp: int, arrived: int, message: Any) -> FrameSet | None:
        """Take one message; returns its set if this message completed it."""
        self.received[topic] += 1
        # A second message of a topic begins another set: some cameras stamp every image 0.
        waiting = (one for one in self._sets if one.stamp == stamp and topic not in one.seen)
        frame = next(waiting, None)
        if frame is None:
            frame = FrameSet(stamp)
            self._sets.append(frame)
            self._make_room()
        frame.seen.add(topic)
        if frame in self.kept or self._wants_more():
            frame.messages[topic] = message
        if frame.completed is not None or not frame.seen.issuperset(self.topics):
            return None
        frame.completed = arrived
        self.complete += 1
        self.last_stamp = max(self.last_stamp, stamp)
        if not math.isnan(frame.latency_ms):
            self.latencies_ms.append(frame.latency_ms)
        if self._wants_more():
            self.kept.append(frame)
        else:
            frame.messages.clear()
        return frame

    def _wants_more(self) -> bool:
        return len(self.kept) < self._keep

    def _make_room(self) -> None:
        while len(self._sets) > self._open_sets:
            oldest = self._sets.pop(0)
            self.incomplete += oldest.completed is None and bool(oldest.seen & set(self.topics))
