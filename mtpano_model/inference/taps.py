"""The pixels and weights that interpolate a panorama, as tables; equal to `pictures.resize`.

The compiled loops of postprocess_kernel.py read them.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


class Taps(NamedTuple):
    """The two source columns and rows, with weights, of each column and row of a frame.

    columns: [2, W] uint32, rows: [2, H] int64; the weights are float32 of the same shapes.
    """

    columns: NDArray[np.uint32]
    column_weights: Floats
    rows: NDArray[np.int64]
    row_weights: Floats


@lru_cache(maxsize=8)
def find_taps(small: tuple[int, int], size: tuple[int, int]) -> Taps:
    """Taps from a picture of `small` (h, w) to `size` (H, W); columns wrap, end rows repeat."""
    columns, column_weights = _neighbours(small[1], size[1])
    rows, row_weights = _neighbours(small[0], size[0])
    return Taps(
        (columns % small[1]).astype(np.uint32),
        column_weights,
        rows.clip(0, small[0] - 1),
        row_weights,
    )


def _neighbours(small: int, size: int) -> tuple[NDArray[np.int64], Floats]:
    """[2, size] indices, which may lie one beyond either end, and weights; half-pixel rule."""
    centre = (np.arange(size) + 0.5) * small / size - 0.5
    first = np.floor(centre).astype(np.int64)
    part = (centre - first).astype(np.float32)
    return np.stack([first, first + (small != size)]), np.stack([1 - part, part])
