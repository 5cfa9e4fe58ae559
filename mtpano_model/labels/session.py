"""Labelling many panoramas: from a source, through the engine, into a store."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection

from mtpano_model.classes import IGNORE
from mtpano_model.data.panorama import Panorama, PanoramaSource, Skipped
from mtpano_model.data.pseudo_encoding import PseudoLabels, encode
from mtpano_model.data.store_writer import StoreWriter
from mtpano_model.labels.engine import LabelEngine
from mtpano_model.labels.out_of_memory import TeacherOutOfMemory
from mtpano_model.labels.outcome import Outcome

log = logging.getLogger(__name__)


def label_all(
    source: PanoramaSource,
    engine: LabelEngine,
    writer: StoreWriter,
    left_alone: Collection[str],
    limit: int | None = None,
    on_done: Callable[[Panorama | Skipped, PseudoLabels | None], None] = lambda *_: None,
) -> Outcome:
    """Label the panoramas that the store lacks, until it holds `limit` (counting all its writers).

    A picture that cannot be used is skipped, logged and counted. on_done is called after each
    picture, with its labels or None.
    """

    def is_full() -> bool:
        return limit is not None and writer.held() >= limit

    outcome = Outcome()
    if is_full():
        outcome.is_complete = False
        return outcome
    for item in source.panoramas(left_alone):
        labels = None
        if isinstance(item, Panorama):
            try:
                labels = engine.label(item)
            except TeacherOutOfMemory as error:
                item = Skipped(item.name, str(error))
        if labels is not None and _is_empty(labels):
            reason = "no teacher could label any of its pixels"
            item, labels = Skipped(item.name, reason), None
        if isinstance(item, Skipped):
            log.warning("skipped %s: %s", item.name, item.reason)
            outcome.skipped.append(item)
        elif is_full():  # others were faster
            outcome.is_complete = False
            break
        else:
            assert labels is not None
            writer.add(item.name, encode(labels))
            outcome.labelled += 1
        on_done(item, labels)
        if is_full():
            outcome.is_complete = False
            break
    return outcome


def _is_empty(labels: PseudoLabels) -> bool:
    return bool(
        (labels.classes == IGNORE).all() and not labels.normals.any() and not labels.depth.any()
    )
