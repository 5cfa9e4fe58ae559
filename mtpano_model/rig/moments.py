"""Synchronises the pictures of several lenses by approximate stamps, with a bounded wait."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

_KEPT = 16  # pictures a topic, the newest: more than come while one is waited for
_DEAD_AFTER = 1.0  # seconds without a picture, or so many of its usual intervals
_DEAD_INTERVALS = 3
_BEGAN_AGAIN = 1.0  # seconds: stamps that go back so far are of a bag or a clock that began again
_APART_TIMES = 5  # moments in a row that a topic must miss before its stamps are blamed


@dataclass
class _Source:
    pictures: deque[tuple[float, float, Any]] = field(default_factory=lambda: deque(maxlen=_KEPT))
    last: float | None = None  # when the last picture came, by our clock
    interval: float = 0.0  # between the last two
    stamp: float | None = None  # and its stamp
    highest: float = float("-inf")  # of its stamps, since they began
    dead: bool = False
    missed: int = 0


@dataclass(frozen=True)
class Moment:
    """Pictures of one moment. stamp: the newest of theirs, seconds. missing: topics without one."""

    stamp: float
    pictures: dict[str, Any]
    missing: tuple[str, ...]


class Moments:
    """Collects pictures by topic and hands them out together.

    A moment is complete when every live topic has a picture within `tolerance` seconds of the
    newest; after `wait` seconds it is returned without the missing ones. A topic without pictures
    for a second (for three of its intervals, if these are longer) counts as dead: this is reported
    once, and moments do not wait for it until it delivers again.
    Not thread-safe. clock: monotonic seconds. tell: called with each message.
    """

    def __init__(
        self,
        topics: Sequence[str],
        tolerance: float,
        wait: float,
        clock: Callable[[], float],
        tell: Callable[[str], None],
    ) -> None:
        self._sources = {topic: _Source() for topic in topics}
        self._tolerance, self._wait, self._clock, self._tell = tolerance, wait, clock, tell
        self._began: float | None = None  # when the first picture of any came
        self._newest = float("-inf")
        self.counts = {"together": 0, "incomplete": 0, "late": 0, "superseded": 0}

    @property
    def dead(self) -> tuple[str, ...]:
        """Topics that no longer deliver."""
        return tuple(topic for topic, one in self._sources.items() if one.dead)

    @property
    def apart(self) -> tuple[str, ...]:
        """Live topics whose pictures never match the others' stamps."""
        found = self._sources.items()
        return tuple(topic for topic, one in found if one.missed >= _APART_TIMES and not one.dead)

    def offer(self, topic: str, stamp: float, picture: Any) -> Moment | None:
        """Add a picture with its stamp in seconds; returns the moment that it completes, if any."""
        source = self._sources[topic]
        now = self._clock()
        if self._began is None:
            self._began = now
        if source.dead:
            self._tell(f"lens topic {topic} delivers again")
        # The highest, since what was sent before others began again may come after that.
        if stamp < min(source.highest - _BEGAN_AGAIN, self._newest):
            self._begin_again()
        source.highest = max(source.highest, stamp)
        before = now if source.last is None or source.dead else source.last
        source.interval = now - before
        source.dead, source.last, source.stamp = False, now, stamp
        if stamp <= self._newest:
            self.counts["late"] += 1
            return self._ready(now)
        if len(source.pictures) == _KEPT:
            self.counts["superseded"] += 1
        source.pictures.append((stamp, now, picture))
        return self._ready(now)

    def poll(self) -> Moment | None:
        """The moment whose waiting time is over, if any; call it regularly."""
        now = self._clock()
        silent = {
            topic: now - since
            for topic, one in self._sources.items()
            if (since := self._began if one.last is None else one.last) is not None
            and now - since > max(_DEAD_AFTER, _DEAD_INTERVALS * one.interval)
        }
        if len(silent) < len(self._sources):  # else there are no others that go on
            for topic, seconds in silent.items():
                if not self._sources[topic].dead:
                    self._sources[topic].dead = True
                    self._tell(
                        f"lens topic {topic} has delivered no picture for {seconds:.1f} s: "
                        "panoramas are composed without it, and the part that it sees is unknown"
                    )
        return self._ready(now)

    def _begin_again(self) -> None:
        self._newest = float("-inf")
        for source in self._sources.values():
            self.counts["superseded"] += len(source.pictures)
            source.pictures.clear()
            source.highest = float("-inf")

    def _ready(self, now: float) -> Moment | None:
        """The newest complete moment, or the oldest that has waited long enough."""
        waiting = [one for source in self._sources.values() for one in source.pictures]
        for stamp in sorted({one[0] for one in waiting}, reverse=True):
            chosen = self._chosen(stamp)
            if all(topic in chosen or one.dead for topic, one in self._sources.items()):
                return self._hand_out(chosen)
        overdue = [stamp for stamp, came, _ in waiting if now - came >= self._wait]
        if not overdue:
            return None
        return self._hand_out(self._chosen(max(overdue)))

    def _chosen(self, newest: float) -> dict[str, tuple[float, Any]]:
        """The picture of each topic nearest to a stamp, if it is near enough and not newer."""
        chosen = {}
        for topic, source in self._sources.items():
            near = [
                (stamp, picture)
                for stamp, _, picture in source.pictures
                if 0 <= newest - stamp <= self._tolerance
            ]
            if near:
                chosen[topic] = max(near, key=lambda one: one[0])
        return chosen

    def _hand_out(self, chosen: dict[str, tuple[float, Any]]) -> Moment:
        stamp = max(one for one, _ in chosen.values())
        self._newest = stamp
        missing = tuple(topic for topic in self._sources if topic not in chosen)
        self.counts["incomplete" if missing else "together"] += 1
        for topic, source in self._sources.items():
            kept = [one for one in source.pictures if one[0] > stamp]
            self.counts["superseded"] += len(source.pictures) - len(kept) - (topic in chosen)
            source.pictures = deque(kept, maxlen=_KEPT)
            self._blame_stamps(topic, source, topic in missing, stamp)
        return Moment(stamp, {topic: one[1] for topic, one in chosen.items()}, missing)

    def _blame_stamps(self, topic: str, source: _Source, missed: bool, stamp: float) -> None:
        source.missed = source.missed + 1 if missed and not source.dead else 0
        if source.missed == _APART_TIMES and source.stamp is not None:
            self._tell(
                f"lens topic {topic} is stamped {source.stamp - stamp:+.3f} s from the others, "
                f"expected within {self._tolerance:g} s: synchronise the cameras' clocks, or set "
                "tolerance (or wait, if its pictures only arrive late) in the rig file"
            )
