"""How well a network does on held-out frames, during training.

The same metrics as `mtpano evaluate`, on at most `eval_frames` frames at the training size.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from mtpano_model.classes import IGNORE, load_class_set
from mtpano_model.data.sample import Batch, PanoramaDataset, collate
from mtpano_model.metrics.evaluation import Evaluation, Maps
from mtpano_model.metrics.protocols import PROTOCOLS, Protocol
from mtpano_model.network import PDBridgeNet
from mtpano_model.network.pd_bridgenet import Predictions

Metrics = dict[str, float]

# Fractions, higher is better; a run's score is the mean of those its network and data have.
_SCORED = ("depth.delta1", "normals.within_11_25", "semseg.miou")

_TOLD = ("depth", "normals", "semseg", "median_aligned")


@torch.no_grad()
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
    modes = {module: module.training for module in net.modules()}
    net.eval()
    evaluation = Evaluation(
        PROTOCOLS.get(protocol, Protocol(protocol)), load_class_set(net.config.class_set)
    )
    chosen = np.unique(np.linspace(0, len(frames) - 1, min(limit, len(frames))).round().astype(int))
    for start in range(0, len(chosen), batch):
        truth = collate([frames[int(i)] for i in chosen[start : start + batch]])
        predictions = net(truth.image.to(device).float())
        for i in range(len(truth)):
            evaluation.update(predicted_maps(predictions, i), true_maps(truth, i))
    for module, training in modes.items():
        module.training = training
    summary = evaluation.summary()
    return _flat({name: summary[name] for name in _TOLD if name in summary})


def score(metrics: Metrics) -> float:
    """One number to stop by: higher is better."""
    return float(np.mean([metrics[name] for name in _SCORED if name in metrics] or [0.0]))


def predicted_maps(predictions: Predictions, i: int) -> Maps:
    """Panorama i of a batch of predictions, as arrays."""
    final = predictions.final
    depth = normals = labels = None
    if "depth" in final:
        depth = final["depth"][i, 0].float().cpu().numpy()
    if "normals" in final:
        normals = F.normalize(final["normals"][i].float(), dim=0).permute(1, 2, 0).cpu().numpy()
    if "semseg" in final:
        labels = final["semseg"][i].argmax(0).byte().cpu().numpy()
    return Maps(depth, normals, labels)


def true_maps(batch: Batch, i: int) -> Maps:
    """Panorama i of a batch's labels, as arrays; None where the panorama has none of a task's."""
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
