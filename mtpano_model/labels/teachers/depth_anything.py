"""Depth Anything V2, metric: depth in metres without normals."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from mtpano_model.data.panorama import Panorama
from mtpano_model.errors import MtpanoError
from mtpano_model.geometry.perspective import Views
from mtpano_model.labels.teacher import TeacherLabels
from mtpano_model.labels.teachers.hub import load, normalised

DEFAULT = "depth-anything/Depth-Anything-V2-Metric-Indoor-Large-hf"


class DepthAnythingMetric:
    """arXiv 2406.09414, fine-tuned for metres (z along the optical axis), through transformers.

    Licence of the default weights: CC BY-NC 4.0 (the Small ones are Apache-2.0). It does not
    use intrinsics: fields of view unlike those of its training change its scale per patch.
    """

    tasks = ("depth",)
    pitch_deg = (-90.0, 90.0)
    license = "CC BY-NC 4.0 (Large, Base); Apache-2.0 (Small)"

    def __init__(self, source: str | None, class_set: str, device: str):
        self.name = f"depth-anything:{source or DEFAULT}"
        self._model = load("DepthAnythingForDepthEstimation", source or DEFAULT)
        self._model.eval().to(device)
        kind = self._model.config.depth_estimation_type
        if kind != "metric":
            raise MtpanoError(
                f"teacher '{self.name}' gives {kind} depth: use one of the Metric checkpoints"
            )

    def label(self, patches: Tensor, views: Views, panorama: Panorama) -> TeacherLabels:
        multiple = self._model.config.patch_size
        depth = self._model(pixel_values=normalised(patches, multiple)).predicted_depth[:, None]
        depth = F.interpolate(depth.float(), views.size, mode="bilinear", align_corners=False)
        return TeacherLabels(depth=depth)
