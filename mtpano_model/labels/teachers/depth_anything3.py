"""Depth Anything 3 Metric: depth in metres from a known focal length."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mtpano_model.data.panorama import Panorama
from mtpano_model.geometry.perspective import Views
from mtpano_model.labels.teacher import TeacherLabels
from mtpano_model.labels.teachers.foreign import from_package
from mtpano_model.labels.teachers.hub import pretrained

DEFAULT = "depth-anything/DA3METRIC-LARGE"
_CANONICAL_FOCAL = 300.0  # pixels: z = focal length x output / 300
_SKY = 0.5


class DepthAnything3Metric:
    """arXiv 2511.10647, through its authors' package `depth_anything_3`.

    Its output times the focal length in pixels of the picture it saw, over 300, is z in metres; of
    our patches the focal length is known exactly. The sky comes as infinite depth. Licence of
    METRIC-LARGE: Apache-2.0.
    """

    tasks = ("depth",)
    pitch_deg = (-90.0, 90.0)
    license = "Apache-2.0"

    def __init__(self, source: str | None, class_set: str, device: str):
        self.name = f"da3metric:{source or DEFAULT}"
        factory = from_package(
            "da3metric", "depth_anything_3.api", "DepthAnything3",
            "clone https://github.com/ByteDance-Seed/Depth-Anything-3 and `pip install` its folder",
        )  # fmt: skip
        self._model = (
            pretrained(self.name, factory.from_pretrained, source or DEFAULT).to(device).eval()
        )

    def label(self, patches: Tensor, views: Views, panorama: Panorama) -> TeacherLabels:
        pictures = patches.movedim(1, -1).cpu().numpy()
        # One at a time: several would be taken for views of one scene.
        depth = [self._z(picture, views[n : n + 1]) for n, picture in enumerate(pictures)]
        return TeacherLabels(depth=torch.cat(depth))

    def _z(self, picture: np.ndarray, view: Views) -> Tensor:
        """Metres along the optical axis, [1, 1, h, w]."""
        out = self._model.inference([picture])
        raw = torch.from_numpy(np.asarray(out.depth, np.float32)).to(view.rotation.device)[None]
        focal = raw.shape[-1] / (2 * view.tan_half.to(raw))
        z = raw * (focal / _CANONICAL_FOCAL)[:, None, None, None]
        z = F.interpolate(z, view.size, mode="bilinear", align_corners=False)
        if getattr(out, "sky", None) is None:
            return z
        sky = torch.from_numpy(np.asarray(out.sky, np.float32)).to(z)[None]
        sky = F.interpolate(sky, view.size, mode="nearest-exact")
        return z.masked_fill(sky > _SKY, torch.inf)
