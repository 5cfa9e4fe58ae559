"""Class weights for the cross-entropy: the rarer a class, the larger its weight."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtpano_model.classes import IGNORE
from mtpano_model.data.sample import PanoramaDataset
from mtpano_model.training.config import TrainConfig
from mtpano_model.training.stream import TrainingData

_COUNTED_FRAMES = 1000  # at most; taken evenly
_RAREST = 1e-4  # share of pixels below which a class weighs no more


def balanced_class_weights(
    sources: Iterable[tuple[PanoramaDataset, float]], num_classes: int, exponent: float
) -> Tensor:
    """Weights ~ frequency^-exponent, scaled to a mean of 1 over pixels; absent classes get 1.

    sources: all sets of frames, each with its share of the stream.
    """
    counts = np.sum([part * _counts(frames) for frames, part in sources], axis=0)
    share = counts[:num_classes] / max(counts[:IGNORE].sum(), 1e-9)
    weights = np.where(share > 0, np.maximum(share, _RAREST) ** -exponent, 0)
    weights /= max((share * weights).sum(), 1e-9)
    return torch.from_numpy(np.where(share > 0, weights, 1)).float()


def _counts(frames: PanoramaDataset) -> NDArray[np.float64]:
    """Labelled and unlabelled pixels of a frame by label, [256], as shares that sum to 1."""
    counts = np.zeros(256)
    limit = min(len(frames), _COUNTED_FRAMES)
    for index in np.linspace(0, len(frames) - 1, limit).astype(int):
        labels = frames[int(index)].semseg.flatten().numpy()
        counts += np.bincount(labels, minlength=256)
    return counts / counts.sum()


def class_weights_of(
    config: TrainConfig, data: TrainingData, num_classes: int, device: torch.device
) -> Tensor | None:
    """Class weights [num_classes], None without balance.

    They are counted at the first stage's size, whichever stage a run resumes in."""
    if not config.losses.class_balance:
        return None
    first = config.stages[0]
    sources = data.sources((first.height, first.width))
    return balanced_class_weights(sources, num_classes, config.losses.class_balance).to(device)
