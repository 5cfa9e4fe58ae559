"""What mtpano_model writes to Python's logging, in the node's own log."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any


class LogForwarder(logging.Handler):
    """Forwards from INFO on to a ROS logger; every line also goes to `progress`, until close."""

    def __init__(self, ros_logger: Any, progress: Callable[[str], None]) -> None:
        super().__init__(logging.INFO)
        self._ros_logger, self._progress = ros_logger, progress
        self._source = logging.getLogger("mtpano_model")
        self._source.addHandler(self)
        if self._source.getEffectiveLevel() > logging.INFO:
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
        """Let the ROS logger go."""
        self._source.removeHandler(self)
        super().close()
