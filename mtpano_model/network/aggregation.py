"""Aggregators (one per stream) and initial prediction heads (one per task)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mtpano_model.network.config import PDBridgeNetConfig
from mtpano_model.network.layers import ChannelLayerNorm
from mtpano_model.network.padding import SphereConv2d


class Aggregator(nn.Module):
    """Four refined taps [B, C, h, w] of one stream -> one aggregate [B, D, h, w]."""

    def __init__(self, config: PDBridgeNetConfig):
        super().__init__()
        taps = config.backbone.num_taps
        self.fuse = nn.Sequential(
            nn.Conv2d(taps * config.token_dim, config.bridge_dim, 1, bias=False),
            ChannelLayerNorm(config.bridge_dim),
            nn.GELU(),
        )

    def forward(self, taps: list[Tensor]) -> Tensor:
        return self.fuse(torch.cat(taps, 1))


class InitialHead(nn.Module):
    """Aggregate [B, D, h, w] -> task feature T_t [B, D, h, w], initial prediction [B, c, h, w]."""

    def __init__(self, config: PDBridgeNetConfig, channels: int):
        super().__init__()
        dim = config.bridge_dim
        self.feature = nn.Sequential(
            SphereConv2d(dim, dim, 3, how=config.padding, bias=False),
            ChannelLayerNorm(dim),
            nn.GELU(),
            nn.Conv2d(dim, dim, 1, bias=False),
            ChannelLayerNorm(dim),
            nn.GELU(),
        )
        self.predict = nn.Conv2d(dim, channels, 1)

    def forward(self, aggregate: Tensor) -> tuple[Tensor, Tensor]:
        feature = self.feature(aggregate)
        return feature, self.predict(feature)
