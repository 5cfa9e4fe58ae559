"""Child processes that never outlive their parent, however it ends."""

from __future__ import annotations

import contextlib
import ctypes
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import IO

PATIENCE_SECONDS = 10.0
PR_SET_PDEATHSIG = 1


class Children:
    """Named `python -m MODULE` processes; leaving the block ends those that still run.

    Each is its own session, so that Ctrl-C reaches the parent alone, which then ends them in order;
    and on Linux the kernel ends them if the parent is killed. Their output goes to `log`, or to the
    parent's own output.
    """

    def __init__(self, environment: Mapping[str, str], log: IO[bytes] | None = None) -> None:
        self._environment = dict(environment)
        self._log = log
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Children:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop(*self._processes)

    def start(self, name: str, module: str, *arguments: object) -> None:
        """Run `python -m module arguments` under `name`."""
        self._processes[name] = subprocess.Popen(
            [sys.executable, "-m", module, *map(str, arguments)],
            env=self._environment,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
            preexec_fn=_end_with_parent(),
        )

    def pid(self, name: str) -> int:
        """Its process id."""
        return self._processes[name].pid

    def status(self, name: str) -> int | None:
        """Exit status, None while it runs; negative where a signal ended it."""
        return self._processes[name].poll()

    def failure(self) -> str | None:
        """Which process has failed and how, in words; None while all is well."""
        for name in self._processes:
            status = self.status(name)
            if status:
                how = f"signal {-status}" if status < 0 else f"status {status}"
                return f"{name} ended with {how}"
        return None

    def stop(self, *names: str) -> None:
        """SIGTERM to these, SIGKILL to those that have not ended ten seconds later.

        SIGINT does the same, but Python has a traceback for it before a program has its own say.
        """
        for name in names:
            if self.status(name) is None:
                self._processes[name].send_signal(signal.SIGTERM)
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
