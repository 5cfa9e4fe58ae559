"""A PD-BridgeNet as teacher of whole panoramas, to distil a large network into a small one."""

from __future__ import annotations

from pathlib import Path

import torch

from mtpano_model.classes import ClassSet, available_class_sets, class_lookup, load_class_set
from mtpano_model.data.panorama import Panorama
from mtpano_model.data.panorama_files import planes
from mtpano_model.errors import MtpanoError
from mtpano_model.inference import Estimator
from mtpano_model.labels.teacher import TeacherLabels
from mtpano_model.labels.teachers.semantics import ClassScores
from mtpano_model.tasks import DEPTH, NORMALS, SEMSEG, Task


class PDBridgeNetTeacher:
    """Any checkpoint (`mtpano train`, `mtpano convert-released`) or exported .onnx.

    Both run with the robot's postprocessing, so that a checkpoint gives the labels of its export:
    the sky has no depth and no normals. The confidence of a class comes from the class scores; for
    a model without these (GPU tail) it is 1.

    source: its path, or None / "default" for the shipped checkpoint. Licence: that of the weights
    (the released ones have none stated).
    """

    license = "that of the given weights"

    def __init__(self, source: str | None, class_set: str, device: str):
        source = source or "default"
        self.name = f"pd-bridgenet:{source}"
        self._estimator, tasks = _open(source, device)
        self.tasks = tuple(t.name for t in (DEPTH, NORMALS, SEMSEG) if t in tasks)
        own = _set_with_names(self._estimator.info.classes, source)
        self._lookup = class_lookup(own, class_set)
        self._scores = ClassScores(own, class_set)

    def label_panorama(self, panorama: Panorama, size: tuple[int, int]) -> TeacherLabels:
        estimator = self._estimator
        outputs = estimator.infer(estimator.preprocess(panorama.image))
        frame = estimator.postprocess(outputs, size)
        labels = TeacherLabels()
        if DEPTH.name in self.tasks:
            labels.depth = torch.from_numpy(frame.depth)[None, None]
        if NORMALS.name in self.tasks:
            labels.normals = planes(frame.normals)[None]
        if SEMSEG.name in self.tasks and estimator.info.tail == "cpu":
            shares = torch.from_numpy(outputs[SEMSEG.name]).softmax(1)
            labels.classes, labels.confidence = self._scores.best(shares, size)
        elif SEMSEG.name in self.tasks:
            labels.classes = torch.from_numpy(self._lookup[frame.labels])[None, None]
        return labels


def _open(source: str, device: str) -> tuple[Estimator, tuple[Task, ...]]:
    """The estimator that runs the model, and the tasks that it predicts."""
    if source.endswith(".onnx"):
        from mtpano_model import inference

        if not Path(source).is_file():
            raise MtpanoError(f"teacher file {source} does not exist: give an exported .onnx model")
        estimator = inference.load_estimator(model=source, device=device)
        return estimator, estimator.info.tasks
    from mtpano_model.export.torch_engine import TorchEngine, network_estimator
    from mtpano_model.network.pretrained import from_pretrained

    estimator = network_estimator(from_pretrained(source), device=device, path=Path(source))
    assert isinstance(estimator.engine, TorchEngine)
    return estimator, estimator.engine.tasks


def _set_with_names(classes: ClassSet, source: str) -> str:
    for name in available_class_sets():
        if load_class_set(name).names == classes.names:
            return name
    raise MtpanoError(
        f"{source} has {len(classes)} classes of its own: give a model of one of the class sets "
        f"{', '.join(available_class_sets())}"
    )
