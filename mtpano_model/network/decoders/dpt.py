"""DPT neck and heads (Ranftl et al. 2021), with up-sampling and padding that know the sphere.

The same arithmetic as transformers' DPTNeck and DPT heads when the padding is zeros and corners
are aligned, which the `released` preset needs and the parity test checks.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtpano_model.network.config import PDBridgeNetConfig
from mtpano_model.network.layers import grid, tokens
from mtpano_model.network.padding import Padding, SphereConv2d, upsample
from mtpano_model.tasks import SEMSEG, Task

_FACTORS = (4, 2, 1, 0.5)  # of the token grid, for the four taps


class Readout(nn.Module):
    """GELU(linear([patch token, CLS token])) for every token [B, C, h, w]."""

    def __init__(self, channels: int):
        super().__init__()
        self.project = nn.Linear(2 * channels, channels)

    def forward(self, x: Tensor, cls: Tensor) -> Tensor:
        patches = tokens(x)
        pairs = torch.cat([patches, cls[:, None].expand_as(patches)], -1)
        return grid(F.gelu(self.project(pairs)), x.shape[-2:])


class Reassemble(nn.Module):
    """One tap on the token grid -> `width` channels at its DPT scale."""

    def __init__(self, config: PDBridgeNetConfig, width: int, factor: float):
        super().__init__()
        self.readout = Readout(config.token_dim) if config.backbone.is_vit else None
        self.project = nn.Conv2d(config.token_dim, width, 1)
        if factor > 1:
            self.resize: nn.Module = nn.ConvTranspose2d(width, width, int(factor), int(factor))
        elif factor < 1:
            self.resize = SphereConv2d(width, width, 3, stride=2, how=config.padding)
        else:
            self.resize = nn.Identity()

    def forward(self, x: Tensor, cls: Tensor | None) -> Tensor:
        if self.readout is not None and cls is not None:
            x = self.readout(x, cls)
        return self.resize(self.project(x))


class ResidualUnit(nn.Module):
    """x + BN(conv(ReLU(BN(conv(ReLU(x))))))."""

    def __init__(self, width: int, how: Padding):
        super().__init__()
        self.conv1 = SphereConv2d(width, width, 3, bias=False, how=how)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = SphereConv2d(width, width, 3, bias=False, how=how)
        self.norm2 = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm1(self.conv1(x.relu()))
        return x + self.norm2(self.conv2(y.relu()))


class Fusion(nn.Module):
    """Adds a finer map to what came from below, refines, doubles the size.

    The coarsest layer has nothing below it and so no use for `lateral`; the release owns one all
    the same, and a checkpoint must find its place.
    """

    def __init__(self, config: PDBridgeNetConfig):
        super().__init__()
        width = config.decoder.fusion
        self.how, self.align_corners = config.padding, config.align_corners
        self.lateral = ResidualUnit(width, config.padding)
        self.refine = ResidualUnit(width, config.padding)
        self.project = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor, finer: Tensor | None = None) -> Tensor:
        if finer is not None:
            # a token grid of odd height makes the two-times-smaller map one row too tall
            x = x[..., : finer.shape[-2], : finer.shape[-1]] + self.lateral(finer)
        x = upsample(self.refine(x), 2, self.how, align_corners=self.align_corners)
        return self.project(x)


class _Upsample(nn.Module):
    def __init__(self, config: PDBridgeNetConfig):
        super().__init__()
        self.how, self.align_corners = config.padding, config.align_corners

    def forward(self, x: Tensor) -> Tensor:
        return upsample(x, 2, self.how, align_corners=self.align_corners)


def _head(config: PDBridgeNetConfig, task: Task) -> nn.Sequential:
    """[B, F, H/2, W/2] -> [B, channels, H, W]."""
    width, how = config.decoder.fusion, config.padding
    channels = task.num_channels(config.num_classes)
    if task is SEMSEG:
        return nn.Sequential(
            SphereConv2d(width, width, 3, bias=False, how=how),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Dropout(0.1),
            nn.Conv2d(width, channels, 1),
            _Upsample(config),
        )
    return nn.Sequential(
        SphereConv2d(width, width // 2, 3, how=how),
        _Upsample(config),
        SphereConv2d(width // 2, 32, 3, how=how),
        nn.ReLU(),
        nn.Conv2d(32, channels, 1),
    )


class DPTDecoder(nn.Module):
    """One task: four maps G [B, C, h, w] and the CLS tokens -> [B, channels, 16 h, 16 w]."""

    def __init__(self, config: PDBridgeNetConfig, task: Task):
        super().__init__()
        widths = config.decoder.widths
        self.reassemble = nn.ModuleList(
            Reassemble(config, width, factor)
            for width, factor in zip(widths, _FACTORS, strict=True)
        )
        self.enter = nn.ModuleList(
            SphereConv2d(width, config.decoder.fusion, 3, bias=False, how=config.padding)
            for width in widths
        )
        self.fuse = nn.ModuleList(Fusion(config) for _ in widths)  # coarse to fine
        self.head = _head(config, task)

    def forward(self, maps: list[Tensor], cls: list[Tensor]) -> Tensor:
        readouts: Sequence[Tensor | None] = cls or [None] * len(maps)
        levels = [
            enter(reassemble(x, readout))
            for enter, reassemble, x, readout in zip(
                self.enter, self.reassemble, maps, readouts, strict=True
            )
        ]
        x = self.fuse[0](levels[-1])
        for fuse, finer in zip(self.fuse[1:], reversed(levels[:-1]), strict=True):
            x = fuse(x, finer)
        return self.head(x)
