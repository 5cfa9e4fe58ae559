"""Means over valid pixels, the same on one process and on many."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

ReduceCount = Callable[[Tensor], Tensor]


def one_process(count: Tensor) -> Tensor:
    """The `reduce_count` of a single process."""
    return count


def masked_mean(values: Tensor, valid: Tensor, reduce_count: ReduceCount = one_process) -> Tensor:
    """Sum of values [B, C, H, W] where valid [B, 1, H, W], over the number of valid pixels.

    Where several processes train together that number is its mean over processes (`reduce_count`),
    so that averaged gradients equal those of one process with all the pixels. An empty mask gives
    0 and no gradient.
    """
    total = torch.where(valid, values, 0).sum()
    count = reduce_count(valid.sum().to(total))
    return total / torch.where(count > 0, count, 1)
