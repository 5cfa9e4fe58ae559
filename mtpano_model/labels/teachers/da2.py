"""DA-2: depth of whole panoramas, up to a scale."""

from __future__ import annotations

from types import SimpleNamespace

from mtpano_model.data.panorama import Panorama
from mtpano_model.labels.teacher import TeacherLabels
from mtpano_model.labels.teachers.foreign import from_package, on_canvas, picture
from mtpano_model.labels.teachers.hub import pretrained

DEFAULT = "haodongli/DA-2"
_SIZE = (546, 1092)
# The network's numbers, as its authors' configs/infer.json has them.
_CONFIG = {
    "inference": {"min_pixels": 580_000, "max_pixels": 620_000},
    "spherevit": {
        "vit_w_esphere": {
            "input_dims": [1024] * 4,
            "hidden_dim": 512,
            "num_heads": 8,
            "expansion": 4,
            "num_layers_head": [2, 2, 2],
            "dropout": 0.0,
            "layer_scale": 0.0001,
            "out_dim": 64,
            "kernel_size": 3,
            "num_prompt_blocks": 1,
            "use_norm": False,
        },
        "sphere": {"width": _SIZE[1], "height": _SIZE[0], "hfov": 6.2832, "vfov": 3.1416},
    },
}


class DA2:
    """arXiv 2509.26618, through its authors' package `da2`.

    source: a repository of the hub or a folder. Its distance is along the ray and of any scale:
    it needs a metric teacher beside it. Licence of code and weights: Apache-2.0.
    """

    tasks = ("depth",)
    metric = False
    license = "Apache-2.0"

    def __init__(self, source: str | None, class_set: str, device: str):
        self.name = f"da2:{source or DEFAULT}"
        factory = from_package(
            "da2", "da2.model.spherevit", "SphereViT",
            "clone https://github.com/EnVision-Research/DA-2 and `pip install` its folder src",
        )  # fmt: skip
        quiet = SimpleNamespace(info=lambda *_: None)
        config = {**_CONFIG, "env": {"verbose": False, "logger": quiet}}
        self._model = pretrained(
            self.name, factory.from_pretrained, source or DEFAULT, config=config
        )
        self._model = self._model.to(device).eval()
        self._device = device

    def label_panorama(self, panorama: Panorama, size: tuple[int, int]) -> TeacherLabels:
        distance = self._model(picture(panorama, _SIZE, self._device, normalise=False))
        return TeacherLabels(depth=on_canvas(distance, size))
