"""The division of a job into tasks, and the files that record their progress.

    STORE/tasks/plan.json        number of tasks, and a digest of what is labelled and how
    STORE/tasks/000017.done      marker of a finished task, written last: skipped pictures and why
    STORE/tasks/000017.running   which process labels it, since when, at which picture
    STORE/tasks/000017.failed    why it was given up

Task n writes the store's shards `shard-n-*`; the store's writer lock is the lock of the task.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtpano_model.data.store import StoreNames
from mtpano_model.errors import MtpanoError, writing
from mtpano_model.stored_files import open_regular, parse_json, read_json
from mtpano_model.whole_files import write_json

log = logging.getLogger(__name__)

MOST_TASKS = 1024  # by default: of 400,000 panoramas, each is about 300 MB of labels
MOST_TASKS_ASKED = 100_000
_PANORAMAS = 16  # of a task at least, where that leaves enough tasks
_FEWEST_TASKS = 16
_ADVICE = (
    "free some disk space or check the permissions, then run the same command again; the store "
    "itself is complete"
)


def usual_tasks(panoramas: int, whole_reading: bool = False) -> int:
    """Number of tasks for a number of panoramas: many more than workers, but none of them tiny.

    whole_reading: each task reads the whole source (a video), so that there should be few tasks.
    """
    wanted = max(_FEWEST_TASKS, 0 if whole_reading else -(-panoramas // _PANORAMAS))
    return max(1, min(wanted, panoramas, MOST_TASKS))


def task_of(name: str, tasks: int) -> int:
    """The task that a picture belongs to: its name's SHA-1 modulo the number of tasks."""
    digest = hashlib.sha1(name.encode(errors="surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") % tasks


@dataclass(frozen=True)
class Plan:
    """The tasks of the job on a store. root: the store's folder. tasks: their number."""

    root: Path
    tasks: int

    @property
    def folder(self) -> Path:
        return self.root / "tasks"

    def file(self, task: int, state: str) -> Path:
        """Path of the file that marks a task as "done", "running" or "failed"."""
        return self.folder / f"{task:06d}.{state}"

    def is_done(self, task: int) -> bool:
        """Whether the task's marker has been written."""
        return self.file(task, "done").exists()

    def undone(self) -> list[int]:
        """The tasks that are not done."""
        return [task for task in range(self.tasks) if not self.is_done(task)]

    def facts(self, task: int, state: str) -> dict[str, Any]:
        """Contents of the file of a state; empty if it is missing or being written."""
        try:
            with open_regular(self.file(task, state)) as file:
                facts = parse_json(file.read())
        except (OSError, ValueError):
            return {}
        return facts if isinstance(facts, dict) else {}

    def write(self, task: int, state: str, facts: dict[str, Any]) -> None:
        """Write the file of a state; MtpanoError if it cannot be written."""
        with writing(self.folder, _ADVICE):
            write_json(self.file(task, state), facts)

    def remove(self, task: int, state: str) -> None:
        """Remove the file of a state, if there is one; MtpanoError if the disk refuses."""
        with writing(self.folder, _ADVICE), contextlib.suppress(FileNotFoundError):
            self.file(task, state).unlink()

    def skipped(self, task: int) -> dict[str, str]:
        """Pictures that a finished task skipped, and why."""
        skipped = self.facts(task, "done").get("skipped")
        return skipped if isinstance(skipped, dict) else {}

    def retry_unfinished(self, names: StoreNames) -> None:
        """Reopen the tasks that skipped pictures, since the cause may be fixed by now, and those
        whose panoramas are no longer in the store.

        names: names of the panoramas in the store, just read.
        """
        for task in range(self.tasks):
            if not self.is_done(task):
                continue
            facts = self.facts(task, "done")
            held, left = facts.get("held"), names.held_by(task)
            if isinstance(held, int) and left < held:
                log.warning("task %d starts again: of its %d panoramas %d are left", task, held,
                            left)  # fmt: skip
                self.remove(task, "done")
            elif facts.get("skipped"):
                self.remove(task, "done")


def read_plan(root: Path) -> Plan | None:
    """The plan of a store; None where it was never cut into tasks."""
    path = root / "tasks" / "plan.json"
    if not path.exists():
        return None
    tasks = read_json(path, "delete the folder 'tasks' and run the same command again").get("tasks")
    if type(tasks) is not int or not 1 <= tasks <= MOST_TASKS_ASKED:
        raise MtpanoError(
            f"{path} is damaged (tasks {tasks}): delete the folder 'tasks' and run the same "
            "command again; the panoramas in the store are kept"
        )
    return Plan(root, tasks)


@contextlib.contextmanager
def joined(root: Path, usual: int, wanted: int | None, digest: str) -> Iterator[Plan]:
    """The plan of the job on a store, made or renewed if needed, and locked inside the context.

    usual: number of tasks if neither `wanted` nor an earlier plan gives one.
    digest: `LabelRequest.digest`. If it or the wanted number of tasks differs from the plan's, the
    finished tasks are checked again; panoramas in the store are not labelled again.
    MtpanoError if the plan would have to be renewed while other processes use it.
    """
    if wanted is not None and not 1 <= wanted <= MOST_TASKS_ASKED:
        raise MtpanoError(f"--tasks {wanted}: expected 1 to {MOST_TASKS_ASKED}")
    with writing(root / "tasks", _ADVICE):
        (root / "tasks").mkdir(parents=True, exist_ok=True)
        lock = (root / "tasks" / "plan.lock").open("wb")
    with lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        plan = _agreed(root, wanted, digest)
        if plan is None:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _renew(root, usual, wanted, digest)
            # Whoever had the lock may have made the very same plan.
            fcntl.flock(lock, fcntl.LOCK_SH)
            plan = _agreed(root, wanted, digest)
        if plan is None:
            raise MtpanoError(
                f"another job labels '{root}' with other settings, pictures or tasks: wait for it, "
                "or give this one another --out"
            )
        yield plan


def _agreed(root: Path, wanted: int | None, digest: str) -> Plan | None:
    """The present plan, if it has this number of tasks and this digest."""
    plan = read_plan(root)
    if plan is None or wanted not in (None, plan.tasks):
        return None
    stored = read_json(plan.folder / "plan.json", "run the same command again").get("digest")
    return plan if stored == digest else None


def _renew(root: Path, usual: int, wanted: int | None, digest: str) -> None:
    if _agreed(root, wanted, digest) is not None:  # another process was faster
        return
    earlier = read_plan(root)
    plan = Plan(root, wanted or (earlier.tasks if earlier else usual))
    if earlier is not None:
        log.info(
            "%s: the pictures, the settings or the number of tasks are not those of the last run: "
            "every task is checked again, and the panoramas in the store are kept", root,
        )  # fmt: skip
    with writing(plan.folder, _ADVICE):
        for state in ("done", "failed", "running"):
            for path in plan.folder.glob(f"*.{state}"):
                path.unlink()
        write_json(plan.folder / "plan.json", {"tasks": plan.tasks, "digest": digest})


@contextlib.contextmanager
def only_driver(plan: Plan) -> Iterator[None]:
    """MtpanoError if another `mtpano label --on` hands out the tasks of this store."""
    with (plan.folder / "driver.lock").open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise MtpanoError(
                f"another `mtpano label --on` labels '{plan.root}': wait for it, or stop it first"
            ) from None
        yield
