"""Bilinear interpolation of a panorama by its definition, for comparison."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def wrapped_bilinear(plane: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float64]:
    """[h, w] -> [H, W] from the definition: the value at the pixel's centre, columns modulo w."""
    height, width = plane.shape
    y = np.clip((np.arange(size[0]) + 0.5) * height / size[0] - 0.5, 0, height - 1)
    x = (np.arange(size[1]) + 0.5) * width / size[1] - 0.5
    top, left = np.floor(y).astype(int), np.floor(x).astype(int)
    v, u = (y - top)[:, None], (x - left)[None]
    below = np.minimum(top + 1, height - 1)

    def at(rows: NDArray[Any], columns: NDArray[Any]) -> NDArray[np.float64]:
        return plane.astype(np.float64)[rows[:, None], columns[None] % width]

    upper = (1 - u) * at(top, left) + u * at(top, left + 1)
    lower = (1 - u) * at(below, left) + u * at(below, left + 1)
    return (1 - v) * upper + v * lower


def interpolated_labels(logits: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.int64]:
    """[C, h, w] -> the id of the greatest interpolated logit, [H, W]."""
    return np.stack([wrapped_bilinear(plane, size) for plane in logits]).argmax(axis=0)
