"""Tasks on processes of this machine: a worker that dies is replaced, its task taken again."""

from __future__ import annotations

import logging
import signal
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import connection, get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from mtpano_model.errors import MtpanoError
from mtpano_model.labels.job.job import ATTEMPTS, BUSY_PAUSE, GRACE, Job, TaskEnd, given_up
from mtpano_model.labels.job.process import serve

log = logging.getLogger(__name__)


class LocalEngine:
    """`count` processes. first: number of the first one, which chooses its GPU."""

    waits = True

    def __init__(self, count: int, first: int = 0):
        self._count, self._first = count, first

    def run(self, job: Job, tasks: Sequence[int]) -> Iterator[TaskEnd]:
        """As `Engine.run`. A task is given up after 10 attempts."""
        run = _Run(job, tasks)
        try:
            for slot in range(min(self._count, len(tasks))):
                run.start(self._first + slot)
            while run.is_open():
                yield from run.step()
        finally:
            run.stop()


@dataclass
class _Process:
    """A worker's process, its pipe, and the task at hand."""

    process: BaseProcess
    pipe: Connection
    slot: int
    task: int | None = None


class _Run:
    """The tasks that wait and the processes that work on the others."""

    def __init__(self, job: Job, tasks: Sequence[int]):
        self._job = job
        self._waiting = deque(tasks)
        self._later: list[tuple[float, int]] = []  # when to look again at what others work on
        self._attempts: Counter[int] = Counter()
        self._processes: list[_Process] = []
        self._full = False
        self._early = 0  # workers that died, one after another, before they had a picture

    def is_open(self) -> bool:
        if any(p.task is not None for p in self._processes):
            return True
        return not self._full and bool(self._waiting or self._later)

    def start(self, slot: int) -> None:
        """Start a process, which sends nothing before its first task."""
        ours, theirs = get_context("spawn").Pipe()
        process = get_context("spawn").Process(
            target=serve, args=(self._job, theirs, slot), daemon=True
        )
        process.start()
        theirs.close()
        self._processes.append(_Process(process, ours, slot))

    def step(self) -> Iterator[TaskEnd]:
        """Hand out tasks, wait for the next event, and yield the tasks that ended."""
        now = time.monotonic()
        self._waiting.extend(task for due, task in self._later if due <= now)
        self._later = [(due, task) for due, task in self._later if due > now]
        for worker in self._processes:
            if worker.task is None and self._waiting and not self._full:
                worker.task = self._waiting.popleft()
                # One that died while it waited is found by the wait below.
                _tell(worker.pipe, worker.task)
        pause = min((due for due, _ in self._later), default=now + 3600) - now
        pipes = {worker.pipe: worker for worker in self._processes}
        for pipe in connection.wait(list(pipes), timeout=max(pause, 0.01)):
            worker = pipes[pipe]  # type: ignore[index]
            try:
                end: TaskEnd = worker.pipe.recv()
            except (EOFError, OSError):
                yield from self._died(worker)
            else:
                worker.task = None
                yield from self._ended(end)

    def stop(self) -> None:
        """Kill the processes at any point of their work: the store and the notes stay valid."""
        for worker in self._processes:
            worker.pipe.close()
            worker.process.terminate()
        deadline = time.monotonic() + GRACE
        for worker in self._processes:
            worker.process.join(max(deadline - time.monotonic(), 0))
            if worker.process.is_alive():
                worker.process.kill()

    def _ended(self, end: TaskEnd) -> Iterator[TaskEnd]:
        if end.state == "stopped":
            raise MtpanoError(end.reason)
        if end.state == "busy":
            self._later.append((time.monotonic() + BUSY_PAUSE, end.task))
            return
        self._full = self._full or end.state == "full"
        self._early = 0
        yield end

    def _died(self, worker: _Process) -> Iterator[TaskEnd]:
        self._processes.remove(worker)
        worker.pipe.close()
        worker.process.join(GRACE)
        task, why = worker.task, _cause(worker.process.exitcode)
        if task is None:  # nothing was lost
            self.start(worker.slot)
            return
        note = self._job.plan.facts(task, "running")
        why = note.get("why") or why
        self._early = 0 if note.get("at") else self._early + 1
        if self._early >= ATTEMPTS:
            raise MtpanoError(
                f"{ATTEMPTS} workers died one after another before their first picture, the last "
                f"time: {why}; see their messages above, or run it in one process, without --on"
            )
        self._attempts[task] += 1
        if self._attempts[task] >= ATTEMPTS:
            yield given_up(self._job, task, why)
        else:
            log.warning("a worker died at task %d (%s): the task starts again", task, why)
            self._waiting.appendleft(task)
        if self._waiting or self._later:
            self.start(worker.slot)


def _tell(pipe: Connection, task: int | None) -> None:
    try:
        pipe.send(task)
    except OSError:
        log.debug("a worker no longer reads its pipe")


def _cause(status: int | None) -> str:
    if status is None:
        return "it did not respond"
    if status < 0:
        return f"killed by {signal.Signals(-status).name}"
    return f"it ended with status {status}"
