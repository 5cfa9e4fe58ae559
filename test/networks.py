"""Networks for tests: every preset's choices at a size that a test can afford."""

from __future__ import annotations

import dataclasses

import torch
from torch import nn

from mtpano_model.network import PDBridgeNet, PDBridgeNetConfig, preset
from mtpano_model.network.config import BackboneConfig, DecoderConfig

_TINY_VIT = BackboneConfig(
    "dinov3_vit", hidden_size=32, layers=4, heads=4, mlp_size=64, tap_layers=(0, 1, 2, 3)
)


def tiny(name: str, **changes: object) -> PDBridgeNetConfig:
    """A preset with its choices kept and its widths cut; pictures of 64 x 128."""
    config = preset(name)
    backbone, decoder = config.backbone, config.decoder
    if backbone.is_vit:
        backbone = _TINY_VIT
        decoder = DecoderConfig("dpt", widths=(8, 12, 16, 16), fusion=8)
    elif backbone.kind == "convnet":
        backbone = dataclasses.replace(backbone, widths=(8, 8, 12, 16, 16), depths=(0, 1, 0, 0, 0))
    if decoder.kind == "light":
        decoder = dataclasses.replace(decoder, widths=(16, 12, 8, 8))
    small = {
        "backbone": backbone,
        "decoder": decoder,
        "token_dim": 32,
        "bridge_dim": 16,
        "image_size": (64, 128),
    }
    return preset(name, **(small | changes))


def seeded(config: PDBridgeNetConfig, seed: int = 0) -> PDBridgeNet:
    """A network in evaluation mode none of whose parameters or statistics is zero or trivial.

    Zero-initialised layers would hide what the tests look for.
    """
    torch.manual_seed(seed)
    net = PDBridgeNet(config).eval()
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)  # type: ignore[union-attr]
                module.running_var.uniform_(0.5, 1.5)  # type: ignore[union-attr]
        for parameter in net.parameters():
            if parameter.ndim > 1 and parameter.abs().max() == 0:
                parameter.normal_(0, 0.02)
            elif parameter.ndim == 1:
                parameter.add_(torch.randn_like(parameter) * 0.02)
    return net
