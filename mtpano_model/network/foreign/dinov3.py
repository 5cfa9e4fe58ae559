"""DINOv3's weights, as transformers keeps them."""

from __future__ import annotations

from pathlib import Path

from mtpano_model.errors import MtpanoError, one_line
from mtpano_model.network.backbones.dinov3 import DINOv3ConvNeXt, DINOv3ViT


def load_dinov3_weights(backbone: DINOv3ViT | DINOv3ConvNeXt, source: str | Path) -> None:
    """Load weights from a folder or hub name that transformers' `from_pretrained` takes."""
    try:
        pretrained = type(backbone.model).from_pretrained(str(source))
    except (OSError, ValueError) as error:
        raise MtpanoError(
            f"DINOv3 weights {str(source)!r} cannot be loaded ({one_line(error)}): "
            "expected a local folder saved by transformers, or a hub name you have access to"
        ) from error
    backbone.model.load_state_dict(pretrained.state_dict())
