"""Aligns the depth scales of all patches of a panorama, and merges their depths.

The error of a monocular teacher is mostly one scale factor per patch. The ratio of two patches'
depths where they overlap is the ratio of their factors; all factors are solved for at once.
"""

from __future__ import annotations

import torch
from torch import Tensor

THINNED_PIXELS = 8192  # of the canvas on which scales are compared, about
MIN_OVERLAP = 32  # pixels of the thinned canvas below which a ratio is not trusted
_SMALL = 0.02  # log ratio beyond which a pair's pull no longer grows
_ITERATIONS = 20


def solve_scales(log_depth: Tensor) -> Tensor:
    """Log scale of every patch, [N], by robust least squares over the overlaps of all pairs.

    log_depth: [N, P], log metres of each patch on the same P pixels, NaN where it has no depth.
    Minimises sum n_ij rho(s_i - s_j - m_ij) with m_ij the median of log d_i - log d_j over their
    n_ij common pixels and rho Huber's function. Subtract s_i from log d_i. The sum of s over a
    connected group of patches is 0: on average, the patches' scales are assumed to be right.
    """
    first, second, ratio, count = _pair_ratios(log_depth)
    size = len(log_depth)
    scale = torch.zeros(size, dtype=torch.float64, device=log_depth.device)
    weight = count
    for _ in range(_ITERATIONS if len(ratio) else 0):
        # Normal equations: the weighted graph Laplacian, singular by one constant a group.
        laplacian = scale.new_zeros(size, size)
        laplacian.index_put_((first, second), -weight)
        laplacian = laplacian + laplacian.T
        laplacian -= laplacian.sum(1).diag()
        pull = scale.new_zeros(size).index_add_(0, first, weight * ratio)
        pull.index_add_(0, second, -weight * ratio)
        scale = torch.linalg.pinv(laplacian, rtol=1e-10, hermitian=True) @ pull
        residual = scale[first] - scale[second] - ratio
        weight = count * (_SMALL / residual.abs().clamp_min(_SMALL))
    return scale


def _pair_ratios(log_depth: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Pairs i < j that overlap: i, j, median of log d_i - log d_j, number of common pixels."""
    pairs: list[tuple[Tensor, ...]] = []
    for i in range(len(log_depth) - 1):
        seen = log_depth[i].isfinite()
        difference = log_depth[i, seen] - log_depth[i + 1 :, seen]
        count = difference.isfinite().sum(1)
        j = (count >= MIN_OVERLAP).nonzero()[:, 0]
        if len(j):
            median = difference[j].nanmedian(1).values
            pairs.append((torch.full_like(j, i), j + i + 1, median.double(), count[j].double()))
    if not pairs:
        none = torch.zeros(0, dtype=torch.long, device=log_depth.device)
        return none, none, none.double(), none.double()
    first, second, ratio, count = (torch.cat(parts) for parts in zip(*pairs, strict=True))
    return first, second, ratio, count


def weighted_median(pixel: Tensor, value: Tensor, weight: Tensor, size: int) -> Tensor:
    """Weighted median of the values observed at each of `size` pixels, [size], 0 where none.

    size: at most 2^23, the pixels of a canvas of 2048x4096 (`data.store.MAX_HEIGHT`).

    pixel: int64 [M]. value: float32 [M], above 0. weight: uint8 [M], above 0. Between two middle
    values the mean is taken.
    """
    median = value.new_zeros(size)
    if not len(pixel):
        return median
    # Positive floats sort like their bits: pixel, value and weight fit one integer, and sorting
    # integers is several times faster than sorting by two keys.
    key = pixel << 40 | value.view(torch.int32).long() << 8 | weight.long()
    key = key.sort().values
    pixel, weight = key >> 40, key & 255
    value = (key >> 8 & 0xFFFFFFFF).int().view(torch.float32)
    total = torch.zeros(size, dtype=torch.long, device=key.device).index_add_(0, pixel, weight)
    seen = total.nonzero()[:, 0]
    upto = weight.cumsum(0)
    twice_middle = 2 * (total.cumsum(0) - total)[seen] + total[seen]
    low = torch.searchsorted(2 * upto, twice_middle)
    high = torch.searchsorted(2 * upto, twice_middle, right=True)
    median[seen] = (value[low] + value[high]) / 2
    return median
