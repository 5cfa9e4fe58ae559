"""The rays of `sphere` as tensors."""

from __future__ import annotations

import torch
from torch import Tensor

from mtpano_model.geometry import sphere


def rays_like(like: Tensor, height: int, width: int) -> Tensor:
    """Unit ray of every pixel, optical frame, [1, 3, H, W], of the type and device of `like`."""
    return torch.from_numpy(sphere.rays(height, width).copy()).to(like).permute(2, 0, 1)[None]
