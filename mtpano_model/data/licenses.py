"""Logs the licence of a data set, once a process, when the data set is first read."""

from __future__ import annotations

import logging

log = logging.getLogger(__name__)
_SAID: set[str] = set()


def say_license(data: str, license: str) -> None:
    """One line in the log, the first time."""
    if data not in _SAID:
        _SAID.add(data)
        log.info("the licence of %s: %s", data, license)
