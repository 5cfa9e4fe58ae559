"""The bar that shows how far labelling is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mtpano_model.progress_bar import progress_bar


@contextmanager
def progress(total: int, done: int, patches: int) -> Iterator[Callable[[int], None]]:
    """A bar with the time that is left; yields a function that takes the number of panoramas
    done since its last call.

    total: an estimate, since a worker's share follows from names; corrected at the end.
    """
    with progress_bar(with_note=True) as bar:
        task = bar.add_task("labelling", total=total, completed=min(done, total), note="panoramas")

        def advance(count: int = 1) -> None:
            bar.advance(task, count)
            speed = bar.tasks[0].speed or 0.0
            bar.update(task, note=f"panoramas, {speed * patches:.1f} patches/s")

        yield advance
        bar.update(task, total=bar.tasks[0].completed)
