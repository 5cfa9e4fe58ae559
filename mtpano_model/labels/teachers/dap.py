"""DAP: metric depth of whole panoramas, indoors and out."""

from __future__ import annotations

import torch
from torch import Tensor

from mtpano_model.data.panorama import Panorama
from mtpano_model.labels.teacher import TeacherLabels
from mtpano_model.labels.teachers.foreign import checkpoint, fill, from_package, on_canvas, picture
from mtpano_model.network.foreign.files import without_prefix

_SIZE = (512, 1024)
_METRES = 100.0  # a unit of its output
_VALID = 0.5  # of its mask, which leaves out the sky and what is too far
_SETTINGS = {
    "midas_model_type": "vitl",
    "fine_tune_type": "hypersim",
    "min_depth": 0.01,
    "max_depth": 1.0,
    "train_decoder": True,
}


class DAP:
    """arXiv 2512.16913, through its authors' code, whose folder has to be on PYTHONPATH.

    source: model.pth of Insta360-Research/DAP-weights (a pickle: read with weights_only), or the
    safetensors file that `mtpano convert-weights` makes of it. Depth is metres along the ray.
    Licence: MIT (code; the card of the weights names none).
    """

    tasks = ("depth",)
    license = "MIT (code); the weights' card states none"

    def __init__(self, source: str | None, class_set: str, device: str):
        self.name = f"dap:{source}"
        make = from_package(
            "dap", "networks.models", "make",
            "clone https://github.com/Insta360-Research-Team/DAP and put its folder on PYTHONPATH",
        )  # fmt: skip
        state = checkpoint(
            "dap", source,
            "give model.pth of huggingface.co/Insta360-Research/DAP-weights as dap:PATH",
        )  # fmt: skip
        self._model = make({"name": "dap", "args": _SETTINGS})
        fill(self.name, self._model, without_prefix(state, "module."))
        self._model.eval().to(device)
        self._device = device

    def label_panorama(self, panorama: Panorama, size: tuple[int, int]) -> TeacherLabels:
        out = self._model(picture(panorama, _SIZE, self._device, normalise=False))
        depth: Tensor = out["pred_depth"].float() * _METRES
        valid = out["pred_mask"].float().reshape(depth.shape) > _VALID
        return TeacherLabels(depth=on_canvas(depth.where(valid, torch.inf), size))
