"""A quick look at held-out frames during training; `mtpano evaluate` has the whole truth."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from mtpano_model.classes import IGNORE
from mtpano_model.data.sample import Batch, PanoramaDataset, collate
from mtpano_model.network.pd_bridgenet import PDBridgeNet, Predictions

_NEAREST_M = 1e-3
_RARE = 1e-3  # classes with a smaller share of pixels do not enter mIoU


class QuickMetrics:
    """Metrics pooled over pixels, fractions and degrees."""

    def __init__(self, num_classes: int):
        self.confusion = np.zeros((num_classes, num_classes), np.int64)
        self.sums: dict[str, float] = {}
        self.counts: dict[str, int] = {}

    def update(self, predictions: Predictions, batch: Batch) -> None:
        for i in range(len(batch)):
            for name, maps in predictions.final.items():
                getattr(self, f"_{name}")(maps[i], batch, i)

    def result(self) -> dict[str, float]:
        """abs_rel, delta1, abs_rel_median (after one scale a frame), normals_deg, ..., miou."""
        metrics = {name: total / self.counts[name] for name, total in self.sums.items()}
        if self.confusion.any():
            metrics["miou"] = self._miou()
        return metrics

    def _add(self, name: str, values: torch.Tensor) -> None:
        self.sums[name] = self.sums.get(name, 0.0) + float(values.double().sum())
        self.counts[name] = self.counts.get(name, 0) + values.numel()

    def _depth(self, prediction: torch.Tensor, batch: Batch, i: int) -> None:
        valid = batch.depth_valid[i] & (batch.depth[i] > _NEAREST_M)
        truth = batch.depth[i][valid]
        if not len(truth):
            return
        guess = prediction[valid].clamp(min=_NEAREST_M)
        scaled = guess * (truth.median() / guess.median())
        for suffix, value in (("", guess), ("_median", scaled)):
            ratio = torch.maximum(value / truth, truth / value)
            self._add(f"abs_rel{suffix}", (value - truth).abs() / truth)
            self._add(f"delta1{suffix}", ratio < 1.25)

    def _normals(self, prediction: torch.Tensor, batch: Batch, i: int) -> None:
        valid = batch.normals_valid[i, 0]
        guess = F.normalize(prediction, dim=0)[:, valid]
        truth = batch.normals[i][:, valid]
        degrees = torch.rad2deg(
            2 * torch.atan2((guess - truth).norm(dim=0), (guess + truth).norm(dim=0))
        )
        self._add("normals_deg", degrees)
        self._add("normals_11", degrees < 11.25)

    def _semseg(self, prediction: torch.Tensor, batch: Batch, i: int) -> None:
        truth = batch.semseg[i].long()
        valid = truth != IGNORE
        pairs = truth[valid] * len(self.confusion) + prediction.argmax(0)[valid]
        self.confusion += (
            torch.bincount(pairs, minlength=self.confusion.size)
            .reshape(self.confusion.shape)
            .cpu()
            .numpy()
        )

    def _miou(self) -> float:
        truth: NDArray[np.int64] = self.confusion.sum(1)
        union = truth + self.confusion.sum(0) - self.confusion.diagonal()
        common = truth > _RARE * truth.sum()
        return float((self.confusion.diagonal()[common] / union[common]).mean())


@torch.no_grad()
def validate(
    net: PDBridgeNet, frames: PanoramaDataset, device: torch.device, batch_size: int
) -> dict[str, float]:
    """Metrics of a network on all frames of a data set."""
    was_training = net.training
    net.eval()
    metrics = QuickMetrics(net.config.num_classes)
    for start in range(0, len(frames), batch_size):
        indices = range(start, min(start + batch_size, len(frames)))
        batch = collate([frames[i] for i in indices]).to(device)
        metrics.update(net(batch.image.float()), batch)
    net.train(was_training)
    return metrics.result()
