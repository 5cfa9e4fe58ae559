"""Prefetches results in a thread, so that the consumer keeps its rate."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable
from typing import Generic, TypeVar

T = TypeVar("T")
_PATIENCE = 2.0  # seconds


class Prefetcher(Generic[T]):
    """Runs an iterable in a thread, at most `depth` items ahead.

    newest: if items are not taken fast enough, drop the older ones, which `dropped` counts, instead
    of waiting. Errors of the iterable are raised where the items are taken. Use as a context
    manager.
    """

    def __init__(self, items: Iterable[T], depth: int = 4, newest: bool = False) -> None:
        self._items, self._newest = items, newest
        self.dropped = 0
        # A result is (item, None), (None, error), or None for the end.
        self._results: queue.Queue[tuple[T, None] | tuple[None, BaseException] | None] = (
            queue.Queue(depth)
        )
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work, name="prefetch", daemon=True)

    def __enter__(self) -> Prefetcher[T]:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        # A file on a dead network drive cannot be let go of; nothing may wait for it for ever.
        self._thread.join(_PATIENCE)

    def take(self, stop: threading.Event) -> T | None:
        """The next item; None at the end, or as soon as `stop` is set."""
        while not stop.is_set():
            try:
                result = self._results.get(timeout=0.05)
            except queue.Empty:
                continue
            if result is None:
                return None
            item, error = result
            if error is not None:
                raise error
            return item
        return None

    def _drop(self) -> None:
        try:
            self._results.get_nowait()
        except queue.Empty:  # it was taken meanwhile
            return
        self.dropped += 1

    def _work(self) -> None:
        try:
            for item in self._items:
                if not self._put((item, None)):
                    return
            self._put(None)
        except BaseException as error:  # whatever it is, it belongs to the thread that takes
            self._put((None, error))

    def _put(self, result: tuple[T, None] | tuple[None, BaseException] | None) -> bool:
        while not self._closed.is_set():
            try:
                self._results.put(result, timeout=0.05 if not self._newest else 0.0)
            except queue.Full:
                if self._newest:
                    self._drop()
                continue
            return True
        return False
