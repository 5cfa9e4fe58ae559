"""DAP: metric depth of whole panoramas, indoors and out."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from mtpano_model.data.panorama import Panorama
from mtpano_model.errors import MtpanoError
from mtpano_model.labels.teacher import TeacherLabels
from mtpano_model.labels.teachers.foreign import checkpoint, fill, from_package, on_canvas, picture
from mtpano_model.network.foreign.files import without_prefix

_SIZE = (512, 1024)
_METRES = 100.0  # a unit of its output
_INVALID = 0.5  # of its mask, from which a pixel is sky or too far
_REMEDY = "clone https://github.com/Insta360-Research-Team/DAP and put its folder on PYTHONPATH"
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

    Held against the authors' repository at 67cad19 (December 2025): test/infer.py and test/eval.py
    keep what has 1 - pred_mask > 0.5, so the mask tells what is *in*valid; depth is divided by 100
    m in datasets/. All of datasets/, and so eval.py, give pictures ImageNet's statistics, and so
    does the port in nv-tlabs/vipe (157494a); infer.py alone forgets to.
    """

    tasks = ("depth",)
    license = "MIT (code); the weights' card states none"

    def __init__(self, source: str | None, class_set: str, device: str):
        self.name = f"dap:{source}"
        make = from_package("dap", "networks.models", "make", _REMEDY)
        state = checkpoint(
            "dap", source,
            "give model.pth of huggingface.co/Insta360-Research/DAP-weights as dap:PATH",
        )  # fmt: skip
        with _at_home():
            self._model = make({"name": "dap", "args": _SETTINGS})
        fill(self.name, self._model, without_prefix(state, "module."))
        self._model.eval().to(device)
        self._device = device

    def label_panorama(self, panorama: Panorama, size: tuple[int, int]) -> TeacherLabels:
        out = self._model(picture(panorama, _SIZE, self._device, normalise=True))
        depth: Tensor = out["pred_depth"].float() * _METRES
        invalid = out["pred_mask"].float().reshape(depth.shape) >= _INVALID
        return TeacherLabels(depth=on_canvas(depth.masked_fill(invalid, torch.inf), size))


@contextlib.contextmanager
def _at_home() -> Iterator[None]:
    """In the folder of the authors' code, which finds its DINOv3 relative to it."""
    home = Path(sys.modules["networks.models"].__file__ or "").resolve().parent.parent
    before = Path.cwd()
    os.chdir(home)
    try:
        yield
    except (ImportError, OSError) as error:
        raise MtpanoError(
            f"teacher 'dap' cannot build its network from '{home}' ({error}): {_REMEDY}, and "
            "install its requirements.txt"
        ) from error
    finally:
        os.chdir(before)
