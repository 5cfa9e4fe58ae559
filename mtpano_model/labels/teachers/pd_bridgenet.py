"""A PD-BridgeNet as teacher of whole panoramas: the way to distil a large one into a small one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mtpano_model.classes import ClassSet, available_class_sets, class_lookup, load_class_set
from mtpano_model.data.panorama import Panorama
from mtpano_model.errors import MtpanoError
from mtpano_model.geometry.sphere import frame_matrix
from mtpano_model.labels.teacher import TeacherLabels
from mtpano_model.labels.teachers.semantics import ClassScores
from mtpano_model.tasks import DEPTH, NORMALS, SEMSEG


class PDBridgeNetTeacher:
    """Any checkpoint (`mtpano train`, `mtpano convert-released`) or exported .onnx.

    source: its path, or None / "default" for the shipped checkpoint. A checkpoint also tells how
    sure it is of a class; an ONNX model counts fully. Licence: that of the weights (the released
    ones have none stated).
    """

    tasks = ("depth", "normals", "semseg")
    license = "that of the given weights"

    def __init__(self, source: str | None, class_set: str, device: str):
        self.name = f"pd-bridgenet:{source or 'default'}"
        onnx = str(source).endswith(".onnx")
        self._model = (_Onnx if onnx else _Checkpoint)(source or "default", class_set, device)

    def label_panorama(self, panorama: Panorama, size: tuple[int, int]) -> TeacherLabels:
        return self._model(panorama.image, size)


class _Checkpoint:
    def __init__(self, source: str, class_set: str, device: str):
        from mtpano_model.network.pretrained import from_pretrained

        self._net = from_pretrained(source).to(device)
        self._classes = ClassScores(self._net.config.class_set, class_set)
        to_optical = frame_matrix(self._net.config.normals_frame, "optical")
        self._to_optical = torch.from_numpy(to_optical).float().to(device)

    def __call__(self, image: np.ndarray, size: tuple[int, int]) -> TeacherLabels:
        device = self._to_optical.device
        picture = torch.from_numpy(image).to(device).permute(2, 0, 1)[None].float()
        picture = F.interpolate(
            picture, self._net.config.image_size, mode="bilinear", antialias=True
        )
        out = self._net(picture).final
        classes, confidence = self._classes.best(out[SEMSEG.name].softmax(1), size)
        depth = F.interpolate(out[DEPTH.name], size, mode="nearest-exact")
        normals = torch.einsum("ij,njhw->nihw", self._to_optical, out[NORMALS.name])
        normals = F.interpolate(normals, size, mode="nearest-exact")
        return TeacherLabels(depth, normals, classes, confidence)


class _Onnx:
    def __init__(self, source: str, class_set: str, device: str):
        from mtpano_model.inference import load_estimator

        if not Path(source).is_file():
            raise MtpanoError(f"teacher file {source} does not exist: give an exported .onnx model")
        self._estimator = load_estimator(model=source, device=device)
        own = _set_with_names(self._estimator.info.classes, source)
        self._lookup = class_lookup(own, class_set)

    def __call__(self, image: np.ndarray, size: tuple[int, int]) -> TeacherLabels:
        frame = self._estimator.predict(image, output_size=size)
        return TeacherLabels(
            depth=torch.from_numpy(frame.depth)[None, None],
            normals=_planes(frame.normals),
            classes=torch.from_numpy(self._lookup[frame.labels])[None, None],
        )


def _set_with_names(classes: ClassSet, source: str) -> str:
    for name in available_class_sets():
        if load_class_set(name).names == classes.names:
            return name
    raise MtpanoError(
        f"{source} has {len(classes)} classes of its own: expected one of the class sets "
        f"{', '.join(available_class_sets())}"
    )


def _planes(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array.transpose(2, 0, 1)))[None]
