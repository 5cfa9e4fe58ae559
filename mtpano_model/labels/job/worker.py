"""One worker of a job: labels one task at a time."""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
from collections.abc import Collection, Iterator
from datetime import datetime, timezone
from typing import Any, BinaryIO

from mtpano_model.data.panorama import Skipped
from mtpano_model.data.store import StoreNames
from mtpano_model.data.store_writer import StoreIsBusy, StoreWriter
from mtpano_model.labels.job.job import DEATHS, Job, TaskEnd
from mtpano_model.labels.job.plan import Plan, joined, task_of
from mtpano_model.labels.outcome import Outcome
from mtpano_model.labels.session import label_all

log = logging.getLogger(__name__)


class Worker:
    """Holds the teachers, and labels one task after another.

    MtpanoError if the job's pictures or teachers cannot be opened, or another job uses its store.
    """

    def __init__(self, job: Job):
        self.job = job
        self._source, self._engine, self._meta = job.open()
        # Held as long as this process lives, so that nobody cuts the work anew meanwhile.
        self._membership = joined(job.plan.root, job.plan.tasks, job.plan.tasks, job.digest)
        self._membership.__enter__()
        self._names = StoreNames(job.plan.root)
        self._tasks_of_names: dict[str, int] = {}
        self.note: RunningNote | None = None  # of the task at hand

    def label(self, task: int) -> TaskEnd:
        """Label the pictures that a task lacks; MtpanoError if it cannot go on (full disk)."""
        plan = self.job.plan
        try:
            writer = StoreWriter(plan.root, self._meta, task, names=self._names)
        except StoreIsBusy:
            return TaskEnd(task, "busy")
        with writer:
            if plan.is_done(task):
                return TaskEnd(task, "done")
            self.note = RunningNote(plan, task)
            share = _Share(self, task, writer.names, self.note)
            outcome = label_all(self._source, self._engine, writer, share, self.job.limit)
            for skipped in self.note.given_up():
                if skipped.name not in writer.names:
                    log.warning("skipped %s: %s", skipped.name, skipped.reason)
                    outcome.skipped.append(skipped)
            writer.finish_shard()
            end = self._end(task, outcome, writer.added())
        self.note = None
        return end

    def task_of(self, name: str) -> int:
        """`plan.task_of`, cached, since a worker needs it for every name once per task."""
        if name not in self._tasks_of_names:
            self._tasks_of_names[name] = task_of(name, self.job.plan.tasks)
        return self._tasks_of_names[name]

    def _end(self, task: int, outcome: Outcome, held: int) -> TaskEnd:
        assert self.note is not None
        plan, skipped = self.job.plan, tuple(outcome.skipped)
        if outcome.is_complete:
            reasons = {item.name: item.reason for item in skipped}
            plan.write(task, "done", {"held": held, "skipped": reasons})
            plan.remove(task, "failed")
        self.note.close()
        return TaskEnd(task, "done" if outcome.is_complete else "full", outcome.labelled, skipped)


class _Share(Collection[str]):
    """Names that a task leaves alone: those in the store, of other tasks, and those given up.

    A source asks for a name just before it reads the picture; so what is not left alone is noted
    as the picture at hand, and a death while it is decoded or labelled finds its cause.
    """

    def __init__(self, worker: Worker, task: int, done: Collection[str], note: RunningNote):
        self._worker, self._task, self._done, self._note = worker, task, done, note

    def __contains__(self, name: object) -> bool:
        name = str(name)
        if self._worker.task_of(name) != self._task or name in self._done:
            return True
        if self._note.is_given_up(name):
            return True
        self._note.at(name)
        return False

    def __iter__(self) -> Iterator[str]:
        return iter(self._done)

    def __len__(self) -> int:
        return len(self._done)


class RunningNote:
    """STORE/tasks/NNNNNN.running: a worker that dies leaves it behind, with the picture at hand.

    Only the holder of the task's lock writes it, also from a signal handler (hence the reentrant
    lock). A worker that ends by itself, or because its driver is gone, blames no picture.
    """

    def __init__(self, plan: Plan, task: int):
        self._path, self._lock, self._closed = plan.file(task, "running"), threading.RLock(), False
        self._file: BinaryIO | None = None
        left = plan.facts(task, "running")
        self._deaths: dict[str, list[str]] = _as_deaths(left.get("deaths"))
        if isinstance(left.get("at"), str):
            why = left.get("why") or "the process ended"
            self._deaths.setdefault(left["at"], []).append(str(why))
        self._facts: dict[str, Any] = {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "since": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "deaths": self._deaths,
        }
        self._write(at=None)

    def at(self, name: str) -> None:
        """Note the picture at hand."""
        self._write(at=name)

    def died(self, why: str) -> None:
        """Note that the process ends because of the picture at hand."""
        self._write(why=why)
        self._closed = True

    def leave(self) -> None:
        """Note that the process ends, but not because of the picture at hand."""
        self._write(at=None)
        self._closed = True

    def close(self) -> None:
        """Remove the note: the task is finished, or another worker may take it."""
        with self._lock:
            self._closed = True
            self._path.unlink(missing_ok=True)
            if self._file is not None:
                self._file.close()
                self._file = None

    def is_given_up(self, name: str) -> bool:
        return len(self._deaths.get(name, ())) >= DEATHS

    def given_up(self) -> list[Skipped]:
        """Pictures at which too many workers died, and why."""
        return [
            Skipped(name, f"{len(whys)} workers died at this picture, the last time: {whys[-1]}")
            for name, whys in self._deaths.items()
            if self.is_given_up(name)
        ]

    def _write(self, **facts: Any) -> None:
        with self._lock:
            if self._closed:
                return
            self._facts |= facts
            # Not synced: it has to outlive this process, not this machine. In place, since a rename
            # for every picture would wait for the disk; in one call, so that a kill leaves the old
            # text or the new one; padded, so that nothing of a longer one shows behind it. A full
            # disk may cost a note; that the disk is full the store's writer says.
            try:
                if self._file is None:
                    self._path.touch()
                    self._file = self._path.open("r+b", buffering=0)
                length = os.fstat(self._file.fileno()).st_size
                os.pwrite(self._file.fileno(), json.dumps(self._facts).encode().ljust(length), 0)
            except OSError as error:
                log.warning("cannot write %s (%s)", self._path, error.strerror)


def _as_deaths(value: Any) -> dict[str, list[str]]:
    if not isinstance(value, dict):
        return {}
    return {name: list(map(str, whys)) for name, whys in value.items() if isinstance(whys, list)}
