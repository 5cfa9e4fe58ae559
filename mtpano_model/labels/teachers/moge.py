"""MoGe-2 and MoGe-3, and MetricAnything, which loads as MoGe-2 does."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from mtpano_model.data.panorama import Panorama
from mtpano_model.geometry.perspective import Views
from mtpano_model.labels.teacher import TeacherLabels
from mtpano_model.labels.teachers.foreign import from_package
from mtpano_model.labels.teachers.hub import pretrained

_REMEDY = "install it with `pip install git+https://github.com/microsoft/MoGe`"


class MoGe2:
    """arXiv 2507.02546, the paper's geometry teacher, through its authors' package, with each
    patch's field of view as input.

    source: a repository of the hub or a model.pt (read with weights_only). Licence of code and
    weights: MIT. Its own mask (sky, far away) comes as infinite depth. Normals are in OpenCV's
    camera frame, which is the optical frame, towards the camera. For any pitch.
    """

    tasks: tuple[str, ...] = ("depth", "normals")
    pitch_deg = (-90.0, 90.0)
    license = "MIT"
    kind: ClassVar[str] = "moge2"
    module: ClassVar[str] = "moge.model.v2"
    default: ClassVar[str] = "Ruicheng/moge-2-vitl-normal"

    def __init__(self, source: str | None, class_set: str, device: str):
        self.name = f"{self.kind}:{source or self.default}"
        factory = from_package(self.kind, self.module, "MoGeModel", _REMEDY)
        self._model = (
            pretrained(self.name, factory.from_pretrained, source or self.default).to(device).eval()
        )
        self._on_gpu = torch.device(device).type == "cuda"
        if getattr(self._model, "normal_head", None) is None:
            # The checkpoints without "-normal".
            self.tasks = tuple(task for task in self.tasks if task != "normals")

    def label(self, patches: Tensor, views: Views, panorama: Panorama) -> TeacherLabels:
        fov = torch.rad2deg(2 * torch.atan(views.tan_half))
        out = self._model.infer(
            patches.float() / 255, fov_x=fov, force_projection=False, **self._options()
        )
        normals = out["normal"].movedim(-1, 1) if "normals" in self.tasks else None
        return TeacherLabels(depth=out["depth"][:, None], normals=normals)

    def _options(self) -> dict[str, Any]:
        """Further options of `infer`."""
        return {"use_fp16": self._on_gpu}


class MoGe2Normals(MoGe2):
    """MoGe-2 for its normals alone, beside another teacher of depth."""

    tasks = ("normals",)
    kind = "moge2-normals"


class MoGe3(MoGe2):
    """MoGe-3 for depth; its normals are worse than MoGe-2's, which `moge2-normals` gives.

    As MoGe2 in all else, the licence too. On a CPU without its refinement, whose kernels
    (flex_gemm) need CUDA; in full precision, as its authors' default is.

    Held against moge/model/v3.py as in EasternJournalist/MoGe at 0c55268 (an author's repository;
    the copy of microsoft/MoGe that could be read is older): `infer` takes the same pictures and
    field of view as v2's, and gives z in metres, infinite where its mask is false. The file of the
    weights is model.pt.
    """

    tasks = ("depth",)
    kind = "moge3"
    module = "moge.model.v3"
    default = "Ruicheng/moge-3-vitl"

    def _options(self) -> dict[str, Any]:
        return {"use_fp16": False} | ({} if self._on_gpu else {"refine_steps": 0})


class MetricAnything(MoGe2):
    """MetricAnything's student of point maps, loaded as MoGe-2: depth. Licence: Apache-2.0."""

    tasks = ("depth",)
    license = "Apache-2.0"
    kind = "metric-anything"
    default = "yjh001/metricanything_student_pointmap"
