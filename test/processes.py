"""Start the project's executables as processes of their own, and read what they say."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
ALARM = re.compile(r"\[(WARN|ERROR|FATAL)\]|^(WARNING|ERROR|CRITICAL)\b|^error:|Traceback", re.M)


class Process:
    """A running `python -m MODULE ARGS`, its combined output at hand."""

    def __init__(self, module: str, *args: object, env: Mapping[str, str] | None = None) -> None:
        command = [
            sys.executable,
            "-m",
            module,
            *(a if isinstance(a, bytes) else str(a) for a in args),
        ]
        self.popen = subprocess.Popen(
            command, cwd=ROOT, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        self._output: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def output(self) -> str:
        """Everything said so far."""
        return "".join(self._output)

    def wait_for(self, text: str, timeout: float = 30.0) -> None:
        """Return once `text` was said; AssertionError with the whole output otherwise."""
        deadline = time.monotonic() + timeout
        while text not in self.output:
            ended = self.popen.poll() is not None and not self._reader.is_alive()
            assert not ended, f"ended with {self.popen.returncode} before '{text}':\n{self.output}"
            assert time.monotonic() < deadline, f"not within {timeout} s: {text}\n{self.output}"
            time.sleep(0.02)

    def wait(self, timeout: float = 60.0) -> int:
        """Exit status, once the process ends by itself."""
        status = self.popen.wait(timeout)
        self._reader.join(timeout)
        return status

    def assert_ends_cleanly(
        self, number: signal.Signals, timeout: float = 15.0, status: int = 0
    ) -> None:
        """After this signal: this status, no traceback, nothing at WARN or above."""
        before = len(self.output)
        self.popen.send_signal(number)
        found = self.wait(timeout)
        after = self.output[before:]
        assert found == status, f"status {found} after {number.name}:\n{self.output}"
        assert not ALARM.search(after), f"alarm after {number.name}:\n{after}"

    def _read(self) -> None:
        assert self.popen.stdout is not None
        for line in self.popen.stdout:
            self._output.append(line)


@contextmanager
def running(module: str, *args: object, env: Mapping[str, str] | None = None) -> Iterator[Process]:
    """A process that does not outlive the block."""
    process = Process(module, *args, env=env)
    try:
        yield process
    finally:
        if process.popen.poll() is None:
            process.popen.terminate()
            try:
                process.popen.wait(10)
            except subprocess.TimeoutExpired:
                process.popen.kill()
                process.popen.wait(10)
