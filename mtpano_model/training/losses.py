"""The losses of MTPano (arXiv 2602.05330), each with an explicit validity mask.

Every loss is a sum over valid pixels divided by their number (`masking`); an empty mask gives loss
0 and gradient 0. Edge and Freq are in `sharpness`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from mtpano_model.classes import IGNORE
from mtpano_model.data.sample import Batch
from mtpano_model.training.auxiliary import point_map
from mtpano_model.training.masking import ReduceCount, masked_mean, one_process
from mtpano_model.training.sharpness import (
    Convention,
    edge_loss,
    frequency_loss,
    gradient_loss,
    sharpness,
)

DepthKind = Literal["l1", "log_l1"]

__all__ = [
    "LossConfig",
    "auxiliary_loss",
    "depth_loss",
    "edge_loss",
    "frequency_loss",
    "multi_task_loss",
    "normals_loss",
    "semseg_loss",
]

_NEAREST_M = 0.05  # log depth goes on as a straight line below this, so that gradients stay finite
_DICE_SMOOTH = 1e-6


@dataclass(frozen=True)
class LossConfig:
    """What is weighed how; the defaults are the paper's.

    semseg, depth, normals: weight of each main task. initial: weight of the initial predictions,
    auxiliary: of the auxiliary tasks.
    cross_entropy, dice: the two halves of the semantic loss.
    class_balance: exponent b; classes weigh frequency^-b in the cross-entropy (0: all the same).
    depth_kind: "l1" in metres, or "log_l1" (mean |log p - log y|), which near and far teach alike.
    depth_edge, depth_frequency, normals_edge, normals_frequency: weights of Edge and Freq.
    depth_gradient: weight of the differences between neighbouring log depths; not in the paper.
    clamp: depth and point losses saturate here once warm-up is over.
    initial_stride: look only at every n-th row and column of the initial predictions, which are
        blown up from the token grid anyway (1: all, as in the paper).
    convention: "released" pads Sobel with zeros and takes borders of invalid areas for edges.
    """

    semseg: float = 1.0
    depth: float = 1.0
    normals: float = 1.0
    initial: float = 0.3
    auxiliary: float = 0.003
    cross_entropy: float = 1.0
    dice: float = 1.0
    class_balance: float = 0.0
    depth_kind: DepthKind = "l1"
    depth_edge: float = 0.5
    depth_frequency: float = 5e-3
    depth_gradient: float = 0.0
    normals_edge: float = 0.1
    normals_frequency: float = 1e-4
    clamp: float = 10.0
    initial_stride: int = 1
    convention: Convention = "ours"


class PredictionMaps(Protocol):
    """Maps [B, C, H, W] by task name: `mtpano_model.network.Predictions` or alike."""

    final: dict[str, Tensor]
    initial: dict[str, Tensor]
    auxiliary: dict[str, Tensor]


# --- main tasks ----------------------------------------------------------------------------------


def semseg_loss(
    logits: Tensor,
    labels: Tensor,
    config: LossConfig = LossConfig(),
    *,
    class_weights: Tensor | None = None,
    confidence: Tensor | None = None,
    reduce_count: ReduceCount = one_process,
) -> Tensor:
    """Cross-entropy + Dice. logits [B, C, H, W]; labels [B, H, W] with 255 unlabelled.

    class_weights [C] and confidence [B, 1, H, W] weigh the cross-entropy's pixels.
    """
    valid = (labels != IGNORE)[:, None]
    target = torch.where(valid[:, 0], labels.long(), 0)[:, None]
    log_probability = F.log_softmax(logits, 1)
    loss = logits.new_zeros(())
    if config.cross_entropy:
        entropy = -log_probability.gather(1, target)
        if class_weights is not None:
            entropy = entropy * class_weights.to(entropy)[target]
        if confidence is not None:
            entropy = entropy * confidence
        loss = loss + config.cross_entropy * masked_mean(entropy, valid, reduce_count)
    if config.dice:
        loss = loss + config.dice * _dice(log_probability.exp(), target, valid, reduce_count)
    return loss


def _dice(probability: Tensor, target: Tensor, valid: Tensor, reduce_count: ReduceCount) -> Tensor:
    """1 - Dice, mean over classes (absent ones included) and over images with any label.

    probability [B, C, H, W]; target, valid [B, 1, H, W]. Sums over pixels as a matrix product and
    by index: one-hot truths would be maps as large as the logits.
    """
    inside = valid.flatten(1).to(probability)  # [B, H W]
    total = torch.bmm(probability.flatten(2), inside[..., None])[..., 0]  # [B, C]
    hit = probability.gather(1, target).flatten(1) * inside
    classes = target.flatten(1)
    overlap = torch.zeros_like(total).scatter_add(1, classes, hit)
    size = total + torch.zeros_like(total).scatter_add(1, classes, inside)
    dice = (2 * overlap + _DICE_SMOOTH) / (size + _DICE_SMOOTH)
    labelled = valid.any(-1).any(-1)  # [B, 1]
    return masked_mean((1 - dice.mean(1, keepdim=True)), labelled, reduce_count)


def depth_loss(
    prediction: Tensor,
    target: Tensor,
    valid: Tensor,
    config: LossConfig = LossConfig(),
    *,
    reduce_count: ReduceCount = one_process,
) -> Tensor:
    """L1 (or log L1) + Edge + Freq + gradient. prediction, target [B, 1, H, W] in metres."""
    target = torch.where(valid, target, 0)
    in_log = config.depth_kind == "log_l1"
    if in_log or config.depth_gradient:
        log_error = _log_depth(prediction) - _log_depth(target)
    error = log_error if in_log else prediction - target
    loss = masked_mean(error.abs(), valid, reduce_count)
    if config.depth_gradient:
        gradient = gradient_loss(log_error, valid, reduce_count=reduce_count)
        loss = loss + config.depth_gradient * gradient
    if config.depth_edge or config.depth_frequency:
        farthest = target.amax((1, 2, 3), keepdim=True)
        scale = torch.where(farthest > 0, farthest, 1)
        loss = loss + sharpness(
            prediction / scale,
            target / scale,
            valid,
            (config.depth_edge, config.depth_frequency),
            config.convention,
            reduce_count,
        )
    return loss


def _log_depth(depth: Tensor) -> Tensor:
    """log(depth), continued by its tangent below _NEAREST_M: finite and increasing everywhere."""
    tangent = math.log(_NEAREST_M) + depth / _NEAREST_M - 1
    return torch.where(depth > _NEAREST_M, depth.clamp(min=_NEAREST_M).log(), tangent)


def normals_loss(
    prediction: Tensor,
    target: Tensor,
    valid: Tensor,
    config: LossConfig = LossConfig(),
    *,
    reduce_count: ReduceCount = one_process,
) -> Tensor:
    """L1 between unit vectors (summed over channels) + Edge + Freq; both [B, 3, H, W].

    The prediction is normalised here.
    """
    prediction = F.normalize(prediction, dim=1)
    target = torch.where(valid, target, 0)
    loss = masked_mean((prediction - target).abs(), valid, reduce_count)
    weights = (config.normals_edge, config.normals_frequency)
    return loss + sharpness(prediction, target, valid, weights, config.convention, reduce_count)


def auxiliary_loss(
    prediction: Tensor, target: Tensor, valid: Tensor, *, reduce_count: ReduceCount = one_process
) -> Tensor:
    """L1 summed over channels, divided by the number of valid pixels; both [B, C, H, W]."""
    target = torch.where(valid, target, 0)
    return masked_mean((prediction - target).abs(), valid, reduce_count)


# --- everything ----------------------------------------------------------------------------------


def multi_task_loss(
    predictions: PredictionMaps,
    batch: Batch,
    config: LossConfig = LossConfig(),
    *,
    class_weights: Tensor | None = None,
    clamp: bool = True,
    reduce_count: ReduceCount = one_process,
) -> dict[str, Tensor]:
    """Every term by name (semseg, initial.depth, auxiliary.grad, ...), and their weighted `total`.

    Only what the network predicts is looked at, so single-task networks need no other config.
    Auxiliary targets come from `batch.auxiliary` (the point map from depth).
    """
    main = partial(_main_losses, config=config, class_weights=class_weights)
    weights = {"semseg": config.semseg, "depth": config.depth, "normals": config.normals}
    terms: dict[str, Tensor] = {}
    scales: dict[str, float] = {}
    for name, loss in main(predictions.final, batch, reduce_count=reduce_count).items():
        terms[name], scales[name] = loss, weights[name]
    if config.initial:
        coarse, targets = _every(predictions.initial, batch, config.initial_stride)
        for name, loss in main(coarse, targets, reduce_count=reduce_count).items():
            terms[f"initial.{name}"] = loss
            scales[f"initial.{name}"] = weights[name] * config.initial
    if config.auxiliary:
        coarse, targets = _every(predictions.auxiliary, batch, config.initial_stride)
        for name, loss in _auxiliary_losses(coarse, targets, reduce_count).items():
            terms[f"auxiliary.{name}"], scales[f"auxiliary.{name}"] = loss, config.auxiliary
    if clamp:
        for name in terms:
            if name.endswith(("depth", "point")):
                terms[name] = terms[name].clamp(max=config.clamp)
    total = torch.stack([scales[name] * loss for name, loss in terms.items()]).sum()
    return {**terms, "total": total}


def _main_losses(
    maps: dict[str, Tensor],
    batch: Batch,
    *,
    config: LossConfig,
    class_weights: Tensor | None,
    reduce_count: ReduceCount,
) -> dict[str, Tensor]:
    losses = {}
    if "semseg" in maps:
        losses["semseg"] = semseg_loss(
            maps["semseg"],
            batch.semseg,
            config,
            class_weights=class_weights,
            confidence=batch.confidence,
            reduce_count=reduce_count,
        )
    if "depth" in maps:
        losses["depth"] = depth_loss(
            maps["depth"], batch.depth, batch.depth_valid, config, reduce_count=reduce_count
        )
    if "normals" in maps:
        losses["normals"] = normals_loss(
            maps["normals"], batch.normals, batch.normals_valid, config, reduce_count=reduce_count
        )
    return losses


def _auxiliary_losses(
    maps: dict[str, Tensor], batch: Batch, reduce_count: ReduceCount
) -> dict[str, Tensor]:
    everywhere = torch.ones_like(batch.depth_valid)
    losses = {}
    for name, prediction in maps.items():
        target = batch.auxiliary[name]
        valid = batch.depth_valid if name == "point" else everywhere
        losses[name] = auxiliary_loss(prediction, target, valid, reduce_count=reduce_count)
    return losses


def with_point_map(batch: Batch) -> Batch:
    """The same batch with the point map among its auxiliary targets."""
    batch.auxiliary["point"] = point_map(batch.depth)
    return batch


def _every(maps: dict[str, Tensor], batch: Batch, stride: int) -> tuple[dict[str, Tensor], Batch]:
    """Every stride-th row and column of predictions and targets."""
    if stride == 1:
        return maps, batch

    def thin(x: Tensor) -> Tensor:
        return x[..., stride // 2 :: stride, stride // 2 :: stride]

    return {k: thin(v) for k, v in maps.items()}, Batch(
        names=batch.names,
        image=thin(batch.image),
        depth=thin(batch.depth),
        depth_valid=thin(batch.depth_valid),
        normals=thin(batch.normals),
        normals_valid=thin(batch.normals_valid),
        semseg=thin(batch.semseg),
        confidence=None if batch.confidence is None else thin(batch.confidence),
        auxiliary={k: thin(v) for k, v in batch.auxiliary.items()},
    )
