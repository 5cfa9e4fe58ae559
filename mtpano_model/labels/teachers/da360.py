"""DA360: disparity of whole panoramas, up to a scale."""

from __future__ import annotations

import torch

from mtpano_model.data.panorama import Panorama
from mtpano_model.labels.teacher import TeacherLabels
from mtpano_model.labels.teachers.foreign import checkpoint, fill, from_package, on_canvas, picture

_ENCODERS = {384: "vits", 768: "vitb", 1024: "vitl"}
_WIDTH = "depth_anything.pretrained.cls_token"  # a tensor whose last side is the encoder's width


class DA360:
    """arXiv 2512.22819, through its authors' code, whose folder has to be on PYTHONPATH.

    source: one of DA360_{small,base,large}.pth. It gives disparity without a shift, so its inverse
    is the range along the ray, of any scale: it needs a metric teacher beside it. Licence: MIT.
    """

    tasks = ("depth",)
    metric = False
    license = "MIT"

    def __init__(self, source: str | None, class_set: str, device: str):
        self.name = f"da360:{source}"
        network = from_package(
            "da360", "networks", "DA360",
            "clone https://github.com/Insta360-Research-Team/DA360 and put its folder on "
            "PYTHONPATH",
        )  # fmt: skip
        state = checkpoint("da360", source, "give one of its authors' DA360_*.pth as da360:PATH")
        self._size = (int(state.pop("height", 518)), int(state.pop("width", 1036)))
        width = state[_WIDTH].shape[-1] if _WIDTH in state else 384
        self._model = network(*self._size, dinov2_encoder=_ENCODERS.get(width, "vits"))
        fill(self.name, self._model, state)
        self._model.eval().to(device)
        self._device = device

    def label_panorama(self, panorama: Panorama, size: tuple[int, int]) -> TeacherLabels:
        out = self._model(picture(panorama, self._size, self._device, normalise=True))
        disparity = out["pred_disp"].float()
        depth = torch.where(disparity > 0, 1 / disparity, torch.inf)
        return TeacherLabels(depth=on_canvas(depth, size))
