"""A process of a benchmark that obeys lines of JSON on stdin and answers each with one."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import IO, Any

from mtpano_model.errors import MtpanoError


class Remote:
    """`python -m module arguments`, and our side of the conversation; it ends with its stdin."""

    def __init__(
        self, module: str, arguments: Sequence[str], environment: Mapping[str, str], log: IO[bytes]
    ) -> None:
        self._module = module
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )

    def ask(self, **command: Any) -> Any:
        """Send a command and wait for its answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(command) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise MtpanoError(f"{self._module} has ended: the benchmark's log says why")
        return json.loads(line)

    def close(self) -> None:
        """End it by the end of its input."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)


def answer(value: Any) -> None:
    """The other side's answer: one line of JSON."""
    print(json.dumps(value), flush=True)
