"""Whether the camera's images are needed: the rule by which the node subscribes to them."""

from __future__ import annotations

import time
from collections.abc import Callable

# For so long nobody must listen: a subscriber that is replaced by another costs no image.
GRACE_SECONDS = 0.5


class Demand:
    """Begins with the first listener, and ends `GRACE_SECONDS` after the last one was seen.

    Before the first one there is none, not even for a moment: who waits for a subscriber, as our
    player does, would send images that nobody gets while DDS still looks for the listeners.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last_listener: float | None = None

    def look(self, listened: bool) -> bool:
        """Whether images are needed, now that somebody listens or does not."""
        now = self._clock()
        if listened:
            self._last_listener = now
        return self._last_listener is not None and now - self._last_listener <= GRACE_SECONDS
