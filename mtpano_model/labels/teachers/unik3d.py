"""UniK3D: metric depth under any camera, here the sphere."""

from __future__ import annotations

import math

import torch

from mtpano_model.data.panorama import Panorama
from mtpano_model.data.panorama_files import planes
from mtpano_model.labels.teacher import TeacherLabels
from mtpano_model.labels.teachers.foreign import from_package, on_canvas
from mtpano_model.labels.teachers.hub import pretrained

DEFAULT = "lpiccinelli/unik3d-vitl"
_POLES = math.radians(80)  # latitude beyond which it is not asked: it is weak there
_REMEDY = "clone https://github.com/lpiccinelli-eth/UniK3D and `pip install` its folder"


class UniK3D:
    """arXiv 2503.16591, through its authors' package `unik3d`.

    source: a repository of the hub. Its `distance` is metres along the ray; its `depth` is z, and
    negative behind the camera. Licence of code and weights: CC BY-NC-SA 4.0.
    """

    tasks = ("depth",)
    license = "CC BY-NC-SA 4.0 (non-commercial)"
    noncommercial = True

    def __init__(self, source: str | None, class_set: str, device: str):
        self.name = f"unik3d:{source or DEFAULT}"
        factory = from_package("unik3d", "unik3d.models", "UniK3D", _REMEDY)
        self._camera = from_package("unik3d", "unik3d.utils.camera", "Spherical", _REMEDY)
        # Without eval() it would overlook the camera.
        self._model = (
            pretrained(self.name, factory.from_pretrained, source or DEFAULT).to(device).eval()
        )
        self._device = device

    def label_panorama(self, panorama: Panorama, size: tuple[int, int]) -> TeacherLabels:
        image = planes(panorama.image).to(self._device)
        height, width = image.shape[1:]
        # A new one each time: `infer` resizes it in place. Half the fields of view, in radians;
        # of the first four numbers a sphere has no use.
        sphere = torch.tensor([1, 1, 1, 1, width, height, math.pi, math.pi / 2])
        out = self._model.infer(
            image,
            camera=self._camera(params=sphere.float()),
            normalize=True,
        )
        depth = on_canvas(out["distance"], size)
        latitude = (0.5 - (torch.arange(size[0], device=depth.device) + 0.5) / size[0]) * math.pi
        depth[..., latitude.abs() > _POLES, :] = torch.nan
        return TeacherLabels(depth=depth)
