"""Labelling many panoramas: from a source, through the engine, into a store."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

from mtpano_model.classes import IGNORE
from mtpano_model.data.panorama import Panorama, PanoramaSource, Skipped
from mtpano_model.data.pseudo_encoding import PseudoLabels, encode
from mtpano_model.data.store_writer import StoreWriter
from mtpano_model.labels.engine import LabelEngine

log = logging.getLogger(__name__)


@dataclass
class Outcome:
    """What a session did: panoramas labelled, and those that could not be."""

    labelled: int = 0
    skipped: list[Skipped] = field(default_factory=list)


class NotMine(Collection[str]):
    """Names that this worker leaves alone: those already in the store, and other workers'.

    A name's worker follows from its SHA-1, so that the share stays the same when a run goes on.
    """

    def __init__(self, done: Collection[str], worker: int = 0, workers: int = 1):
        self._done, self._worker, self._workers = done, worker, workers

    def __contains__(self, name: object) -> bool:
        return name in self._done or not self._is_mine(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._done)

    def __len__(self) -> int:
        return len(self._done)

    def mine_done(self) -> int:
        """How many of this worker's own are in the store."""
        return sum(map(self._is_mine, self._done))

    def _is_mine(self, name: object) -> bool:
        digest = hashlib.sha1(str(name).encode()).digest()
        return int.from_bytes(digest[:8], "big") % self._workers == self._worker


def label_all(
    source: PanoramaSource,
    engine: LabelEngine,
    writer: StoreWriter,
    left_alone: Collection[str],
    limit: int | None = None,
    on_done: Callable[[Panorama | Skipped, PseudoLabels | None], None] = lambda *_: None,
) -> Outcome:
    """Label what is missing in the store, at most until all its writers together have brought it to
    `limit` panoramas.

    A picture that cannot be used is skipped, told in the log and counted; on_done is called after
    each, with its labels if it has some.
    """

    def is_full() -> bool:
        return limit is not None and writer.held() >= limit

    outcome = Outcome()
    if is_full():
        return outcome
    for item in source.panoramas(left_alone):
        labels = None
        if isinstance(item, Panorama):
            labels = engine.label(item)
            if _is_empty(labels):
                reason = "no teacher knew anything about any of its pixels"
                item, labels = Skipped(item.name, reason), None
        if isinstance(item, Skipped):
            log.warning("skipped %s: %s", item.name, item.reason)
            outcome.skipped.append(item)
        elif is_full():  # others were faster
            break
        else:
            assert labels is not None
            writer.add(item.name, encode(labels))
            outcome.labelled += 1
        on_done(item, labels)
        if is_full():
            break
    return outcome


def _is_empty(labels: PseudoLabels) -> bool:
    return bool(
        (labels.classes == IGNORE).all() and not labels.normals.any() and not labels.depth.any()
    )
