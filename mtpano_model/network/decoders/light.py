"""The light decoder: merges all taps on the token grid, then up-samples with fine features.

For convolutional backbones, whose own maps at strides 2, 4 and 8 carry the edges that tokens at
stride 16 have lost. Ends at half the input size (a quarter without a stem); learnt up-sampling
(`upsampling`), the engine's host or the GPU tail does the rest.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from mtpano_model.network.backbones import Taps
from mtpano_model.network.config import PDBridgeNetConfig
from mtpano_model.network.padding import Padding, SphereConv2d, upsample
from mtpano_model.tasks import Task


class _ConvNormReLU(nn.Sequential):
    def __init__(self, channels: int, how: Padding):
        super().__init__(
            SphereConv2d(channels, channels, 3, bias=False, how=how),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
        )


class Laterals(nn.Module):
    """Projects the fine backbone maps to the decoder's widths; all tasks share it."""

    def __init__(self, config: PDBridgeNetConfig, stem_channels: int | None, channels: list[int]):
        super().__init__()
        fine = [channels[1], channels[0]] + ([stem_channels] if stem_channels else [])
        self.project = nn.ModuleList(
            nn.Sequential(nn.Conv2d(c, width, 1, bias=False), nn.BatchNorm2d(width))
            for c, width in zip(fine, config.decoder.widths[1:], strict=True)
        )

    def forward(self, taps: Taps) -> list[Tensor]:
        """Maps at strides 8, 4 and, where the backbone has one, 2."""
        fine = [taps.features[1], taps.features[0]] + ([] if taps.stem is None else [taps.stem])
        return [project(x) for project, x in zip(self.project, fine, strict=True)]


class LightDecoder(nn.Module):
    """One task: four maps G [B, C, h, w] and the laterals -> [B, channels, H/2, W/2], features.

    One width more than there are laterals.
    """

    def __init__(self, config: PDBridgeNetConfig, task: Task):
        super().__init__()
        self.how = config.padding
        widths = config.decoder.widths
        self.enter = nn.Sequential(
            nn.Conv2d(config.backbone.num_taps * config.token_dim, widths[0], 1, bias=False),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(inplace=True),
            _ConvNormReLU(widths[0], config.padding),
        )
        self.narrow = nn.ModuleList(nn.Conv2d(a, b, 1) for a, b in itertools.pairwise(widths))
        self.fuse = nn.ModuleList(_ConvNormReLU(w, config.padding) for w in widths[1:])
        self.predict = nn.Conv2d(widths[-1], task.num_channels(config.num_classes), 1)

    def forward(self, maps: list[Tensor], laterals: list[Tensor]) -> tuple[Tensor, Tensor]:
        """The map and the features [B, widths[-1], H/2, W/2] that it was made of."""
        x = self.enter(torch.cat(maps, 1))
        for narrow, fuse, lateral in zip(self.narrow, self.fuse, laterals, strict=True):
            x = fuse(upsample(narrow(x), 2, self.how) + lateral)
        return self.predict(x), x
