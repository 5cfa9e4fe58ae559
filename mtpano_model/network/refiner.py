"""Refiner: splits one backbone tap into a rotation-invariant and a rotation-variant stream."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from mtpano_model.network.config import PDBridgeNetConfig
from mtpano_model.network.layers import zero_init
from mtpano_model.network.token_mixer import ERPTokenMixer, PlainTokenMixer


class RefinerBlock(nn.Module):
    """x + up(GELU(mix(GELU(down(x))))), the up-projection starting at zero."""

    def __init__(self, config: PDBridgeNetConfig):
        super().__init__()
        channels, hidden = config.token_dim, config.token_dim // config.refiner_ratio
        mixer = ERPTokenMixer if config.erp_mixer else PlainTokenMixer
        self.down = nn.Conv2d(channels, hidden, 1)
        self.mixer = mixer(hidden, config.padding)
        self.up = zero_init(nn.Conv2d(hidden, channels, 1))

    def residual(self, x: Tensor, pole_weight: Tensor) -> Tensor:
        """The residual that the block adds, [B, C, h, w]."""
        hidden = F.gelu(self.down(x))  # [B, C/r, h, w]
        return self.up(F.gelu(self.mixer(hidden, pole_weight)))

    def forward(self, x: Tensor, geometry: Tensor, pole_weight: Tensor) -> Tensor:
        return x + self.residual(x, pole_weight)


class ModulatedRefinerBlock(RefinerBlock):
    """A RefinerBlock whose residual is scaled and shifted by the direction of each token.

    out = x + f (1 + gamma) + beta with (gamma, beta) from ray and position. Scale, shift and
    residual all start at zero, so the block starts as the identity.
    """

    def __init__(self, config: PDBridgeNetConfig):
        super().__init__(config)
        channels, hidden = config.token_dim, config.token_dim // config.refiner_ratio
        self.geometry = nn.Sequential(
            nn.Conv2d(config.geometry_channels, hidden, 1),
            nn.ReLU(),
            zero_init(nn.Conv2d(hidden, 2 * channels, 1)),
        )

    def forward(self, x: Tensor, geometry: Tensor, pole_weight: Tensor) -> Tensor:
        modulation = self.geometry(geometry)  # [1, 2 C, h, w]
        channels = x.shape[1]  # slices, which exporters fold where they would keep a Split
        gamma, beta = modulation[:, :channels], modulation[:, channels:]
        return x + self.residual(x, pole_weight) * (1 + gamma) + beta


class Refiner(nn.Module):
    """One tap [B, C, h, w] in, (invariant, variant) features of the same shape out."""

    def __init__(self, config: PDBridgeNetConfig):
        super().__init__()
        variant = ModulatedRefinerBlock if config.modulation else RefinerBlock
        self.invariant = nn.ModuleList(RefinerBlock(config) for _ in range(config.refiner_depth))
        self.variant = nn.ModuleList(variant(config) for _ in range(config.refiner_depth))

    def forward(self, tap: Tensor, geometry: Tensor, pole_weight: Tensor) -> tuple[Tensor, Tensor]:
        invariant = variant = tap
        for block in self.invariant:
            invariant = block(invariant, geometry, pole_weight)
        for block in self.variant:
            variant = block(variant, geometry, pole_weight)
        return invariant, variant
