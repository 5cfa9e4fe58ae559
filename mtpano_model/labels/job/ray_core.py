"""Tasks on Ray: plain Ray Core tasks with retries, on a cluster that runs or on one of our own.

Ray itself starts a lost task again, on another node if need be. The store has to be on a file
system that all nodes share and on which they see each other's locks.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

from mtpano_model.errors import MtpanoError, needed_module, one_line
from mtpano_model.labels.job.job import ATTEMPTS, Job, TaskEnd
from mtpano_model.labels.job.process import label_task

log = logging.getLogger(__name__)

_BUSY_PAUSE = 2.0  # seconds until a task that another process works on is looked at again
_KNOCK = 10.0  # seconds until a cluster's head is taken to be away
_AT_HAND: list[Any] = []  # the worker of this process of Ray's; Ray uses a process for many tasks


class RayEngine:
    """`count`: tasks at a time at most, None: as many as the cluster has room for."""

    waits = True

    def __init__(self, count: int | None):
        self._count = count

    def run(self, job: Job, tasks: Sequence[int]) -> Iterator[TaskEnd]:
        """As `Engine.run`; MtpanoError where Ray is missing or its cluster does not answer."""
        ray = _connected(self._count)
        gpus = bool(ray.cluster_resources().get("GPU")) if job.gpu is None else job.gpu
        remote = ray.remote(
            num_cpus=job.threads, num_gpus=int(gpus), max_retries=ATTEMPTS - 1
        )(_label)  # fmt: skip
        stored, waiting = ray.put(job), deque(tasks)
        running: dict[Any, int] = {}
        full = False
        try:
            while running or (waiting and not full):
                while waiting and not full and len(running) < (self._count or len(tasks)):
                    task = waiting.popleft()
                    running[remote.remote(stored, task)] = task
                for future in ray.wait(list(running))[0]:
                    task = running.pop(future)
                    end = _result(ray, future, task, job)
                    if end.state == "stopped":
                        raise MtpanoError(end.reason)
                    if end.state == "busy":
                        waiting.append(task)
                        time.sleep(_BUSY_PAUSE)
                        continue
                    full = full or end.state == "full"
                    yield end
        finally:
            for future in running:
                ray.cancel(future, force=True)


def _label(job: Job, task: int) -> TaskEnd:
    """In a process of Ray's."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if _AT_HAND and _AT_HAND[0].job != job:
        _AT_HAND.clear()
    return label_task(job, task, _AT_HAND)


def _connected(count: int | None) -> Any:
    """The module, connected to the cluster of RAY_ADDRESS, one that runs here, or a new one."""
    ray = needed_module("ray", "'--on ray'", ", or use --on local:N")
    if ray.is_initialized():
        return ray
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.WARNING}
    try:
        if address := os.environ.get("RAY_ADDRESS"):
            _knock(address)
            ray.init(address=address, **options)
        else:
            try:
                ray.init(address="auto", **options)
            except ConnectionError:
                ray.init(num_cpus=count, include_dashboard=False, **options)
    except (OSError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise MtpanoError(
            f"Ray cannot be reached ({reason}): check RAY_ADDRESS, or unset it to start a local one"
        ) from error
    return ray


def _knock(address: str) -> None:
    """OSError where nobody listens at HOST:PORT, for which Ray would wait for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), _KNOCK).close()


def _result(ray: Any, future: Any, task: int, job: Job) -> TaskEnd:
    try:
        return ray.get(future)
    except (ray.exceptions.RayError, OSError) as error:
        why = job.plan.facts(task, "running").get("why") or one_line(error)
        reason = f"its worker died {ATTEMPTS} times, the last time: {why}"
        log.warning("task %d is given up: %s", task, reason)
        job.plan.write(task, "failed", {"reason": reason})
        return TaskEnd(task, "failed", reason=reason)
