"""Halves a teacher's batches when it runs out of memory; at a batch of one it gives up."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import fields
from functools import partial

import torch
from torch import Tensor

from mtpano_model.data.panorama import Panorama
from mtpano_model.geometry.perspective import Views
from mtpano_model.labels.asking import ask
from mtpano_model.labels.teacher import Teacher, TeacherLabels

log = logging.getLogger(__name__)


class TeacherOutOfMemory(Exception):
    """A teacher cannot label even one patch, or one whole panorama."""


class Batches:
    """Number of patches that a teacher labels at once; halved when it runs out of memory."""

    def __init__(self) -> None:
        self._most: int | None = None

    def label(
        self, teacher: Teacher, patches: Tensor, panorama: Panorama, views: Views
    ) -> TeacherLabels:
        """Labels of all patches, in as many batches as needed.

        TeacherOutOfMemory if memory does not suffice for one patch.
        """
        done: list[TeacherLabels] = []
        start = 0
        while start < len(views):
            part = slice(start, start + (self._most or len(views)))
            asked = partial(teacher.label, patches[part], views[part], panorama)
            labels = ask(teacher, asked, panorama.name, len(views[part]), views.size)
            if labels is not None:
                done.append(labels)
                start = part.stop
                continue
            count = len(views[part])
            if count == 1:
                raise TeacherOutOfMemory(
                    f"teacher '{teacher.name}' ran out of memory at a single patch"
                )
            self._most = count // 2
            log.warning(
                "teacher %s ran out of memory at %d patches: from now on it labels %d at once",
                teacher.name, count, self._most,
            )  # fmt: skip
        return done[0] if len(done) == 1 else _joined(done)


def _joined(parts: Sequence[TeacherLabels]) -> TeacherLabels:
    maps = {}
    for field in fields(TeacherLabels):
        values = [getattr(part, field.name) for part in parts]
        maps[field.name] = None if values[0] is None else torch.cat(values)
    return TeacherLabels(**maps)
