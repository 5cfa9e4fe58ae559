"""Masks of unreliable pixels of a patch: its eroded border and its depth edges."""

from __future__ import annotations

from functools import reduce

import torch
import torch.nn.functional as F
from torch import Tensor


def erode(valid: Tensor, pixels: int) -> Tensor:
    """Shrink bool masks [N, 1, h, w]; what lies outside the picture counts as invalid."""
    if not pixels:
        return valid
    return ~_spread(F.pad(~valid, (pixels,) * 4, value=True), pixels)


def depth_edges(z: Tensor, valid: Tensor, jump: float) -> Tensor:
    """Pixels beside a depth discontinuity, and their neighbours; bool [N, 1, h, w].

    1 / z of a plane is linear in the picture, however steep one looks at it, so its second
    difference, relative to 1 / z, tells steps and creases from slanted floors (of a step between
    z1 and z2 it is |z1 / z2 - 1| on one side and |z2 / z1 - 1| on the other). Invalid neighbours
    make no edge.

    z: metres along the optical axis, [N, 1, h, w]. jump: relative depth difference of an edge.
    """
    inverse = (1 / z.where(valid, z.new_tensor(1.0))).where(valid, z.new_tensor(float("nan")))
    bend = z.new_zeros(z.shape)
    middle = inverse[..., :, 1:-1]
    bend[..., :, 1:-1] = _bend(inverse[..., :, :-2], middle, inverse[..., :, 2:])
    middle = inverse[..., 1:-1, :]
    vertical = _bend(inverse[..., :-2, :], middle, inverse[..., 2:, :])
    bend[..., 1:-1, :] = bend[..., 1:-1, :].maximum(vertical)
    return _spread(F.pad(bend > jump / (1 + jump), (1,) * 4), 1)


def _bend(before: Tensor, middle: Tensor, after: Tensor) -> Tensor:
    return ((before + after) / middle - 2).abs().nan_to_num(0)


def _spread(mask: Tensor, pixels: int) -> Tensor:
    """Whether any pixel of a square of 2 pixels + 1 is set; the picture shrinks by `pixels`."""
    for dim in (-1, -2):
        length = mask.shape[dim] - 2 * pixels
        shifted = (mask.narrow(dim, start, length) for start in range(2 * pixels + 1))
        mask = reduce(torch.logical_or, shifted)
    return mask
