"""Build an engine in a process of its own, which leaves the robot's node alone.

A build takes gigabytes and, through the callbacks of the log and of the progress, Python's lock a
hundred thousand times. In its own process it gives the memory back when it ends, and where memory
runs out the system ends it and not the node.

The two processes speak in lines of JSON: the order goes to the child's standard input, which then
stays open, so that a child whose parent is gone ends; progress, log records and the outcome come
back. The engine itself is a file.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from mtpano_model.errors import MtpanoError
from mtpano_model.inference.engines.progress import BuildMonitor
from mtpano_model.inference.engines.tensorrt.builder import BuildOrder, BuildRefused

log = logging.getLogger(__name__)

_CHILD = "mtpano_model.inference.engines.tensorrt.build_child"
_POLL = 0.2  # seconds between looks at `cancel`
_ADVICE = "close other programs, or give it less with `mtpano build-engine --workspace-mb 512`"


def build_in_process(tensorrt: Any, order: BuildOrder, monitor: BuildMonitor) -> bytes:
    """As builder.build_plan, in a child process; `tensorrt` only names the version in messages.

    MtpanoError also where the process cannot start or ends without an answer.
    """
    plan = Path(order.model).with_suffix(".plan")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    try:
        child = subprocess.Popen(
            [sys.executable, "-m", _CHILD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            start_new_session=True,  # Ctrl-C is ours to answer
        )
    except OSError as error:
        raise MtpanoError(
            f"no process can be started to build the engine in ({error.strerror}): {_ADVICE}"
        ) from error
    try:
        assert child.stdin is not None
        assert child.stdout is not None
        _send(child.stdin, {"order": asdict(order), "plan": str(plan)})
        outcome = _follow(child.stdout, monitor)
    finally:
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                pipe.close()
    if outcome is None:
        raise MtpanoError(_how_it_ended(child.returncode))
    if "refused" in outcome:
        raise BuildRefused(outcome["refused"])
    if "error" in outcome:
        raise MtpanoError(outcome["error"])
    try:
        return plan.read_bytes()
    except OSError as error:
        raise MtpanoError(
            f"the engine that was built cannot be read from {plan} ({error.strerror}): start again"
        ) from error


def _send(pipe: IO[bytes], message: dict[str, Any]) -> None:
    try:
        pipe.write(json.dumps(message).encode() + b"\n")
        pipe.flush()
    except BrokenPipeError:
        pass  # it has ended already, which is told by its silence


def _follow(pipe: IO[bytes], monitor: BuildMonitor) -> dict[str, Any] | None:
    """Hand progress and log records on; the outcome, or None where the child fell silent."""
    lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(pipe, lines), daemon=True).start()
    progress = ("starting the build", 0.0)
    while True:
        monitor.raise_if_cancelled()
        try:
            line = lines.get(timeout=_POLL)
        except queue.Empty:
            monitor.report(*progress)  # one step can take minutes, in which it must not seem dead
            continue
        if line is None:
            return None
        message = _parse(line)
        if "progress" in message:
            progress = tuple(message["progress"])
            monitor.report(*progress)
        elif "log" in message:
            name, level, text = message["log"]
            logging.getLogger(name).log(level, "%s", text)
        else:
            return message


def _parse(line: bytes) -> dict[str, Any]:
    """One line of the child; what Python's own start may print before it (sitecustomize) is log."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        message = None
    if isinstance(message, dict):
        return message
    return {"log": [__name__, logging.DEBUG, line.decode(errors="replace").rstrip()]}


def _read(pipe: Iterable[bytes], lines: queue.SimpleQueue[bytes | None]) -> None:
    try:
        for line in pipe:
            lines.put(line)
    except (OSError, ValueError):  # closed, since nobody waits for it any longer
        pass
    lines.put(None)


def _how_it_ended(status: int) -> str:
    if status == -signal.SIGKILL:
        return (
            "the process that built the engine was killed, as the system does where memory runs "
            f"out: {_ADVICE}"
        )
    what = f"signal {signal.Signals(-status).name}" if status < 0 else f"status {status}"
    return (
        f"the process that built the engine ended with {what} before it was done: start again, "
        "and report it with the lines above if it happens twice"
    )
