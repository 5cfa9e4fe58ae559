"""Whether low confidence marks wrong depth: sparsification curves and the area between them.

Take away the least confident pixels: a good confidence takes the worst errors first, as an oracle
would that knows them (Ilg et al. 2018, arXiv 1802.07095, section 4.2). Pixels of all frames are put
in order together, so that a frame in which all is wrong should go as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mtpano_model.metrics.figures import Figures

_BINS = 2048
_SMALLEST, _LARGEST = 1e-5, 1e3  # errors; relative or in metres
_TRUSTED = 0.10  # confidence is the probability that depth is within this
POINTS = tuple(i / 20 for i in range(20))  # shares of pixels that are taken away
# Figure -> the power of the error that is averaged.
_POWERS = {"abs_rel": 1, "rmse": 2}


@dataclass
class Curve:
    """Remaining error, relative to that of all pixels, at each of POINTS."""

    model: list[float]
    oracle: list[float]

    @property
    def ause(self) -> float:
        """Area under the difference, over shares 0 to 0.95; 0 is an oracle."""
        between = np.subtract(self.model, self.oracle)
        return float(((between[1:] + between[:-1]) / 2 * np.diff(POINTS)).sum())


@dataclass
class _Sums:
    """Counts and summed errors of bins that are in order, the ones to be taken away first."""

    table: NDArray[np.float64] = field(default_factory=lambda: np.zeros((2, _BINS)))

    def add(self, place: NDArray[np.integer], error: NDArray[np.float64]) -> None:
        self.table += [
            np.bincount(place, minlength=_BINS),
            np.bincount(place, error, minlength=_BINS),
        ]

    def remaining(self) -> NDArray[np.float64]:
        """Mean error of what is left at each of POINTS; linear inside a bin."""
        below = np.concatenate([np.zeros((2, 1)), self.table.cumsum(1)], 1)
        count, error = below[:, -1]
        gone = np.interp(np.multiply(POINTS, count), *below)
        return (error - gone) / (count * (1 - np.array(POINTS)))


class Sparsification:
    """Accumulates pixels of any number of frames in histograms of 2,048 bins."""

    def __init__(self) -> None:
        self._by_confidence = {name: _Sums() for name in _POWERS}
        self._by_error = {name: _Sums() for name in _POWERS}
        self._frames: list[NDArray[np.float64]] = []

    def update(
        self,
        confidence: NDArray[np.floating],
        depth: NDArray[np.floating],
        truth: NDArray[np.floating],
        valid: NDArray[np.bool_],
    ) -> Figures:
        """Add one frame; its mean confidence, and the share of its depth that is within 10 %.

        All [H, W]; confidence in 0..1, depth in metres. A pixel without a finite prediction of
        both is left out.
        """
        counted = valid & np.isfinite(confidence) & np.isfinite(depth) & (truth > 0)
        if not counted.any():
            return {}
        sure = confidence[counted].astype(np.float64)
        goal = truth[counted].astype(np.float64)
        off = np.abs(depth[counted] - goal)
        place = np.clip(sure * _BINS, 0, _BINS - 1).astype(np.int64)
        for name, error in (("abs_rel", off / goal), ("rmse", off)):
            powered = error ** _POWERS[name]
            self._by_confidence[name].add(place, powered)
            self._by_error[name].add(_falling(error), powered)
        sums = np.array([len(sure), sure.sum(), (off <= _TRUSTED * goal).sum()], np.float64)
        self._frames.append(sums)
        return _means(sums)

    def curves(self) -> dict[str, Curve]:
        """By figure; empty where nothing was measured or nothing is wrong."""
        found = {}
        for name, power in _POWERS.items():
            model = self._by_confidence[name].remaining() if self._frames else np.zeros(1)
            oracle = self._by_error[name].remaining() if self._frames else np.zeros(1)
            if model[0] > 0:
                ratios = (np.maximum(c / model[0], 0) ** (1 / power) for c in (model, oracle))
                found[name] = Curve(*(ratio.tolist() for ratio in ratios))
        return found

    def pooled(self) -> Figures:
        """ause_abs_rel, ause_rmse, and the means of `update` over all pixels."""
        if not self._frames:
            return {}
        areas = {f"ause_{name}": curve.ause for name, curve in self.curves().items()}
        return {**areas, **_means(np.sum(self._frames, axis=0))}


def _means(sums: NDArray[np.float64]) -> Figures:
    count, sure, right = sums.tolist()
    return {"mean": sure / count, "within_10_percent": right / count}


def _falling(error: NDArray[np.float64]) -> NDArray[np.int64]:
    """Bin of each error, the largest first; logarithmic."""
    span = np.log(_LARGEST / _SMALLEST)
    place = np.log(np.clip(error, _SMALLEST, _LARGEST) / _SMALLEST) / span
    return np.clip((1 - place) * _BINS, 0, _BINS - 1).astype(np.int64)
