"""Builds the backbone of a configuration, and imports only its file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mtpano_model.network.backbones import Backbone

if TYPE_CHECKING:
    from mtpano_model.network.config import PDBridgeNetConfig


def build_backbone(config: PDBridgeNetConfig) -> Backbone:
    """The backbone of a configuration, its weights random (see `network.foreign`)."""
    kind = config.backbone.kind
    if kind == "efficientnet_lite":
        from mtpano_model.network.backbones.efficientnet_lite import EfficientNetLite

        return EfficientNetLite(config.backbone.variant, config.padding)
    if kind == "convnet":
        from mtpano_model.network.backbones.convnet import ConvNet

        return ConvNet(config.backbone.widths, config.backbone.depths, config.padding)
    from mtpano_model.network.backbones import dinov3

    if kind == "dinov3_convnext":
        return dinov3.DINOv3ConvNeXt(config.backbone, config.padding)
    return dinov3.DINOv3ViT(config.backbone)
