"""Semantic metrics, streamed through confusion matrices: IoU by class, means, pixel accuracy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mtpano_model.classes import IGNORE, ClassSet
from mtpano_model.metrics.figures import Figures
from mtpano_model.metrics.protocols import Protocol

COMMON_SHARE = 1e-3  # a class is common above this share of the ground truth's pixels


class SemsegMetrics:
    """Accumulates confusion of one class set over any number of frames.

    Ground truth IGNORE is not scored. A prediction IGNORE (a class that has no counterpart in the
    set) is wrong wherever it stands on labelled ground truth.
    """

    def __init__(self, protocol: Protocol, classes: ClassSet):
        self.classes = classes
        self.common_only = protocol.common_classes_only
        unscored = protocol.unscored if protocol.class_set == classes.name else ()
        self._scored = np.ones(len(classes), bool)
        self._scored[list(unscored)] = False
        # Rows: truth; columns: prediction, the last for IGNORE.
        self.confusion = np.zeros((len(classes), len(classes) + 1))
        self._weighted = np.zeros_like(self.confusion)

    def update(
        self, prediction: NDArray[np.integer], truth: NDArray[np.integer], areas: NDArray
    ) -> Figures:
        """Add one frame of class ids [H, W] and return its own figures (empty: none).

        A frame's mean IoU is over the classes it shows or was given.
        """
        count = len(self.classes)
        known = truth != IGNORE
        if not known.any():
            return {}
        guess = np.minimum(prediction[known], count).astype(np.int64)
        pairs = truth[known].astype(np.int64) * (count + 1) + guess
        weights = np.broadcast_to(areas, truth.shape)[known]
        shape, size = self.confusion.shape, self.confusion.size
        confusion = np.bincount(pairs, minlength=size).reshape(shape).astype(np.float64)
        self.confusion += confusion
        self._weighted += np.bincount(pairs, weights, minlength=size).reshape(shape)
        return self._figures(confusion)

    def pooled(self) -> Figures:
        """From all pixels' confusion."""
        return self._figures(self.confusion)

    def cos_weighted(self) -> Figures:
        """From the confusion of solid angles."""
        return self._figures(self._weighted)

    def class_iou(self) -> dict[str, float | None]:
        """IoU by class name, None for classes that neither occur nor are predicted."""
        values = iou(self.confusion)
        return {
            name: None if np.isnan(v) else float(v)
            for name, v in zip(self.classes.names, values, strict=True)
        }

    def class_share(self) -> dict[str, float]:
        """Share of the labelled ground truth's pixels by class name."""
        share = self.confusion.sum(1) / max(self.confusion.sum(), 1)
        return dict(zip(self.classes.names, share.tolist(), strict=True))

    def _figures(self, confusion: NDArray[np.float64]) -> Figures:
        total = confusion.sum()
        if total == 0:
            return {}
        values = iou(confusion)
        occurs = self._scored & ~np.isnan(values)
        common = self._scored & (confusion.sum(1) > COMMON_SHARE * total)
        if not common.any():
            return {}
        over_all, over_common = float(values[occurs].mean()), float(values[common].mean())
        return {
            "miou": over_common if self.common_only else over_all,
            "miou_all_classes": over_all,
            "miou_common_classes": over_common,
            "pixel_accuracy": float(confusion.diagonal().sum() / total),
        }


def iou(confusion: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union by class of a [C, C or more] confusion matrix, NaN where no pixel."""
    hit = confusion.diagonal()
    union = confusion.sum(1) + confusion[:, : len(confusion)].sum(0) - hit
    return np.divide(hit, union, out=np.full(len(hit), np.nan), where=union > 0)
