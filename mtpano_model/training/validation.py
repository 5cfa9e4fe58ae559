"""Metrics of a network on held-out frames during training.

The same metrics as `mtpano evaluate`, on at most `eval_frames` frames at the training size, with
the robot's postprocessing.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mtpano_model.classes import IGNORE, load_class_set
from mtpano_model.data.sample import Batch, PanoramaDataset, collate, spread
from mtpano_model.export.torch_engine import network_estimator
from mtpano_model.inference import Frame
from mtpano_model.metrics.evaluation import Evaluation, Maps
from mtpano_model.metrics.protocols import PROTOCOLS, Protocol
from mtpano_model.network import PDBridgeNet
from mtpano_model.tasks import CONFIDENCE, DEPTH, NORMALS, SEMSEG

Metrics = dict[str, float]

# Fractions, higher is better; a run's score is the mean of those its network and data have.
_SCORED = ("depth.delta1", "normals.within_11_25", "semseg.miou")

_KEPT = ("depth", "normals", "semseg", "median_aligned")


def validate(
    net: PDBridgeNet,
    frames: PanoramaDataset,
    device: torch.device,
    *,
    protocol: str,
    batch: int,
    limit: int,
) -> Metrics:
    """Metrics by dotted name (depth.abs_rel, median_aligned.depth.abs_rel, ...).

    protocol: a name of `evaluation.protocols`, others count as plain pooling. At most `limit`
    frames, taken evenly.
    """
    evaluation = Evaluation(
        PROTOCOLS.get(protocol, Protocol(protocol)), load_class_set(net.config.class_set)
    )
    chosen = spread(len(frames), limit)
    for start in range(0, len(chosen), batch):
        truth = collate([frames[i] for i in chosen[start : start + batch]])
        for i, prediction in enumerate(predicted_maps(net, truth.image, device)):
            evaluation.update(prediction, true_maps(truth, i))
    summary = evaluation.summary()
    return _flat({name: summary[name] for name in _KEPT if name in summary})


def score(metrics: Metrics) -> float:
    """One number for early stopping; higher is better."""
    return float(np.mean([metrics[name] for name in _SCORED if name in metrics] or [0.0]))


def predicted_maps(net: PDBridgeNet, images: Tensor, device: torch.device | str) -> list[Maps]:
    """Predictions for pictures uint8 [B, 3, H, W] after the robot's postprocessing, one entry each.

    The network keeps the mode (training or evaluation) that it was in.
    """
    modes = {module: module.training for module in net.modules()}
    height, width = images.shape[-2:]
    estimator = network_estimator(net, (height, width), device)
    pictures = images.permute(0, 2, 3, 1).contiguous().numpy()
    batch = np.concatenate([estimator.preprocess(picture) for picture in pictures])
    outputs = estimator.engine.infer(batch)
    for module, training in modes.items():
        module.training = training
    return [
        known_maps(
            estimator.postprocess({name: array[i : i + 1] for name, array in outputs.items()}), net
        )
        for i in range(len(images))
    ]


def known_maps(frame: Frame, net: PDBridgeNet) -> Maps:
    """The frame's maps, None for tasks that the network lacks."""
    tasks = net.config.tasks
    return Maps(
        frame.depth if DEPTH.name in tasks else None,
        frame.normals if NORMALS.name in tasks else None,
        frame.labels if SEMSEG.name in tasks else None,
        confidence=frame.extras.get(CONFIDENCE.name),
    )


def true_maps(batch: Batch, i: int) -> Maps:
    """Labels of panorama i of a batch, as arrays; None for tasks without labels."""
    depth_valid = batch.depth_valid[i, 0].numpy()
    normals_valid = batch.normals_valid[i, 0].numpy()
    labels = batch.semseg[i].numpy()
    return Maps(
        depth=batch.depth[i, 0].numpy() if depth_valid.any() else None,
        normals=batch.normals[i].permute(1, 2, 0).numpy() if normals_valid.any() else None,
        labels=labels if (labels != IGNORE).any() else None,
        depth_valid=depth_valid,
        normals_valid=normals_valid,
    )


def _flat(summary: dict, prefix: str = "") -> Metrics:
    flat: Metrics = {}
    for key, value in summary.items():
        if isinstance(value, dict):
            flat.update(_flat(value, f"{prefix}{key}."))
        elif isinstance(value, (int, float)):
            flat[f"{prefix}{key}"] = float(value)
    return flat
