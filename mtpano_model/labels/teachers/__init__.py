"""Teachers by name; what a teacher needs is imported only when it is opened."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from mtpano_model.errors import MtpanoError, did_you_mean, one_line
from mtpano_model.last_resort import TRACEBACK

if TYPE_CHECKING:
    from mtpano_model.labels.teacher import PanoramaTeacher, Teacher

# name: (module, class); docs/labels.md has the sources of each.
TEACHERS: dict[str, tuple[str, str]] = {
    "moge2": ("moge", "MoGe2"),
    "moge2-normals": ("moge", "MoGe2Normals"),
    "moge3": ("moge", "MoGe3"),
    "metric-anything": ("moge", "MetricAnything"),
    "depth-anything": ("depth_anything", "DepthAnythingMetric"),
    "da3metric": ("depth_anything3", "DepthAnything3Metric"),
    "dap": ("dap", "DAP"),
    "da2": ("da2", "DA2"),
    "da360": ("da360", "DA360"),
    "pager": ("pager", "PaGeR"),
    "unik3d": ("unik3d", "UniK3D"),
    "mask2former": ("segmenters", "Mask2Former"),
    "eomt": ("segmenters", "EoMT"),
    "oneformer": ("segmenters", "OneFormer"),
    "segformer": ("segmenters", "SegFormer"),
    "ade20k32": ("ade20k32", "Ade20k32"),
    "pd-bridgenet": ("pd_bridgenet", "PDBridgeNetTeacher"),
    "oracle": ("oracle", "Oracle"),
}


def open_teacher(
    spec: str,
    class_set: str,
    device: str = "cpu",
    scale_drift: float = 0.0,
    noncommercial: bool = False,
) -> Teacher | PanoramaTeacher:
    """A teacher by NAME or NAME:SOURCE, e.g. `moge2` or `segformer:/models/segformer-b5`.

    class_set: class set of its labels. device: as of `torch_device`; for an .onnx model that of the
    engine, whose auto may find a GPU that torch does not. scale_drift: of the oracle's depth, per
    patch. noncommercial: whether teachers may be opened whose licence forbids commercial use.
    MtpanoError for an unknown name, a source that cannot be read, a library that is missing, or a
    licence that was not agreed to.
    """
    from mtpano_model.torch_device import torch_device  # loads torch

    name, _, source = spec.partition(":")
    if name not in TEACHERS:
        raise MtpanoError(f"unknown teacher '{name}': {did_you_mean(name, TEACHERS)}")
    module, kind = TEACHERS[name]
    teacher = getattr(import_module(f"mtpano_model.labels.teachers.{module}"), kind)
    if getattr(teacher, "noncommercial", False) and not noncommercial:
        raise MtpanoError(
            f"teacher '{name}' is licensed under {teacher.license}, which may also hold for its "
            "labels: give --noncommercial if your use is non-commercial"
        )
    if name == "oracle":
        return teacher(class_set, scale_drift)
    place = device if source.endswith(".onnx") else torch_device(device)
    try:
        return teacher(source or None, class_set, place)
    except MtpanoError:
        raise
    except Exception as error:  # what others' code makes of weights of another version
        if os.environ.get(TRACEBACK):
            raise
        raise MtpanoError(
            f"teacher '{spec}' cannot be opened ({one_line(error)}): see docs/labels.md for the "
            f"weights and the package it needs; {TRACEBACK}=1 shows the traceback"
        ) from error


def describe(teachers: Sequence[Teacher | PanoramaTeacher]) -> list[dict[str, str]]:
    """Description of the teachers in a store: name, tasks and licence of each."""
    return [{"name": t.name, "tasks": " ".join(t.tasks), "license": t.license} for t in teachers]
