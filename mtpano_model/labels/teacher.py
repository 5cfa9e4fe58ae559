"""The interface of a teacher, which labels perspective patches or whole panoramas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from mtpano_model.classes import IGNORE
from mtpano_model.data.panorama import Panorama
from mtpano_model.errors import MtpanoError
from mtpano_model.geometry.perspective import Views


@dataclass
class TeacherLabels:
    """The labels of a teacher for N pictures of h x w pixels, each in its own optical frame.

    depth: float [N, 1, h, w], metres (any unit from a teacher that is not metric); z along the
        optical axis for patches, range along the ray for whole panoramas.
    normals: float [N, 3, h, w], towards the camera.
    classes: uint8 [N, 1, h, w], ids of the label config's class set, 255 none.
    confidence: float [N, 1, h, w], 0..1, of the class.
    None: the teacher does not label this task. NaN, infinity, a depth not above 0 or a zero normal:
    it does not label this pixel.
    """

    depth: Tensor | None = None
    normals: Tensor | None = None
    classes: Tensor | None = None
    confidence: Tensor | None = None

    def without(self, unseen: Tensor) -> TeacherLabels:
        """A copy without labels at pixels that show nothing, bool [N, 1, h, w]."""

        def cleared(values: Tensor | None, value: float) -> Tensor | None:
            return None if values is None else values.masked_fill(unseen, value)

        return TeacherLabels(
            cleared(self.depth, 0),
            cleared(self.normals, 0),
            cleared(self.classes, IGNORE),
            cleared(self.confidence, 0),
        )


@runtime_checkable
class Teacher(Protocol):
    """Labels patches.

    name: for messages and the store's description. tasks: of "depth", "normals", "semseg".
    pitch_deg: range of pitches for which it was trained. license: of its weights.
    """

    name: str
    tasks: tuple[str, ...]
    pitch_deg: tuple[float, float]
    license: str

    def label(self, patches: Tensor, views: Views, panorama: Panorama) -> TeacherLabels:
        """patches: uint8 [N, 3, h, w] RGB, cut out of `panorama` by `views`."""
        ...


@runtime_checkable
class PanoramaTeacher(Protocol):
    """Labels whole panoramas; attributes as of `Teacher`."""

    name: str
    tasks: tuple[str, ...]
    license: str

    def label_panorama(self, panorama: Panorama, size: tuple[int, int]) -> TeacherLabels:
        """Labels of N = 1 picture at `size` (H, W), in the panorama's optical frame."""
        ...


def is_metric(teacher: Teacher | PanoramaTeacher) -> bool:
    """Whether its depth is in metres; a teacher of arbitrary scale has `metric = False`."""
    return getattr(teacher, "metric", True)


_FIELDS = {"depth": ("depth", 1), "normals": ("normals", 3), "semseg": ("classes", 1)}


def check_labels(
    labels: object, teacher: Teacher | PanoramaTeacher, count: int, size: tuple[int, int]
) -> None:
    """MtpanoError if labels do not have the types and shapes of `TeacherLabels`, or lack a task.

    count, size: number of pictures, and their (h, w).
    """
    if not isinstance(labels, TeacherLabels):
        raise MtpanoError(
            f"teacher '{teacher.name}' returned {type(labels).__name__}: expected TeacherLabels"
        )
    fields = [_FIELDS[task] for task in teacher.tasks]
    if labels.confidence is not None:
        fields.append(("confidence", 1))
    for name, channels in fields:
        values, expected = getattr(labels, name), (count, channels, *size)
        given = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
        if given != expected:
            raise MtpanoError(
                f"teacher '{teacher.name}' returned {name} {given}: expected a tensor {expected}"
            )
        if name == "classes" and (values.is_floating_point() or values.is_complex()):
            raise MtpanoError(
                f"teacher '{teacher.name}' returned classes as {values.dtype}: expected integer ids"
            )


def known_depth(depth: Tensor) -> Tensor:
    """Where a depth is a number of metres above 0, bool."""
    return torch.isfinite(depth) & (depth > 0)


def unit_normals(normals: Tensor) -> tuple[Tensor, Tensor]:
    """Normals [N, 3, h, w] of length 1, 0 where they are unknown; and where they are known."""
    # Written out: torch.linalg.vector_norm over channels is ten times slower on a CPU.
    length = normals.square().sum(1, keepdim=True).sqrt()
    known = torch.isfinite(length) & (length > 0.1)
    return torch.where(known, normals / length, 0), known


def known_classes(labels: TeacherLabels, count: int, name: str) -> tuple[Tensor, Tensor]:
    """Classes, 255 also where the confidence is NaN, and their confidence, 0 there.

    MtpanoError for a class outside 0..count-1 that is not 255: the teacher's table is wrong.
    """
    classes = labels.classes
    assert classes is not None
    outside = (classes >= count) & (classes != IGNORE)
    if outside.any():
        raise MtpanoError(
            f"teacher '{name}' returned class {int(classes[outside].max())}, expected 0 to "
            f"{count - 1} or {IGNORE}: its class table does not fit the class set"
        )
    confidence = torch.ones_like(classes, dtype=torch.float32)
    if labels.confidence is not None:
        confidence = labels.confidence.float().clamp(0, 1)
    unknown = confidence.isnan() | (classes == IGNORE)
    return classes.masked_fill(unknown, IGNORE), confidence.masked_fill(unknown, 0)
