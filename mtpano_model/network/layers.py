"""Small pieces that several modules share."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn


class ChannelLayerNorm(nn.Module):
    """LayerNorm over the channels of [B, C, H, W]; exports as one LayerNormalization node."""

    def __init__(self, channels: int, eps: float = 1e-6):
        super().__init__()
        self.norm = nn.LayerNorm(channels, eps=eps)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def zero_init(layer: nn.Conv2d) -> nn.Conv2d:
    """Start a projection at zero, so that what it adds is learnt from nothing."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def tokens(x: Tensor) -> Tensor:
    """[B, C, H, W] -> [B, H W, C]."""
    return x.flatten(2).transpose(1, 2)


def grid(x: Tensor, size: Sequence[int]) -> Tensor:
    """[B, H W, C] -> [B, C, H, W]."""
    return x.transpose(1, 2).reshape(x.shape[0], x.shape[2], *size)


def normalize_vectors(x: Tensor) -> Tensor:
    """Unit vectors along dim 1; the zero vector stays zero."""
    return F.normalize(x, dim=1)
