"""Surface normal metrics, streamed: mean, median and RMSE of the angle, shares within limits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mtpano_model.metrics.figures import Figures, mean_figures
from mtpano_model.metrics.protocols import Protocol

LIMITS_DEG = {"within_11_25": 11.25, "within_22_5": 22.5, "within_30": 30.0}
_BINS_PER_DEGREE = 500  # the pooled median is exact to 0.002 degrees
_BINS = 180 * _BINS_PER_DEGREE + 1


def angles_deg(
    prediction: NDArray[np.floating], truth: NDArray[np.floating]
) -> NDArray[np.floating]:
    """Angle between vectors [..., 3], degrees: 2 atan2(|p - g|, |p + g|) of unit vectors.

    This form keeps its digits near 0 and 180 degrees, where arccos loses half of them. A zero
    vector, which says nothing, is 90 degrees from everything.
    """
    p, g = unit(prediction), unit(truth)
    apart = np.linalg.norm(p - g, axis=-1)
    together = np.linalg.norm(p + g, axis=-1)
    return np.rad2deg(2 * np.arctan2(apart, together))


def unit(vectors: NDArray[np.floating]) -> NDArray[np.floating]:
    """Vectors [..., 3] scaled to length 1; zero and not finite ones become zero."""
    vectors = np.where(np.isfinite(vectors).all(-1, keepdims=True), vectors, 0)
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0)


class AngleSums:
    """Weighted sums and a histogram of angles: enough for every figure."""

    def __init__(self) -> None:
        self.weight = self.sum = self.square = 0.0
        self.within = np.zeros(len(LIMITS_DEG))
        self.histogram = np.zeros(_BINS)

    def add(self, angles: NDArray[np.floating], weights: NDArray[np.floating]) -> None:
        """Add angles [n] in degrees with their weights [n]."""
        angles = angles.astype(np.float64)
        self.weight += float(weights.sum())
        self.sum += float(angles @ weights)
        self.square += float(angles**2 @ weights)
        self.within += [float(weights[angles < limit].sum()) for limit in LIMITS_DEG.values()]
        bins = (angles * _BINS_PER_DEGREE).astype(np.int64)
        self.histogram += np.bincount(bins, weights, minlength=_BINS)

    def __add__(self, other: AngleSums) -> AngleSums:
        both = AngleSums()
        for name, value in vars(self).items():
            setattr(both, name, value + getattr(other, name))
        return both

    def figures(self) -> Figures:
        """Mean, median and RMSE in degrees, and shares within limits; empty without weight."""
        if self.weight == 0:
            return {}
        return {
            "mean_deg": self.sum / self.weight,
            "median_deg": self.median(),
            "rmse_deg": (self.square / self.weight) ** 0.5,
            **dict(zip(LIMITS_DEG, (self.within / self.weight).tolist(), strict=True)),
        }

    def median(self) -> float:
        """Where the cumulated weight passes one half, linear inside the bin."""
        cumulated, half = np.cumsum(self.histogram), self.weight / 2
        first, last = (int(np.searchsorted(cumulated, half, side)) for side in ("left", "right"))
        if first < last < _BINS:  # nothing lies between the two middle values
            return (first + last + 1) / 2 / _BINS_PER_DEGREE
        before = cumulated[first] - self.histogram[first]
        return float(first + (half - before) / self.histogram[first]) / _BINS_PER_DEGREE


def exact_figures(angles: NDArray[np.floating]) -> Figures:
    """The same figures of a plain array of angles in degrees; the median is the exact one."""
    return {
        "mean_deg": float(angles.mean()),
        "median_deg": float(np.median(angles)),
        "rmse_deg": float(np.sqrt((angles.astype(np.float64) ** 2).mean())),
        **{name: float((angles < limit).mean()) for name, limit in LIMITS_DEG.items()},
    }


class NormalsMetrics:
    """Accumulates angles over any number of frames: pooled and cos-weighted."""

    def __init__(self, protocol: Protocol):
        self.protocol = protocol
        self._pooled, self._cos = AngleSums(), AngleSums()
        self._batches: list[Figures] = []
        self._batch: list[NDArray[np.floating]] = []

    def update(
        self,
        prediction: NDArray[np.floating],
        truth: NDArray[np.floating],
        valid: NDArray[np.bool_],
        areas: NDArray[np.floating],
    ) -> Figures:
        """Add one frame and return its own figures (empty where nothing is valid).

        prediction, truth: [H, W, 3] of any length, one frame of reference. areas: solid angle of
        each pixel, [H, W] or [H, 1].
        """
        weights = np.broadcast_to(areas, valid.shape)
        angles = angles_deg(prediction[valid], truth[valid])
        if self.protocol.invalid_normals_count:
            everywhere = np.zeros(valid.shape, angles.dtype)
            everywhere[valid] = angles
            angles, weights = everywhere.ravel(), weights.ravel()
        else:
            weights = weights[valid]
        if not len(angles):
            return {}
        self._pooled.add(angles, np.ones(len(angles)))
        self._cos.add(angles, weights)
        figures = exact_figures(angles)
        if self.protocol.normals_per_batch:
            self._batch.append(angles)
            if len(self._batch) == self.protocol.normals_per_batch:
                self._close_batch()
        return figures

    def pooled(self) -> Figures:
        """Over all pixels alike, or the mean over batches where the protocol says so."""
        if self.protocol.normals_per_batch:
            self._close_batch()
            return mean_figures(self._batches)
        return self._pooled.figures()

    def cos_weighted(self) -> Figures:
        """Over all pixels, each by the solid angle it covers."""
        return self._cos.figures()

    def _close_batch(self) -> None:
        if self._batch:
            self._batches.append(exact_figures(np.concatenate(self._batch)))
            self._batch = []
