"""The losses of all tasks together: every term by name, and their weighted sum."""

from __future__ import annotations

from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from mtpano_model.data.sample import Batch
from mtpano_model.training.auxiliary import point_map
from mtpano_model.training.beside_depth import DepthMaps, beside_depth
from mtpano_model.training.losses import (
    LossConfig,
    auxiliary_loss,
    depth_loss,
    normals_loss,
    semseg_loss,
)
from mtpano_model.training.masking import ReduceCount, one_process

_PAPER = LossConfig()


class PredictionMaps(DepthMaps, Protocol):
    """Maps [B, C, H, W] by task name, such as `mtpano_model.network.Predictions`."""

    initial: dict[str, Tensor]
    auxiliary: dict[str, Tensor]


def multi_task_loss(
    predictions: PredictionMaps,
    batch: Batch,
    config: LossConfig = _PAPER,
    *,
    class_weights: Tensor | None = None,
    clamp: bool = True,
    reduce_count: ReduceCount = one_process,
) -> dict[str, Tensor]:
    """Every term by name (semseg, initial.depth, auxiliary.grad, ...), and their weighted `total`.

    Tasks that the network does not predict are left out.
    Auxiliary targets come from `batch.auxiliary`.
    """
    main = partial(_main_losses, config=config, class_weights=class_weights)
    weights = {"semseg": config.semseg, "depth": config.depth, "normals": config.normals}
    terms: dict[str, Tensor] = {}
    scales: dict[str, float] = {}
    for name, loss in main(predictions.final, batch, reduce_count=reduce_count).items():
        terms[name], scales[name] = loss, weights[name]
    beside = {"plane": config.plane, "uncertainty": config.uncertainty}
    for name, loss in beside_depth(predictions, batch, beside, reduce_count).items():
        terms[name], scales[name] = loss, beside[name]
    if config.initial:
        coarse, targets = _thinned(predictions.initial, batch, config.initial_stride)
        for name, loss in main(coarse, targets, reduce_count=reduce_count).items():
            terms[f"initial.{name}"] = loss
            scales[f"initial.{name}"] = weights[name] * config.initial
    if config.auxiliary:
        coarse, targets = _thinned(predictions.auxiliary, batch, config.initial_stride)
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


def _thinned(maps: dict[str, Tensor], batch: Batch, stride: int) -> tuple[dict[str, Tensor], Batch]:
    """Every stride-th row and column of predictions and targets."""
    if stride == 1:
        return maps, batch

    def thin(x: Tensor) -> Tensor:
        return x[..., stride // 2 :: stride, stride // 2 :: stride]

    return {k: thin(v) for k, v in maps.items()}, batch.map(thin)
