"""Seam metrics: depth jumps across the panorama's border, and predictions under yaw roll."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mtpano_model.geometry.sphere import yaw_matrix, yaw_of_column_shift
from mtpano_model.metrics.figures import Figures
from mtpano_model.metrics.normals import angles_deg


class SeamJumps:
    """Mean depth jump from the last column to the first, against that between inner columns.

    1 means that nothing is to be seen; the ground truth's own ratio tells how far chance goes.
    """

    def __init__(self) -> None:
        # Rows: prediction, truth; columns: seam and inner jumps as (sum, count).
        self._sums = np.zeros((2, 4))

    def update(
        self,
        prediction: NDArray[np.floating],
        truth: NDArray[np.floating],
        valid: NDArray[np.bool_],
    ) -> None:
        """Add one frame [H, W]; only pairs of neighbours with ground truth count."""
        pairs = valid & np.roll(valid, -1, axis=1)
        for row, depth in enumerate((prediction, truth)):
            jumps = np.abs(np.roll(depth, -1, axis=1) - depth)
            counted = pairs & np.isfinite(jumps)
            jumps = np.where(counted, jumps, 0)
            self._sums[row] += [
                jumps[:, -1].sum(),
                counted[:, -1].sum(),
                jumps[:, :-1].sum(),
                counted[:, :-1].sum(),
            ]

    def result(self) -> dict[str, float]:
        """depth_jump_ratio of the predictions, truth_jump_ratio of the ground truth."""
        return {
            name: float(seam / count / (inner / inner_count))
            for name, (seam, count, inner, inner_count) in zip(
                ("depth_jump_ratio", "truth_jump_ratio"), self._sums, strict=True
            )
            if count and inner > 0
        }


Prediction = tuple[NDArray[np.floating], NDArray[np.floating], NDArray[np.integer]]


def roll_error(prediction: Prediction, rolled: Prediction, shift: int) -> Figures:
    """|f(roll x) - roll f(x)|: how far a prediction depends on where the seam lies.

    prediction: f(x) as (depth [H, W], normals [H, W, 3], labels [H, W]); rolled: f(roll x).
    shift: columns to the right. Returns depth_rel (mean relative difference where both depths are
    finite, 0 if nowhere), normals_deg (mean angle after the normals were turned along) and labels
    (share that differ).
    """
    depth, normals, labels = prediction
    rolled_depth, rolled_normals, rolled_labels = rolled
    turn = yaw_matrix(yaw_of_column_shift(shift, depth.shape[1])).astype(np.float32)
    expected = np.roll(depth, shift, axis=1)
    both = np.isfinite(expected) & np.isfinite(rolled_depth)
    change = np.abs(rolled_depth[both] - expected[both]) / expected[both]
    return {
        "depth_rel": float(change.mean()) if both.any() else 0.0,
        "normals_deg": float(
            angles_deg(rolled_normals, np.roll(normals, shift, axis=1) @ turn.T).mean()
        ),
        "labels": float((rolled_labels != np.roll(labels, shift, axis=1)).mean()),
    }
