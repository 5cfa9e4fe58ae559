"""A plain residual convolutional backbone without external weights, for the smallest networks."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from mtpano_model.network.backbones import Backbone, Taps
from mtpano_model.network.padding import Padding, SphereConv2d


class ConvUnit(nn.Sequential):
    """3x3 convolution, batch norm, ReLU."""

    def __init__(self, channels_in: int, channels_out: int, how: Padding, stride: int = 1):
        super().__init__(
            SphereConv2d(channels_in, channels_out, 3, stride=stride, bias=False, how=how),
            nn.BatchNorm2d(channels_out),
            nn.ReLU(inplace=True),
        )


class ResidualUnit(nn.Module):
    """ReLU(x + two convolutions of x)."""

    def __init__(self, channels: int, how: Padding):
        super().__init__()
        self.first = ConvUnit(channels, channels, how)
        self.second = SphereConv2d(channels, channels, 3, bias=False, how=how)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.norm(self.second(self.first(x))))


class ConvNet(Backbone):
    """[B, 3, H, W] -> taps at strides 4, 8, 16 and 32, and the stem at 2.

    widths, depths: channels and residual units of the five stages (strides 2 to 32).
    """

    def __init__(self, widths: Sequence[int], depths: Sequence[int], how: Padding):
        super().__init__()
        if len(widths) != 5 or len(depths) != 5:
            raise ValueError(
                f"network.backbone has widths {widths} and depths {depths}: give five of each for "
                "a convnet"
            )
        stages, channels = [], 3
        for width, depth in zip(widths, depths, strict=True):
            units = [ResidualUnit(width, how) for _ in range(depth)]
            stages.append(nn.Sequential(ConvUnit(channels, width, how, stride=2), *units))
            channels = width
        self.stages = nn.ModuleList(stages)
        self.channels = list(widths[1:])
        self.stem_channels = widths[0]

    def forward(self, x: Tensor) -> Taps:
        outputs = []
        for stage in self.stages:
            x = stage(x)
            outputs.append(x)
        return Taps(outputs[1:], stem=outputs[0])
