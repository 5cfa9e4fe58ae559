"""The loss of each task (arXiv 2602.05330): a sum over valid pixels, divided by their number.

Masks are explicit (`masking`); an empty one gives loss 0 and gradient 0. Edge and Freq are in
`sharpness`, the weighted sum of all tasks is in `multi_task`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from mtpano_model.classes import IGNORE
from mtpano_model.training.beside_depth import log_depth
from mtpano_model.training.masking import ReduceCount, masked_mean, one_process
from mtpano_model.training.sharpness import Convention, gradient_loss, sharpness

DepthKind = Literal["l1", "log_l1"]

_DICE_SMOOTH = 1e-6


@dataclass(frozen=True)
class LossConfig:
    """The weights of all losses; the defaults are the paper's.

    semseg, depth, normals: weight of each main task. initial: weight of the initial predictions.
    auxiliary: weight of the auxiliary tasks.
    cross_entropy, dice: weights of the two terms of the semantic loss.
    class_balance: exponent b; a class has the weight frequency^-b in the cross-entropy (0: all the
        same). The frequency is that over all data sets that are mixed.
    depth_kind: "l1" in metres, or "log_l1" (mean |log p - log y|), where near and far count alike.
    depth_edge, depth_frequency, normals_edge, normals_frequency: weights of Edge and Freq.
    depth_gradient: weight of the differences between neighbouring log depths; not in the paper.
    plane: weight of the angle between predicted depth and true normals on planes; not in the paper.
    uncertainty: weight of the loss that trains confidence, if the network has it; not in the paper.
    clamp: value at which depth and point losses saturate after the warm-up.
    initial_stride: compare only every Nth row and column of the initial predictions, since they
        are interpolated from the token grid (1: all, as in the paper).
    convention: "released" pads Sobel with zeros, and counts borders of invalid areas as edges.
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
    plane: float = 0.0
    uncertainty: float = 0.0
    normals_edge: float = 0.1
    normals_frequency: float = 1e-4
    clamp: float = 10.0
    initial_stride: int = 1
    convention: Convention = "ours"


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
        log_error = log_depth(prediction) - log_depth(target)
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
