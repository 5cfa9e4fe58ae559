"""The data that the processes of a job share, and the interface of an engine."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from mtpano_model.data.panorama import PanoramaSource, Skipped
from mtpano_model.labels.job.plan import Plan

if TYPE_CHECKING:
    from mtpano_model.labels.engine import LabelEngine

log = logging.getLogger(__name__)

BUSY_PAUSE = 2.0  # seconds until a task that another process works on is looked at again
GRACE = 10.0  # seconds that a worker has to end when it is told to
ATTEMPTS = 10  # at a task, in one run, before it is given up
DEATHS = 3  # of workers at one and the same picture, before it is skipped


class Opened(NamedTuple):
    """What a worker needs: pictures, teachers and the store's description."""

    source: PanoramaSource
    engine: LabelEngine
    meta: Mapping[str, Any]


@dataclass(frozen=True)
class Job:
    """Describes the labelling of one store to its processes; it can be pickled.

    open: loads the teachers and finds the pictures, in a worker. digest: of what it opens.
    limit: panoramas in the store at which to stop. threads: CPU threads of a worker.
    gpu: whether each worker needs a GPU of its own; None: if the machine has any.
    """

    plan: Plan
    open: Callable[[], Opened]
    digest: str
    limit: int | None = None
    threads: int = 1
    gpu: bool | None = None


@dataclass(frozen=True)
class TaskEnd:
    """How a task ended.

    done: its marker is written. full: the store has reached the job's limit. busy: another process
    labels it. failed: it was given up. stopped: nothing can be labelled; `reason` says why.
    """

    task: int
    state: Literal["done", "full", "busy", "failed", "stopped"]
    labelled: int = 0
    skipped: tuple[Skipped, ...] = field(default=())
    reason: str = ""


def given_up(job: Job, task: int, why: str) -> TaskEnd:
    """The end of a task whose workers died too often; logs it and writes its .failed file."""
    reason = f"its worker died {ATTEMPTS} times, the last time: {why}"
    log.warning("task %d is given up: %s", task, reason)
    job.plan.write(task, "failed", {"reason": reason})
    return TaskEnd(task, "failed", reason=reason)


class Engine(Protocol):
    """Runs tasks. waits: whether `run` waits for their ends; a batch system only queues them."""

    waits: bool

    def run(self, job: Job, tasks: Sequence[int]) -> Iterator[TaskEnd]:
        """Label the tasks, and yield the end of each.

        MtpanoError if the engine is not installed.
        """
        ...
