"""Brings the taps of a convolutional backbone to one token grid and one width."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from mtpano_model.network.config import PDBridgeNetConfig
from mtpano_model.network.padding import upsample

_STRIDES = (4, 8, 16, 32)


class TokenGrid(nn.Module):
    """Taps [B, C_i, H/s_i, W/s_i] -> the same number of maps [B, C, h, w] on the token grid.

    Finer taps are averaged, coarser ones up-sampled; then one 1x1 convolution each.
    """

    def __init__(self, config: PDBridgeNetConfig, channels: list[int]):
        super().__init__()
        self.how = config.padding
        self.stride = config.token_stride
        self.project = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(c, config.token_dim, 1, bias=False), nn.BatchNorm2d(config.token_dim)
            )
            for c in channels
        )

    def forward(self, taps: list[Tensor]) -> list[Tensor]:
        grids = []
        for tap, stride, project in zip(taps, _STRIDES, self.project, strict=True):
            if stride < self.stride:
                factor = self.stride // stride
                grids.append(project(F.avg_pool2d(tap, factor)))
            else:
                grids.append(upsample(project(tap), stride // self.stride, self.how))
        return grids
