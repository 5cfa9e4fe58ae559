"""Two further losses on depth: `plane`, which flattens planes, and `uncertainty`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor

from mtpano_model.data.sample import Batch
from mtpano_model.tasks import DEPTH
from mtpano_model.training.masking import ReduceCount, masked_mean, one_process
from mtpano_model.training.planes import plane_loss

_NEAREST_M = 0.05  # below this, log depth goes on as a straight line with finite gradients


class DepthMaps(Protocol):
    """The part of `mtpano_model.network.Predictions` that these losses use."""

    final: dict[str, Tensor]
    log_scale: Tensor | None


def log_depth(depth: Tensor) -> Tensor:
    """log(depth), continued by its tangent below _NEAREST_M: finite and increasing everywhere."""
    tangent = math.log(_NEAREST_M) + depth / _NEAREST_M - 1
    return torch.where(depth > _NEAREST_M, depth.clamp(min=_NEAREST_M).log(), tangent)


def beside_depth(
    predictions: DepthMaps, batch: Batch, weights: Mapping[str, float], reduce_count: ReduceCount
) -> dict[str, Tensor]:
    """`plane` and `uncertainty` of the final depth; a loss of weight 0 is not computed."""
    uncertain = predictions.log_scale if weights["uncertainty"] else None
    losses: dict[str, Tensor] = {}
    if DEPTH.name not in predictions.final or (uncertain is None and not weights["plane"]):
        return losses
    depth = log_depth(predictions.final[DEPTH.name])
    truth = log_depth(torch.where(batch.depth_valid, batch.depth, 1))
    if weights["plane"]:
        valid = batch.depth_valid & batch.normals_valid
        losses["plane"] = plane_loss(depth, truth, batch.normals, valid, reduce_count=reduce_count)
    if uncertain is not None:
        losses["uncertainty"] = uncertainty_loss(
            uncertain, depth - truth, batch.depth_valid, reduce_count=reduce_count
        )
    return losses


def uncertainty_loss(
    log_scale: Tensor, log_error: Tensor, valid: Tensor, *, reduce_count: ReduceCount = one_process
) -> Tensor:
    """-log likelihood of depth's errors under Laplace(0, exp(log_scale)), less a constant.

    All [B, 1, H, W]. The errors have no gradient: depth does not learn from this loss, or it would
    give up difficult pixels.
    """
    likelihood = log_error.detach().abs() * (-log_scale).exp() + log_scale
    return masked_mean(likelihood, valid, reduce_count)
