"""ERP token mixer: a square kernel at the equator, a wide one towards the poles.

out = (1 - w) K3x3(x) + w K3x9(x), w = |sin(latitude)| per row (arXiv 2602.05330): near a pole a
pixel spans a large angle in longitude, so its true neighbours lie many columns away.
"""

from __future__ import annotations

from torch import Tensor, nn

from mtpano_model.network.padding import Padding, SphereConv2d, pad


class ERPTokenMixer(nn.Module):
    """Mixes neighbouring tokens [B, C, H, W] by latitude-weighted kernels."""

    def __init__(self, channels: int, how: Padding):
        super().__init__()
        self.how = how
        self.equator = SphereConv2d(channels, channels, 3, how=how)
        self.pole = SphereConv2d(channels, channels, (3, 9), how=how, groups=channels)

    def forward(self, x: Tensor, pole_weight: Tensor) -> Tensor:
        """pole_weight [1, 1, H, 1] is |sin latitude| of each row."""
        wide = pad(x, 1, 1, 4, 4, self.how)  # once for both kernels
        equator = self.equator.padded(wide[..., 3:-3])
        return equator + pole_weight * (self.pole.padded(wide) - equator)


class PlainTokenMixer(nn.Module):
    """The ablation's counterpart: one 3x3 convolution for every latitude."""

    def __init__(self, channels: int, how: Padding):
        super().__init__()
        self.equator = SphereConv2d(channels, channels, 3, how=how)

    def forward(self, x: Tensor, pole_weight: Tensor) -> Tensor:
        """As ERPTokenMixer; latitude is ignored."""
        return self.equator(x)
