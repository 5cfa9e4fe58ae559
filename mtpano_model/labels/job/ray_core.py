"""Tasks on Ray: plain Ray Core tasks with retries.

Ray itself starts a lost task again, on another node if need be. The store has to be on a file
system that all nodes share and on which they see each other's locks.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

from mtpano_model.errors import MtpanoError, one_line
from mtpano_model.labels.job.job import ATTEMPTS, BUSY_PAUSE, GRACE, Job, TaskEnd, given_up
from mtpano_model.labels.job.process import label_task
from mtpano_model.labels.job.ray_cluster import connected

_AT_HAND: list[Any] = []  # the worker of this process of Ray's; Ray uses a process for many tasks


class RayEngine:
    """count: largest number of tasks at a time; None: as many as fit on the cluster."""

    waits = True

    def __init__(self, count: int | None):
        self._count = count

    def run(self, job: Job, tasks: Sequence[int]) -> Iterator[TaskEnd]:
        """As `Engine.run`; MtpanoError if Ray is missing or its cluster does not answer."""
        ray = connected(self._count)
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
                        time.sleep(BUSY_PAUSE)
                        continue
                    full = full or end.state == "full"
                    yield end
        finally:
            _stop(ray, list(running))


def _stop(ray: Any, futures: list[Any]) -> None:
    """End the tasks, wherever they are; first in a way that lets their workers blame no picture."""
    for force in (False, True):
        for future in futures:
            ray.cancel(future, force=force)
        if futures:
            _, futures = ray.wait(futures, num_returns=len(futures), timeout=GRACE)


def _label(job: Job, task: int) -> TaskEnd:
    """Label a task in a process of Ray's."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if _AT_HAND and _AT_HAND[0].job != job:
        _AT_HAND.clear()
    return label_task(job, task, _AT_HAND)


def _result(ray: Any, future: Any, task: int, job: Job) -> TaskEnd:
    try:
        return ray.get(future)
    except ray.exceptions.RayTaskError as error:  # before our code had the task
        raise MtpanoError(
            f"a worker of Ray cannot run a task ({_cause(error)}): install the same mtpano on "
            "every node"
        ) from error
    except (ray.exceptions.RayError, OSError) as error:
        why = job.plan.facts(task, "running").get("why") or one_line(error)
        return given_up(job, task, why)


def _cause(error: BaseException) -> str:
    """The last line of Ray's error, which follows the frames of a traceback."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip(" ^~")]
    return (lines[-1] if lines else type(error).__name__)[:300]
