"""MoGe-2: metric depth and normals, the paper's geometry teacher."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mtpano_model.data.panorama import Panorama
from mtpano_model.errors import MtpanoError
from mtpano_model.geometry.perspective import Views
from mtpano_model.labels.teacher import TeacherLabels
from mtpano_model.labels.teachers.hub import UNREADABLE

DEFAULT = "Ruicheng/moge-2-vitl-normal"


class MoGe2:
    """arXiv 2507.02546, through its authors' package (`pip install
    git+https://github.com/microsoft/MoGe`), which is told each patch's field of view.

    source: a repository of the hub or a model.pt (read with weights_only). Licence of code and
    weights: MIT. Its own mask (sky, far away) comes as infinite depth. Normals are in OpenCV's
    camera frame, which is the optical frame, towards the camera. At home with any pitch.
    """

    tasks: tuple[str, ...] = ("depth", "normals")
    pitch_deg = (-90.0, 90.0)
    license = "MIT"

    def __init__(self, source: str | None, class_set: str, device: str):
        self.name = f"moge2:{source or DEFAULT}"
        self._model = _load(source or DEFAULT).to(device).eval()
        self._half = torch.device(device).type == "cuda"
        if getattr(self._model, "normal_head", None) is None:
            self.tasks = ("depth",)  # the checkpoints without "-normal"

    def label(self, patches: Tensor, views: Views, panorama: Panorama) -> TeacherLabels:
        fov = torch.rad2deg(2 * torch.atan(views.tan_half))
        out = self._model.infer(
            patches.float() / 255, fov_x=fov, force_projection=False, use_fp16=self._half
        )
        normals = out["normal"].movedim(-1, 1) if "normals" in self.tasks else None
        return TeacherLabels(depth=out["depth"][:, None], normals=normals)


def _load(source: str) -> Any:
    try:
        from moge.model.v2 import MoGeModel
    except ImportError as error:
        raise MtpanoError(
            f"teacher 'moge2' needs its authors' package ({error}): install it with "
            "`pip install git+https://github.com/microsoft/MoGe`"
        ) from error
    try:
        return MoGeModel.from_pretrained(source)
    except UNREADABLE as error:
        raise MtpanoError(
            f"teacher 'moge2:{source}' cannot be loaded ({error}): give a model.pt or a repository "
            "of the Hugging Face hub while online"
        ) from error
