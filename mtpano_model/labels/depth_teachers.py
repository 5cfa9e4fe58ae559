"""Depth maps of several teachers of one panorama, brought to one scale and merged."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mtpano_model.labels.depth_scale import (
    MIN_OVERLAP,
    THINNED_PIXELS,
    solve_scales,
    weighted_median,
)

_CONTRADICTION = math.log(1.25)  # mean log deviation from the median at which nothing is certain
_ALONE = 0.5  # confidence of a depth that one of several teachers gave


@dataclass
class DepthMap:
    """Depth of one teacher: metres along the ray, 0 where unknown, [P].

    metric: whether its scale is metres; otherwise only ratios of depths count.
    """

    depth: Tensor
    metric: bool


@dataclass
class CombinedDepth:
    """depth: [P], metres, 0 where unknown. confidence: [P], 0..1; None if there is only one
    teacher.

    log_scale: [T], how much too large each teacher's log depth was; NaN where that is unknown.
    """

    depth: Tensor
    confidence: Tensor | None
    log_scale: Tensor


def combine_depths(maps: Sequence[DepthMap]) -> CombinedDepth:
    """Merge several teachers' depths: one scale factor each, then a weighted median per pixel.

    All factors are solved together (`depth_scale.solve_scales`). The mean factor (of the
    logarithms) of the metric teachers that overlap is set to 1. A teacher without scale that
    overlaps with no metric one is left out. A teacher weighs less in the median the more it
    disagrees with the others on this panorama. Confidence is 1 where all agree, and falls to 0
    where they are a quarter off the median on average.
    """
    depths = torch.stack([m.depth for m in maps])
    if len(maps) == 1:
        return CombinedDepth(depths[0], None, depths.new_zeros(1))
    known = depths > 0
    log_depth = depths.clamp_min(1e-6).log().where(known, torch.nan)
    step = max(1, log_depth.shape[1] // THINNED_PIXELS)
    scale = _anchored(log_depth[:, ::step], torch.tensor([m.metric for m in maps]))
    known &= scale.isfinite()[:, None]
    log_depth = (log_depth - scale[:, None].float()).where(known, torch.nan)
    median = _median(log_depth, known, torch.full((len(maps),), 255))
    weight = _weights(log_depth, median)
    median = _median(log_depth, known, weight)
    count = known.sum(0)
    deviation = (log_depth - median.clamp_min(1e-6).log()).abs().nansum(0) / count.clamp_min(1)
    confidence = (1 - deviation / _CONTRADICTION).clamp(0, 1)
    confidence = torch.where(count > 1, confidence, _ALONE * (count == 1))
    return CombinedDepth(median, confidence, scale)


def _anchored(log_depth: Tensor, metric: Tensor) -> Tensor:
    """Log scale of each teacher, [T], relative to the metric ones it overlaps with."""
    scale = solve_scales(log_depth)
    seen = log_depth.isfinite()
    linked = (seen.double() @ seen.double().T) >= MIN_OVERLAP
    linked.fill_diagonal_(True)
    for _ in range(len(scale).bit_length()):  # whoever is linked through others, too
        linked = (linked.double() @ linked.double()) > 0
    metric = metric.to(scale.device)
    anchors = (linked & metric).double()
    true = (anchors @ scale) / anchors.sum(1)  # NaN where a group has no metric teacher
    return scale - true


def _median(log_depth: Tensor, known: Tensor, weight: Tensor) -> Tensor:
    """Weighted median of depths [T, P] at every pixel, [P], 0 where no teacher knows it."""
    teacher, pixel = known.nonzero(as_tuple=True)
    weights = weight.to(log_depth.device, torch.uint8)[teacher]
    return weighted_median(pixel, log_depth[known].exp(), weights, log_depth.shape[1])


def _weights(log_depth: Tensor, median: Tensor) -> Tensor:
    """Whole weights 1..255 of the teachers, inverse to their median deviation from the median."""
    deviation = (log_depth - median.clamp_min(1e-6).log()).abs().nanmedian(1).values
    deviation = deviation.nan_to_num(math.inf).clamp_min(1e-3)
    return (255 * deviation.min() / deviation).clamp(1, 255).round()
