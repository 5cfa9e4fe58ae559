"""Backbones: an RGB panorama in, four taps out."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor, nn


class Backbone(nn.Module):
    """The interface of a backbone: normalised image [B, 3, H, W] -> Taps.

    channels: of the four taps. stem_channels: of the stem, None where there is none.
    """

    channels: list[int]
    stem_channels: int | None = None


@dataclass
class Taps:
    """The feature maps of a backbone.

    features: four maps [B, C_i, h_i, w_i], fine to coarse for a convolutional backbone, shallow to
        deep on one grid for a ViT.
    stem: [B, C, H/2, W/2], the finest map of a convolutional backbone; None for a ViT.
    cls: the CLS token [B, C] of each tap of a ViT, for DPT's readout; empty otherwise.
    """

    features: list[Tensor]
    stem: Tensor | None = None
    cls: list[Tensor] = field(default_factory=list)
