"""Load an engine in a thread of its own, so that Ctrl-C and services are answered meanwhile.

TensorRT lets other Python threads run while it parses and builds.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from mtpano_model.inference.engines.tensorrt_progress import BuildProgress, ProgressCallback

T = TypeVar("T")


class BackgroundLoad(Generic[T]):
    """Runs `load(progress, cancel)` at once in a daemon thread.

    progress: how far the build is, None while there is none (a cached engine needs none).
    """

    def __init__(self, load: Callable[[ProgressCallback, threading.Event], T]) -> None:
        self.progress: BuildProgress | None = None
        self._cancel = threading.Event()
        self._value: list[T] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(
            target=self._run, args=(load,), name="load engine", daemon=True
        )
        self._thread.start()

    def _run(self, load: Callable[[ProgressCallback, threading.Event], T]) -> None:
        try:
            self._value.append(load(self._note, self._cancel))
        except BaseException as error:  # any: it is raised again where the result is asked for
            self._error = error

    def _note(self, progress: BuildProgress) -> None:
        self.progress = progress

    def cancel(self) -> None:
        """Ask the load to stop; a build ends at its next step with BuildCancelled."""
        self._cancel.set()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for the end; returns whether it has come."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def result(self) -> T:
        """What `load` returned, once it has ended; raises what it raised."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._value[0]
