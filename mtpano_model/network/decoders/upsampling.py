"""Learnt up-sampling by two: every fine pixel is a convex combination of its four neighbours.

The weights (convex up-sampling of RAFT, arXiv 2003.12039, section 3.3, with the four neighbours of
bilinear interpolation in place of nine) come from all decoders' last features and the picture
itself, so edges fall where the picture has them. They start as the bilinear kernel. Depth is
combined along the neighbours' planes: the inverse distance of a plane is linear in the ray, so
what is flat stays flat.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtpano_model.geometry.sphere_rays import rays_like
from mtpano_model.network.layers import normalize_vectors
from mtpano_model.network.padding import Padding, pad

FACTOR = 2
_TAPS = 4
# A plane seen at less than asin(0.1) = 6 degrees is taken to be seen at that angle: beyond it, an
# error of the normal decides everything.
_GRAZING = 0.1
_NEAREST_M = 1e-3


class ConvexWeights(nn.Module):
    """Maps of features [B, C, h, w] and picture [B, 3, 2 h, 2 w] -> weights [B, 4, 4, h, w].

    First index: the neighbour (upper left, upper right, lower left, lower right of the fine
    pixel), over which they sum to 1; second: the fine pixel in its coarse one, row by row.
    """

    def __init__(self, maps: int, channels: int, hidden: int):
        super().__init__()
        self.features = nn.ModuleList(nn.Conv2d(channels, hidden, 1) for _ in range(maps))
        self.picture = nn.Conv2d(3, hidden, FACTOR, stride=FACTOR, bias=False)
        self.predict = nn.Conv2d(hidden, _TAPS * FACTOR**2, 1)
        nn.init.zeros_(self.predict.weight)
        with torch.no_grad():
            self.predict.bias.copy_(_bilinear_logits().flatten())  # type: ignore[union-attr]

    def forward(self, features: list[Tensor], picture: Tensor) -> Tensor:
        mixed = self.picture(picture)
        for mix, x in zip(self.features, features, strict=True):
            mixed = mixed + mix(x)
        logits = self.predict(F.relu(mixed))
        return logits.unflatten(1, (_TAPS, FACTOR**2)).softmax(1)


def _bilinear_logits() -> Tensor:
    """[4, 4]: logarithms of the half-pixel bilinear kernel, as `ConvexWeights` orders them."""
    # A fine pixel leans by 3 : 1 to the coarse one that it lies in.
    upper = torch.tensor([[0.25, 0.75], [0.75, 0.25]]).log()  # [neighbour, fine pixel] of an axis
    return (upper[:, None, :, None] + upper[None, :, None, :]).reshape(_TAPS, FACTOR**2)


def upsample_convex(x: Tensor, weights: Tensor, how: Padding) -> Tensor:
    """[B, C, h, w] -> [B, C, 2 h, 2 w]."""
    height, width = x.shape[-2:]
    padded = pad(x, 1, 1, 1, 1, how)
    fine = []
    for pixel in range(FACTOR**2):
        top, left = divmod(pixel, FACTOR)
        parts = []
        for tap in range(_TAPS):
            row, column = top + tap // 2, left + tap % 2
            neighbour = padded[:, :, row : row + height, column : column + width]
            parts.append(neighbour * weights[:, tap, pixel, None])
        fine.append(parts[0] + parts[1] + parts[2] + parts[3])
    return F.pixel_shuffle(torch.stack(fine, 2).flatten(1, 2), FACTOR)


def upsample_depth(depth: Tensor, normals: Tensor | None, weights: Tensor, how: Padding) -> Tensor:
    """Metres along the ray, [B, 1, h, w] -> [B, 1, 2 h, 2 w], along planes with these normals.

    A plane through d r with normal n is hit by the ray p at distance d (n.r) / (n.p). With
    N = n / (d (n.r)) that is 1 / (N.p), so N is what is combined.
    normals: [B, 3, h, w], optical frame, towards the camera, of any length; None: all planes face
    the camera, that is, depth itself is constant across a pixel.
    """
    height, width = depth.shape[-2:]
    coarse = rays_like(depth, height, width)
    fine = rays_like(depth, FACTOR * height, FACTOR * width)
    unit = -coarse if normals is None else normalize_vectors(normals)
    facing = (unit * coarse).sum(1, keepdim=True)  # n.r, below 0 where the plane is seen
    slope = (unit - facing * coarse) / facing.clamp(max=-_GRAZING)
    planes = (coarse + slope) / depth.clamp(min=_NEAREST_M)
    inverse = (upsample_convex(planes, weights, how) * fine).sum(1, keepdim=True)
    return 1 / inverse.clamp(min=math.exp(-6))
