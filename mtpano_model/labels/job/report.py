"""Reports the progress of a labelling job from the files beside its store."""

from __future__ import annotations

import fcntl
from dataclasses import dataclass
from pathlib import Path

from mtpano_model.data.store import StoreNames, read_meta
from mtpano_model.errors import MtpanoError
from mtpano_model.labels.job.plan import Plan, read_plan


@dataclass(frozen=True)
class JobState:
    """Tasks by state. lost: their worker died, and no other has started them again.

    skipped: pictures of finished tasks, and why. failed: tasks that were given up, and why.
    """

    tasks: int
    done: list[int]
    running: list[int]
    lost: list[int]
    failed: dict[int, str]
    skipped: dict[str, str]
    held: int


def job_state(root: Path) -> JobState:
    """State of the job on a store; MtpanoError if it is no store or was not labelled in tasks."""
    if not (root / "tasks").is_dir():
        read_meta(root)  # says what is wrong where it is no store at all
    if (plan := read_plan(root)) is None:
        raise MtpanoError(
            f"store '{root}' was not labelled in tasks, so it has no status: label with --on or "
            "--worker"
        )
    done = [task for task in range(plan.tasks) if plan.is_done(task)]
    open_tasks = sorted(set(range(plan.tasks)) - set(done))
    noted = [task for task in open_tasks if plan.file(task, "running").exists()]
    running = [task for task in noted if _is_locked(plan, task)]
    failed = {
        task: str(plan.facts(task, "failed").get("reason", "its reason was not kept"))
        for task in open_tasks
        if task not in running and plan.file(task, "failed").exists()
    }
    skipped: dict[str, str] = {}
    for task in done:
        skipped |= plan.skipped(task)
    names = StoreNames(root)
    if names.refresh() or (root / "store.json").exists():  # not where it only begins
        read_meta(root)
    lost = [task for task in noted if task not in running and task not in failed]
    return JobState(plan.tasks, done, running, lost, failed, skipped, len(names))


def status_text(root: Path) -> str:
    """The text that `--status` prints."""
    state, plan = job_state(root), read_plan(root)
    assert plan is not None
    taken = len(state.done) + len(state.running) + len(state.lost) + len(state.failed)
    lines = [
        f"{root}: of {state.tasks} tasks {len(state.done)} done, {len(state.running)} running, "
        f"{len(state.lost)} lost, {len(state.failed)} failed, {state.tasks - taken} waiting; "
        f"{state.held} panoramas in the store, {len(state.skipped)} skipped"
    ]
    for task in state.running:
        facts = plan.facts(task, "running")
        lines.append(
            f"running: task {task} at '{facts.get('at')}', process {facts.get('pid')} on "
            f"{facts.get('host')} since {facts.get('since')}"
        )
    lines += [f"lost: task {task}, the next run starts it again" for task in state.lost]
    return "\n".join(lines)


def failed_text(root: Path) -> str:
    """The text of `--failed`: tasks that were given up, pictures that were skipped, and why."""
    state = job_state(root)
    lines = [f"task {task}: {reason}" for task, reason in state.failed.items()]
    lines += [f"skipped {name}: {reason}" for name, reason in state.skipped.items()]
    return "\n".join(lines) or f"{root}: no task failed, no picture was skipped"


def _is_locked(plan: Plan, task: int) -> bool:
    """Whether a process is writing the task's shard."""
    try:
        with (plan.root / f".writer-{task}.lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False
