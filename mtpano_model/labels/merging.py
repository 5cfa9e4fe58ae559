"""Merges the labels of many patches on one canvas.

Every observation of a canvas pixel weighs with the cosine of its angle to the patch's axis, since
teachers are at their best in the middle of a picture; for classes also with their confidence.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mtpano_model.classes import IGNORE
from mtpano_model.geometry.perspective import sample_patch
from mtpano_model.labels.depth_scale import THINNED_PIXELS, solve_scales, weighted_median

_LEAST_AGREEMENT = 0.5  # length of the mean of unit normals below which they contradict each other


@dataclass
class Seen:
    """The canvas pixels one patch sees: flat indices [P], places in the patch [P, 2], weights [P].

    Places and indices as of `perspective.seen_pixels`; weights are above 0, at most 1.
    """

    pixels: Tensor
    places: Tensor
    weight: Tensor


class ClassVotes:
    """Confidence-weighted votes for classes. size: pixels of the canvas."""

    def __init__(self, classes: int, size: int, device: torch.device):
        self._votes = torch.zeros(classes, size, device=device)
        self._total = torch.zeros(size, device=device)

    def add(self, seen: Seen, classes: Tensor, confidence: Tensor, valid: Tensor) -> None:
        """One patch: classes uint8, confidence float, valid bool, each [1, h, w]."""
        ids, known = (sample_patch(m, seen.places, "nearest")[0] for m in (classes, valid))
        trust = sample_patch(confidence, seen.places, "nearest")[0]
        self._total.index_add_(0, seen.pixels[known], seen.weight[known])
        known = known & (ids != IGNORE)
        flat = ids[known].long() * self._votes.shape[1] + seen.pixels[known]
        self._votes.view(-1).index_add_(0, flat, (trust * seen.weight)[known])

    def merge(self) -> tuple[Tensor, Tensor]:
        """Winning class uint8 [P], 255 where nobody voted, and its share of all that could have
        been cast, [P] in 0..1: low where teachers were unsure or disagreed."""
        most, winner = self._votes.max(0)
        winner = torch.where(most > 0, winner, IGNORE).to(torch.uint8)
        return winner, (most / self._total.clamp_min(1e-6)).clamp(max=1)


class NormalMean:
    """Renormalised mean of normals that were turned into the panorama's frame."""

    def __init__(self, size: int, device: torch.device):
        self._sum = torch.zeros(3, size, device=device)
        self._total = torch.zeros(size, device=device)

    def add(self, seen: Seen, normals: Tensor, rotation: Tensor, valid: Tensor) -> None:
        """One patch: unit normals [3, h, w] in its own frame, rotation [3, 3], valid [1, h, w]."""
        known = sample_patch(valid, seen.places, "nearest")[0]
        vectors = rotation @ sample_patch(normals, seen.places[known], "bilinear")
        length = vectors.square().sum(0).sqrt().clamp_min(1e-6)
        weight = seen.weight[known]
        self._sum.index_add_(1, seen.pixels[known], vectors * (weight / length))
        self._total.index_add_(0, seen.pixels[known], weight)

    def merge(self) -> Tensor:
        """[3, P], 0 where there is none or where patches contradict each other."""
        length = self._sum.square().sum(0).sqrt()
        agree = length > _LEAST_AGREEMENT * self._total.clamp_min(1e-6)
        return torch.where(agree, self._sum / length, 0)


class DepthPatches:
    """Depth observations, merged by a joint scale a patch and a weighted median.

    size: (H, W) of the canvas.
    """

    def __init__(self, size: tuple[int, int], device: torch.device):
        self._size, self._device = size, device
        self._pixels: list[Tensor] = []
        self._depths: list[Tensor] = []
        self._weights: list[Tensor] = []

    def add(self, seen: Seen, depth: Tensor, valid: Tensor) -> None:
        """One patch: metres along the ray, and where they hold, each [1, h, w]."""
        known = sample_patch(valid, seen.places, "nearest")[0]
        self._pixels.append(seen.pixels[known])
        self._depths.append(sample_patch(depth, seen.places[known], "nearest")[0])
        self._weights.append((seen.weight[known] * 255).clamp(1, 255).to(torch.uint8))

    def merge(self) -> tuple[Tensor, Tensor]:
        """Depth [P] in metres, 0 where there is none, and the log scale of every patch, [N]."""
        scale = solve_scales(self._thinned())
        depths = [d * (-s).exp().float() for d, s in zip(self._depths, scale, strict=True)]
        size = self._size[0] * self._size[1]
        merged = weighted_median(
            torch.cat(self._pixels), torch.cat(depths), torch.cat(self._weights), size
        )
        return merged, scale

    def _thinned(self) -> Tensor:
        """Log depth of every patch on a coarse grid of canvas pixels, [N, P'], NaN where none."""
        height, width = self._size
        step = max(1, round((height * width / THINNED_PIXELS) ** 0.5))
        columns = -(-width // step)
        grid = torch.full(
            (len(self._pixels), -(-height // step) * columns), float("nan"), device=self._device
        )
        for row, pixels, depth in zip(grid, self._pixels, self._depths, strict=True):
            i, j = pixels // width, pixels % width
            on_grid = (i % step == 0) & (j % step == 0)
            row[(i // step * columns + j // step)[on_grid]] = depth[on_grid].log()
        return grid
