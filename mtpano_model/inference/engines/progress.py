"""Progress of an engine build, and its cancellation."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any

from mtpano_model.errors import MtpanoError

log = logging.getLogger(__name__)

_LOG_EVERY = 5.0  # seconds


class BuildCancelled(MtpanoError):
    """The caller asked for the build to stop."""


@dataclass(frozen=True)
class BuildProgress:
    """phase: what is being done. fraction: 0..1 of the whole, never falling. seconds: so far."""

    phase: str
    fraction: float
    seconds: float


ProgressCallback = Callable[[BuildProgress], None]


@dataclass
class _Phase:
    parent: str | None
    steps: int
    done: int = 0


class BuildMonitor:
    """Adds up TensorRT's nested phases; reports to the callback and, every 5 s, to the log.

    Nobody says whether another phase will follow the outermost one: it divides what is left, and
    its end is not yet the whole, which is for `report` to be told.
    TensorRT calls from its own threads. cancel: the build stops at the next step once it is set.
    error: what the callback raised, which also stops the build (it must not cross C++).
    """

    def __init__(
        self,
        progress: ProgressCallback | None = None,
        cancel: threading.Event | None = None,
        *,
        log_progress: bool = True,
    ) -> None:
        self.error: Exception | None = None
        self._progress = progress
        self._cancel = cancel or threading.Event()
        self._phases: dict[str, _Phase] = {}
        self._lock = threading.Lock()
        self._begin = monotonic()
        self._next_log = self._begin + _LOG_EVERY if log_progress else float("inf")
        self._fraction = 0.0
        self._begun_at = 0.0  # the fraction when the present outermost phase began

    @property
    def cancelled(self) -> bool:
        return self._cancel.is_set()

    @property
    def seconds(self) -> float:
        return monotonic() - self._begin

    def raise_if_cancelled(self) -> None:
        """BuildCancelled once `cancel` is set."""
        if self.cancelled:
            raise BuildCancelled(
                "the engine build was cancelled: start it again when there is time for it"
            )

    def report(self, phase: str, fraction: float | None = None) -> None:
        """Report `phase` and the finished fraction, if None of the nested phases known so far."""
        with self._lock:
            if fraction is None:
                roots = [name for name, p in self._phases.items() if p.parent not in self._phases]
                part = max((self._part(name) for name in roots), default=0.0)
                fraction = self._begun_at + (1 - self._begun_at) * (part if part < 1 else 0.0)
            self._fraction = max(self._fraction, min(fraction, 1.0))
            now = BuildProgress(phase, self._fraction, self.seconds)
            due = monotonic() >= self._next_log
            if due:
                self._next_log = monotonic() + _LOG_EVERY
        if due:
            log.info("engine build: %d %%, %s, %.0f s", now.fraction * 100, phase, now.seconds)
        if self._progress is not None:
            self._progress(now)

    def _part(self, name: str) -> float:
        phase = self._phases[name]
        inner = [self._part(n) for n, p in self._phases.items() if p.parent == name]
        return (phase.done + max(inner, default=0.0)) / max(phase.steps, 1)

    def begin(self, phase: str, parent: str | None, steps: int) -> None:
        with self._lock:
            if not self._phases:
                self._begun_at = self._fraction
            self._phases[phase] = _Phase(parent, steps)
        self._report_from_tensorrt(phase)

    def step(self, phase: str, step: int) -> bool:
        """Returns whether TensorRT is to go on."""
        with self._lock:
            if phase in self._phases:
                self._phases[phase].done = step + 1
        self._report_from_tensorrt(phase)
        return self.error is None and not self.cancelled

    def finish(self, phase: str) -> None:
        with self._lock:
            self._phases.pop(phase, None)

    def _report_from_tensorrt(self, phase: str) -> None:
        try:
            self.report(phase)
        except Exception as error:  # any: it is raised again once TensorRT has returned
            self.error = error


def make_progress_monitor(tensorrt: Any, monitor: BuildMonitor) -> Any:
    """A tensorrt.IProgressMonitor that hands everything to `monitor`."""

    class ProgressMonitor(tensorrt.IProgressMonitor):
        def __init__(self) -> None:
            tensorrt.IProgressMonitor.__init__(self)

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            monitor.begin(phase_name, parent_phase, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            return monitor.step(phase_name, step)

        def phase_finish(self, phase_name: str) -> None:
            monitor.finish(phase_name)

    return ProgressMonitor()
