"""Depth metrics, streamed frame by frame: AbsRel, SqRel, RMSE, RMSE log, delta 1.25^1..3."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mtpano_model.metrics.figures import Figures
from mtpano_model.metrics.protocols import MIN_DEPTH_M, Protocol

_DELTA = 1.25
_FARTHEST_M = 1000.0  # stands for +Inf (open) where the protocol has no cap

# Order of the sums. The last two are means of squares until the root is taken.
_NAMES = ("abs_rel", "sq_rel", "delta1", "delta2", "delta3", "rmse", "rmse_log")


@dataclass
class DepthMetrics:
    """Accumulates weighted sums over the valid pixels of any number of frames.

    pooled, weighted by solid angle, and pooled after one median scale a frame all come from the
    same sums.
    """

    protocol: Protocol
    _frames: dict[str, list[NDArray[np.float64]]] = field(
        default_factory=lambda: {"plain": [], "cos": [], "median": []}
    )

    def update(
        self,
        prediction: NDArray[np.floating],
        truth: NDArray[np.floating],
        valid: NDArray[np.bool_],
        areas: NDArray[np.floating],
        align: bool = False,
    ) -> Figures:
        """Add one frame and return its own figures (empty where nothing is valid).

        prediction, truth: [H, W] metres along the ray; a prediction that is NaN counts as the
        nearest, +Inf as the farthest depth. areas: solid angle of each pixel, [H, W] or [H, 1].
        align: scale the prediction to the frame's median before anything else.
        """
        scored = valid & (truth > MIN_DEPTH_M)
        if self.protocol.max_depth is not None:
            scored &= truth < self.protocol.max_depth
        if not scored.any():
            return {}
        guess = prediction[scored].astype(np.float64)
        guess = np.nan_to_num(guess, nan=MIN_DEPTH_M, posinf=_FARTHEST_M, neginf=MIN_DEPTH_M)
        goal = truth[scored].astype(np.float64)
        weight = np.broadcast_to(areas, truth.shape)[scored]
        scale = median_scale(guess, goal)
        errors = self._errors(guess * scale if align else guess, goal)
        ones = np.ones(len(goal))
        plain = _sums(errors, ones)
        self._frames["plain"].append(plain)
        self._frames["cos"].append(_sums(errors, weight))
        aligned = errors if align else self._errors(guess * scale, goal)
        self._frames["median"].append(_sums(aligned, ones))
        return _figures([plain])

    def pooled(self) -> Figures:
        """Over all pixels alike."""
        return _figures(self._frames["plain"])

    def cos_weighted(self) -> Figures:
        """Over all pixels, each by the solid angle it covers."""
        return _figures(self._frames["cos"])

    def median_aligned(self) -> Figures:
        """Pooled, after each frame's prediction was scaled to the frame's median."""
        return _figures(self._frames["median"])

    def _errors(self, guess: NDArray[np.float64], goal: NDArray[np.float64]) -> NDArray[np.float64]:
        """Rows of _NAMES, [7, N]."""
        guess = np.clip(guess, MIN_DEPTH_M, self.protocol.max_depth)
        difference = guess - goal
        ratio = np.maximum(guess / goal, goal / guess)
        log_ratio = np.log10(guess / goal) if self.protocol.log10 else np.log(guess / goal)
        squared = difference**2
        return np.stack(
            [
                np.abs(difference) / goal,
                squared / goal,
                ratio < _DELTA,
                ratio < _DELTA**2,
                ratio < _DELTA**3,
                squared,
                log_ratio**2,
            ]
        )


def median_scale(guess: NDArray[np.floating], goal: NDArray[np.floating]) -> float:
    """The factor that brings the prediction's median to the ground truth's."""
    return float(np.median(goal) / max(float(np.median(guess)), MIN_DEPTH_M))


def _sums(errors: NDArray[np.float64], weight: NDArray[np.floating]) -> NDArray[np.float64]:
    """Weighted sum of each row, and the sum of weights, [8]."""
    return np.append(errors @ weight, weight.sum())


def _figures(frames: list[NDArray[np.float64]]) -> Figures:
    if not frames:
        return {}
    total = np.sum(frames, axis=0)
    means = dict(zip(_NAMES, (total[:-1] / total[-1]).tolist(), strict=True))
    return {k: v**0.5 if k.startswith("rmse") else v for k, v in means.items()}
