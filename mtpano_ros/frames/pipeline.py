"""Three threads side by side: prepare -> infer -> finish, always on the newest image.

    offer -> [arrived] -> prepare -> [prepared] -> infer -> [inferred] -> finish

Every bracket holds one job. In the first one, a newer job replaces an older one. A stage starts
only when the bracket behind it is empty, so that nothing is prepared or inferred for nothing. The
newest image is prepared shortly before the network is free, so images stay fresh under overload.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from mtpano_ros.frames.slot import Slot

T = TypeVar("T")
Stage = Callable[[T], None]


class Pipeline(Generic[T]):
    """Runs three functions on jobs.

    dropped: called with every job that is given up for a newer one, or left over at the end.
    failed: called with a job, the name of the stage and what it raised; the pipeline then goes on.
    """

    def __init__(
        self,
        prepare: Stage[T],
        infer: Stage[T],
        finish: Stage[T],
        dropped: Stage[T],
        failed: Callable[[T, str, Exception], None],
    ) -> None:
        self._arrived: Slot[T] = Slot()
        self._prepared: Slot[T] = Slot()
        self._inferred: Slot[T] = Slot()
        self._stages = {"prepare": prepare, "infer": infer, "finish": finish}
        self._dropped, self._failed = dropped, failed
        self._clock = _NetworkClock()
        loops = (self._prepare_all, self._infer_all, self._finish_all)
        self._threads = [
            threading.Thread(target=loop, name=f"mtpano-{name}", daemon=True)
            for name, loop in zip(self._stages, loops, strict=True)
        ]
        for thread in self._threads:
            thread.start()

    def offer(self, job: T) -> None:
        """Hand in the newest job; returns at once."""
        self._give_up(self._arrived.put(job))

    def stop(self, timeout: float = 10.0) -> bool:
        """End the threads after the job in the network. False if that takes longer.

        May be called again.
        """
        deadline = time.monotonic() + timeout

        def left() -> float:
            return max(0.0, deadline - time.monotonic())

        for slot in (self._arrived, self._prepared):
            self._give_up(slot.close())
        self._clock.release()
        prepare, infer, finish = self._threads
        prepare.join(left())
        infer.join(left())
        self._inferred.wait_until_empty(left())
        self._give_up(self._inferred.close())
        finish.join(left())
        return not any(thread.is_alive() for thread in self._threads)

    def _prepare_all(self) -> None:
        usual = 0.0
        while self._prepared.wait_until_empty():
            self._clock.wait_until_wanted(ahead=usual)
            job = self._arrived.take()
            if job is None:
                return
            began = time.monotonic()
            if self._run("prepare", job):
                self._give_up(self._prepared.put(job))
            usual = _smoothed(usual, time.monotonic() - began)

    def _infer_all(self) -> None:
        while self._inferred.wait_until_empty():
            self._clock.free()
            job = self._prepared.take(first=self._clock.busy)
            if job is None:
                return
            if self._run("infer", job):
                self._give_up(self._inferred.put(job))

    def _finish_all(self) -> None:
        while (job := self._inferred.take()) is not None:
            self._run("finish", job)

    def _run(self, stage: str, job: T) -> bool:
        try:
            self._stages[stage](job)
        except Exception as error:  # whatever one image brings about, the next one may be fine
            self._failed(job, stage, error)
            return False
        return True

    def _give_up(self, job: T | None) -> None:
        if job is not None:
            self._dropped(job)


class _NetworkClock:
    """Foretells when the network will be free, from how long it was busy before.

    The infer thread calls `busy` and `free`, the prepare thread waits. Each attribute has one
    writer; a value that is one image old makes the forecast a little worse and nothing else.
    """

    def __init__(self) -> None:
        self._free = threading.Event()
        self._free.set()
        self._began = 0.0
        self._usual = 0.0

    def busy(self) -> None:
        """The network takes an image now."""
        self._began = time.monotonic()
        self._free.clear()

    def free(self) -> None:
        """The network waits for an image, whether or not it has had one before."""
        if not self._free.is_set():
            self._usual = _smoothed(self._usual, time.monotonic() - self._began)
        self._free.set()

    def release(self) -> None:
        """Let `wait_until_wanted` return, since the pipeline ends."""
        self._free.set()

    def wait_until_wanted(self, ahead: float) -> None:
        """Return when the network is free, or expected to be in 2 x `ahead` seconds.

        ahead: how long preparing an image takes as a rule. Twice that, because an idle network
        costs a frame where an early start costs an image that is a little older.
        """
        expected = self._began + self._usual - 2 * ahead
        self._free.wait(max(0.0, expected - time.monotonic()))


def _smoothed(usual: float, now: float) -> float:
    return now if usual == 0.0 else 0.8 * usual + 0.2 * now
