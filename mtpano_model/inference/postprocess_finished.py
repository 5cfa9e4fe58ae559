"""Arrays that a graph has finished at the frame's size: copied once, looked at while in the cache.

A GPU tail delivers metres, unit vectors and ids, so the host has nothing to split, interpolate or
normalise; what it alone knows are the special values.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtpano_model.inference.frame import Frame

# Rows a pass: a block of depth and normals stays in the second-level cache.
_ROWS = 64
# Vectors shorter than this have no direction.
_SHORTEST = 0.5


def copy_finished(
    depth: NDArray[Any],
    normals: NDArray[Any] | None,
    is_open: NDArray[np.bool_] | None,
    ranges: tuple[float, float],
    mask: NDArray[np.bool_] | None,
    frame: Frame,
) -> int:
    """Copy depth [H, W] and normals [H, W, 3] into `frame`; how many values were not finite.

    is_open: by label, of `frame.labels`, which are filled already; None where no class is open.
    ranges: smallest and largest depth in metres. mask: [H, W], True where nothing is to be seen.
    """
    bad = 0
    for begin in range(0, len(depth), _ROWS):
        rows = slice(begin, begin + _ROWS)
        metres = frame.depth[rows]
        np.copyto(metres, depth[rows])
        no_surface, unfit = _apply_ranges(metres, ranges)
        bad += unfit
        if is_open is not None:
            sky = np.take(is_open, frame.labels[rows])
            if sky.any():
                metres[sky] = np.inf
                no_surface = sky if no_surface is None else no_surface | sky
        if mask is not None and mask[rows].any():
            metres[mask[rows]] = np.nan
            no_surface = mask[rows] if no_surface is None else no_surface | mask[rows]
        if normals is not None:
            vectors = frame.normals[rows]
            np.copyto(vectors, normals[rows])
            bad += _drop_directionless(vectors)
            if no_surface is not None:
                vectors[no_surface] = np.nan
    return bad


def _apply_ranges(
    metres: NDArray[Any], ranges: tuple[float, float]
) -> tuple[NDArray[np.bool_] | None, int]:
    """Write the special depths; where there is no surface (None: nowhere), and how many unfit."""
    nearest, farthest = metres.min(), metres.max()
    smallest, largest = ranges
    if nearest > 0 and nearest >= smallest and farthest <= largest and farthest < np.inf:
        return None, 0
    finite = np.isfinite(metres)
    no_surface = ~(finite & (metres > 0))
    if smallest > 0:
        metres[metres < smallest] = -np.inf
    if largest < np.inf:
        metres[metres > largest] = np.inf
    metres[no_surface] = np.nan
    return no_surface if no_surface.any() else None, int(metres.size - np.count_nonzero(finite))


def _drop_directionless(vectors: NDArray[Any]) -> int:
    """NaN for vectors of no length and for those that are no numbers; how many values were not.

    The squares of n unit vectors add up to n, so one sum tells that a block has neither.
    """
    flat = vectors.reshape(-1)
    missing = flat.size / 3 - float(np.einsum("i,i->", flat, flat))
    if abs(missing) < _SHORTEST:
        return 0
    finite = np.isfinite(vectors)
    square = np.einsum("ijk,ijk->ij", vectors, vectors)
    vectors[~(square > _SHORTEST**2) | ~finite.all(axis=-1)] = np.nan
    return int(vectors.size - np.count_nonzero(finite))
