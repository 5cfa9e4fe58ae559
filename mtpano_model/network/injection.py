"""Injection: adds features of the bridge and the task heads to the taps, starting from zero."""

from __future__ import annotations

from torch import Tensor, nn

from mtpano_model.network.config import PDBridgeNetConfig
from mtpano_model.network.layers import ChannelLayerNorm, zero_init
from mtpano_model.network.padding import SphereConv2d


class BridgeInjector(nn.ModuleList):
    """F' = F + Z(B), with one zero-initialised Z per tap; all [B, C, h, w]."""

    def __init__(self, config: PDBridgeNetConfig):
        super().__init__(
            zero_init(nn.Conv2d(config.bridge_dim, config.token_dim, 1))
            for _ in range(config.backbone.num_taps)
        )

    def forward(self, taps: list[Tensor], bridged: Tensor) -> list[Tensor]:
        return [tap + project(bridged) for tap, project in zip(taps, self, strict=True)]


class Adapter(nn.Sequential):
    """A: 3x3, LN, GELU, zero-initialised 1x1; `adapter_ratio` narrows the middle."""

    def __init__(self, config: PDBridgeNetConfig):
        channels, hidden = config.token_dim, config.token_dim // config.adapter_ratio
        super().__init__(
            SphereConv2d(channels, hidden, 3, how=config.padding, bias=False),
            ChannelLayerNorm(hidden),
            nn.GELU(),
            zero_init(nn.Conv2d(hidden, channels, 1)),
        )


class TaskInjector(nn.Module):
    """G = F' + Z(T_t) + A(F') for the taps of one task's stream."""

    def __init__(self, config: PDBridgeNetConfig):
        super().__init__()
        taps = range(config.backbone.num_taps)
        self.project = nn.ModuleList(
            zero_init(nn.Conv2d(config.bridge_dim, config.token_dim, 1)) for _ in taps
        )
        self.adapt = nn.ModuleList(Adapter(config) for _ in taps)

    def forward(self, taps: list[Tensor], feature: Tensor) -> list[Tensor]:
        return [
            tap + project(feature) + adapt(tap)
            for tap, project, adapt in zip(taps, self.project, self.adapt, strict=True)
        ]
