"""A queue of one place between two threads, in which a newer item replaces an older one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Slot(Generic[T]):
    """Holds the newest item that was put and not yet taken."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._item: T | None = None
        self._closed = False

    def put(self, item: T) -> T | None:
        """Put `item`; returns the one that it replaces, or `item` itself if the slot is closed."""
        with self._changed:
            if self._closed:
                return item
            replaced, self._item = self._item, item
            self._changed.notify_all()
            return replaced

    def take(self, first: Callable[[], None] | None = None) -> T | None:
        """Wait for an item; None once the slot is closed.

        first: called before another thread can see that the slot is empty again.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._item is not None or self._closed)
            if first is not None:
                first()
            item, self._item = self._item, None
            self._changed.notify_all()
            return item

    def wait_until_empty(self, timeout: float | None = None) -> bool:
        """Wait until the item was taken; False if the slot is closed, or after `timeout` s."""
        with self._changed:
            empty = self._changed.wait_for(lambda: self._item is None or self._closed, timeout)
            return empty and not self._closed

    def close(self) -> T | None:
        """End every wait, now and later; returns the item that was not taken."""
        with self._changed:
            self._closed = True
            item, self._item = self._item, None
            self._changed.notify_all()
            return item
