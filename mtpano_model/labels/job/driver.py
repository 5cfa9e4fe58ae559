"""The process that hands out the tasks of a labelling job."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial

from mtpano_model.data.panorama import PanoramaSource
from mtpano_model.data.rig import RigShots
from mtpano_model.data.rosbag import BagPanoramas
from mtpano_model.data.store import StoreNames
from mtpano_model.errors import MtpanoError
from mtpano_model.labels.job.engines import open_engine
from mtpano_model.labels.job.job import Engine, Job, Opened, TaskEnd
from mtpano_model.labels.job.local import LocalEngine
from mtpano_model.labels.job.plan import Plan, joined, only_driver, usual_tasks
from mtpano_model.labels.outcome import Outcome
from mtpano_model.labels.progress import progress
from mtpano_model.labels.request import LabelRequest, worker_share


def label_in_tasks(
    request: LabelRequest, source: PanoramaSource, open_all: Callable[[LabelRequest], Opened]
) -> Outcome | None:
    """Label the unfinished tasks, on the engine `request.on` or as the worker `request.worker`.

    None if the tasks were submitted to a batch system. MtpanoError if a task was given up or
    nothing can be labelled at all.
    """
    share = worker_share(request.worker) if request.worker is not None else None
    digest, names = request.digest(source.identity()), StoreNames(request.out)
    with ExitStack() as held:
        usual = usual_tasks(len(source), isinstance(source, BagPanoramas | RigShots))
        plan = held.enter_context(joined(request.out, usual, request.tasks, digest))
        if share is not None:
            engine: Engine = LocalEngine(1, first=share[0])
            tasks = _from_own_share(plan, *share)
        else:
            assert request.on is not None
            engine = open_engine(request.on, request.command())
            held.enter_context(only_driver(plan))
            names.refresh()
            plan.retry_unfinished(names)
            tasks = plan.undone()
        gpu = {"auto": None, "cuda": True}.get(request.device, False)
        job = Job(plan, partial(open_all, request), digest, request.limit, request.threads, gpu)
        ends = engine.run(job, tasks)
        return _collect(request, source, names, ends) if engine.waits else None


def _from_own_share(plan: Plan, worker: int, workers: int) -> Sequence[int]:
    """The unfinished tasks: the worker's own share first, then those of the next workers."""
    start = worker * plan.tasks // workers
    return sorted(plan.undone(), key=lambda task: (task - start) % plan.tasks)


def _collect(
    request: LabelRequest, source: PanoramaSource, names: StoreNames, ends: Iterator[TaskEnd]
) -> Outcome:
    outcome, failed = Outcome(), []
    held = len(names.refresh())
    total = min(len(source), request.limit or len(source))
    with progress(total, held, request.patches) as advance:
        for end in ends:
            advance(end.labelled + len(end.skipped))
            outcome.labelled += end.labelled
            outcome.skipped += end.skipped
            failed += [end] * (end.state == "failed")
    if request.on is not None:
        # Of a worker that died no end tells what it had labelled before.
        outcome.labelled = len(names.refresh()) - held
    if failed:
        raise MtpanoError(
            f"{len(failed)} tasks failed, the first, {failed[0].task}, because "
            f"{failed[0].reason}; {outcome.labelled} panoramas were labelled: fix the cause and "
            "run the command again"
        )
    return outcome
