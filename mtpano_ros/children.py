"""Child processes that never outlive their parent, whatever ends it."""

from __future__ import annotations

import contextlib
import ctypes
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from types import TracebackType

PATIENCE_SECONDS = 10.0
PR_SET_PDEATHSIG = 1


class Children:
    """Named `python -m MODULE` processes; leaving the block ends those that still run.

    Each is its own session, so that Ctrl-C reaches the parent alone, which then ends them in order;
    and on Linux the kernel ends them if the parent is killed.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = dict(environment)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Children:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop(*self._processes)

    def start(self, name: str, module: str, *arguments: object) -> None:
        """Run `python -m module arguments` under `name`."""
        self._processes[name] = subprocess.Popen(
            [sys.executable, "-m", module, *map(str, arguments)],
            env=self._environment,
            start_new_session=True,
            preexec_fn=_end_with_parent(),
        )

    def status(self, name: str) -> int | None:
        """Exit status, None while it runs; negative where a signal ended it."""
        return self._processes[name].poll()

    def stop(self, *names: str) -> None:
        """SIGINT to these, SIGKILL to those that have not ended ten seconds later."""
        for name in names:
            if self.status(name) is None:
                self._processes[name].send_signal(signal.SIGINT)
        deadline = time.monotonic() + PATIENCE_SECONDS
        for name in names:
            process = self._processes[name]
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.1, deadline - time.monotonic()))
            if process.poll() is None:
                process.kill()
                process.wait()


def _end_with_parent() -> Callable[[], None] | None:
    """What a new child does first: ask Linux for SIGTERM when its parent dies."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl  # looked up here: a forked child must not load anything
    return lambda: prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
