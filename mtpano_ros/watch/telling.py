"""Rate-limited log lines: a fault of every image is logged every ten seconds."""

from __future__ import annotations

import threading
import time
from typing import Any

from mtpano_model.errors import printable

THROTTLE_SECONDS = 10.0


class Teller:
    """Logs to a ROS logger, at most one line a subject in THROTTLE_SECONDS of the steady clock."""

    def __init__(self, logger: Any) -> None:
        self._logger = logger
        self._lock = threading.Lock()
        self._next: dict[str, float] = {}

    def warn(self, subject: str, message: str) -> None:
        """Log a warning, unless one of this subject was logged lately."""
        if self._due(subject):
            self._logger.warning(printable(message))

    def error(self, subject: str, message: str) -> None:
        """Log an error, unless one of this subject was logged lately."""
        if self._due(subject):
            self._logger.error(printable(message))

    def _due(self, subject: str) -> bool:
        now = time.monotonic()
        with self._lock:
            if now < self._next.get(subject, now):
                return False
            self._next[subject] = now + THROTTLE_SECONDS
            return True
