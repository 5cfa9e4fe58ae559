"""The signals that ask a process to end, and how every executable here takes them."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any

# Ctrl-C and launch; systemd and docker; a closed terminal or a cut ssh connection; Ctrl-\. What the
# last two do by default leaves 64 MiB in /dev/shm behind.
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def on_end(
    handler: Callable[[int, FrameType | None], None] | signal.Handlers,
) -> dict[signal.Signals, Any]:
    """Let `handler` take every signal of ENDING; returns the handlers before, for `restore`.

    A SIGHUP or SIGQUIT that is ignored stays so: nohup and shells ask for that.
    """
    taken = [
        number
        for number in ENDING
        if number in (signal.SIGINT, signal.SIGTERM) or signal.getsignal(number) != signal.SIG_IGN
    ]
    return {number: signal.signal(number, handler) for number in taken}


def restore(handlers: Mapping[signal.Signals, Any]) -> None:
    """Put back what `on_end` returned."""
    for number, handler in handlers.items():
        signal.signal(number, handler)
