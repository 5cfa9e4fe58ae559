"""Say things often enough to be heard, and not once an image."""

from __future__ import annotations

import threading
import time
from typing import Any

THROTTLE_SECONDS = 10.0


class Teller:
    """A node's log, quiet about what it has said lately. Times are of the steady clock."""

    def __init__(self, logger: Any) -> None:
        self._logger = logger
        self._lock = threading.Lock()
        self._next: dict[str, float] = {}

    def warn(self, subject: str, message: str) -> None:
        """Log a warning, at most one a subject in THROTTLE_SECONDS."""
        if self._due(subject):
            self._logger.warning(message)

    def error(self, subject: str, message: str) -> None:
        """Log an error, at most one a subject in THROTTLE_SECONDS."""
        if self._due(subject):
            self._logger.error(message)

    def _due(self, subject: str) -> bool:
        now = time.monotonic()
        with self._lock:
            if now < self._next.get(subject, now):
                return False
            self._next[subject] = now + THROTTLE_SECONDS
            return True
