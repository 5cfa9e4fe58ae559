"""Forwards what mtpano_model logs with Python's logging to the node's ROS log."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any


class LogForwarder(logging.Handler):
    """Forwards from INFO on to a ROS logger; every line also goes to `progress`, until close."""

    _level_before: int | None = None  # of mtpano_model's logger, while a forwarder has changed it

    def __init__(self, ros_logger: Any, progress: Callable[[str], None]) -> None:
        super().__init__(logging.INFO)
        self._ros_logger, self._progress = ros_logger, progress
        self._source = logging.getLogger("mtpano_model")
        self._source.addHandler(self)
        if self._source.getEffectiveLevel() > logging.INFO:
            LogForwarder._level_before = self._source.level
            self._source.setLevel(logging.INFO)

    def emit(self, record: logging.LogRecord) -> None:
        """Called by logging."""
        line = record.getMessage()
        self._progress(line)
        # rclpy wants one severity a line of code.
        if record.levelno >= logging.ERROR:
            self._ros_logger.error(line)
        elif record.levelno >= logging.WARNING:
            self._ros_logger.warning(line)
        else:
            self._ros_logger.info(line)

    def close(self) -> None:
        """Let the ROS logger go; the last to close leaves the level as the first found it."""
        self._source.removeHandler(self)
        others = any(isinstance(handler, LogForwarder) for handler in self._source.handlers)
        if not others and LogForwarder._level_before is not None:
            self._source.setLevel(LogForwarder._level_before)
            LogForwarder._level_before = None
        super().close()
