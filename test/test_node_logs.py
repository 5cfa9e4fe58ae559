"""What mtpano_model logs reaches the ROS log, and logging is left as it was."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from mtpano_ros.watch.logs import LogForwarder

SOURCE = logging.getLogger("mtpano_model")


class RosLogger:
    """Remembers (severity, line)."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def error(self, line: str) -> None:
        self.lines.append(("error", line))

    def warning(self, line: str) -> None:
        self.lines.append(("warning", line))

    def info(self, line: str) -> None:
        self.lines.append(("info", line))


@pytest.fixture(autouse=True)
def no_node_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As in a process without nodes: those of earlier tests may not have been closed."""
    monkeypatch.setattr(SOURCE, "handlers", [])
    monkeypatch.setattr(LogForwarder, "_level_before", None)
    before = SOURCE.level
    SOURCE.setLevel(logging.NOTSET)
    yield
    SOURCE.setLevel(before)


def test_lines_keep_their_severity_and_reach_progress() -> None:
    ros, progress = RosLogger(), []
    forwarder = LogForwarder(ros, progress.append)
    child = logging.getLogger("mtpano_model.inference")
    child.error("broken")
    child.warning("odd")
    child.info("begun")
    child.debug("detail")
    forwarder.close()
    child.error("after the end")
    assert ros.lines == [("error", "broken"), ("warning", "odd"), ("info", "begun")]
    assert progress == ["broken", "odd", "begun"]


@pytest.mark.parametrize("level", [logging.NOTSET, logging.ERROR, logging.INFO, logging.DEBUG])
@pytest.mark.parametrize("first_closed", [0, 1])
def test_two_nodes_in_one_process_forward_until_each_closes_and_leave_the_level(
    level: int, first_closed: int
) -> None:
    SOURCE.setLevel(level)
    loggers = [RosLogger(), RosLogger()]
    forwarders = [LogForwarder(ros, lambda line: None) for ros in loggers]
    forwarders[first_closed].close()
    SOURCE.info("still here")
    assert loggers[1 - first_closed].lines == [("info", "still here")]
    forwarders[1 - first_closed].close()
    assert SOURCE.level == level
