"""Copies arrays that a graph has finished at the frame's size, and applies the special values.

A GPU tail delivers metres, unit vectors and ids, so the host has nothing to interpolate or
normalise. It only writes the special values, in blocks that are still in the cache.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mtpano_model.inference.frame import Frame
from mtpano_model.inference.postprocess_rules import open_pixels

# Rows a pass: a block of depth and normals stays in the second-level cache.
_ROWS = 32
# Vectors shorter than this have no direction.
_SHORTEST = 0.5
_INFINITY = float("inf")
# What is not given has no rows.
_NO_VECTORS, _NO_MASK = np.empty((0, 0, 3), np.float32), np.empty((0, 0), np.uint8)
_NONE_OPEN = np.empty(0, bool)


def copy_finished(
    depth: NDArray[Any],
    normals: NDArray[Any] | None,
    is_open: NDArray[np.bool_] | None,
    ranges: tuple[float, float],
    mask: NDArray[np.bool_] | None,
    frame: Frame,
    kernel: ModuleType | None = None,
) -> int:
    """Copy depth [H, W] and normals [H, W, 3] into `frame`; returns how many were not finite.

    is_open: by id of `frame.labels`, which are filled already; None if no class is open. ranges:
    smallest and largest depth in metres. mask: [H, W], True where there is no surface to be known.
    kernel: the compiled loops, or None.
    """
    bad = 0
    for begin in range(0, len(depth), _ROWS):
        rows = slice(begin, begin + _ROWS)
        metres, vectors = frame.depth[rows], None
        np.copyto(metres, depth[rows])
        if normals is not None:
            vectors = frame.normals[rows]
            np.copyto(vectors, normals[rows])
        hidden = None if mask is None else mask[rows]
        given = metres, vectors, frame.labels[rows], is_open, ranges, hidden
        bad += _finish(*given) if kernel is None else _finish_compiled(kernel, *given)
    return bad


def _finish_compiled(
    kernel: ModuleType,
    metres: NDArray[Any],
    vectors: NDArray[Any] | None,
    labels: NDArray[Any],
    is_open: NDArray[np.bool_] | None,
    ranges: tuple[float, float],
    mask: NDArray[np.bool_] | None,
) -> int:
    bad: int = kernel.finish(
        metres,
        _NO_VECTORS if vectors is None else vectors,
        labels,
        _NONE_OPEN if is_open is None else is_open,
        np.float32(ranges[0]),
        np.float32(ranges[1]),
        _NO_MASK if mask is None else mask.view(np.uint8),
    )
    return bad


def _finish(
    metres: NDArray[Any],
    vectors: NDArray[Any] | None,
    labels: NDArray[Any],
    is_open: NDArray[np.bool_] | None,
    ranges: tuple[float, float],
    mask: NDArray[np.bool_] | None,
) -> int:
    """Apply the rules to some rows of a frame; how many values were not finite."""
    no_surface, bad = _apply_ranges(metres, ranges)
    if is_open is not None:
        sky = open_pixels(is_open, labels)
        if sky.any():
            np.copyto(metres, np.inf, where=sky)
            no_surface = sky if no_surface is None else no_surface | sky
    if mask is not None and mask.any():
        np.copyto(metres, np.nan, where=mask)
        no_surface = mask if no_surface is None else no_surface | mask
    if vectors is not None:
        bad += _drop_directionless(vectors)
        if no_surface is not None:
            vectors.reshape(-1, 3)[np.flatnonzero(no_surface)] = np.nan  # half of a mask's time
    return bad


def _apply_ranges(
    metres: NDArray[Any], ranges: tuple[float, float]
) -> tuple[NDArray[np.bool_] | None, int]:
    """Write the special depths; where there is no surface (None: nowhere), and how many unfit."""
    nearest, farthest = float(metres.min()), float(metres.max())
    no_surface, unfit = None, 0
    if not (nearest > 0 and farthest < _INFINITY):  # NaN is neither
        finite = np.isfinite(metres)
        no_surface = ~(finite & (metres > 0))
        unfit = int(metres.size - np.count_nonzero(finite))
    smallest, largest = ranges
    if not nearest >= smallest:
        np.copyto(metres, -np.inf, where=metres < smallest)
    if not farthest <= largest:
        np.copyto(metres, np.inf, where=metres > largest)
    if no_surface is not None:
        np.copyto(metres, np.nan, where=no_surface)
    return no_surface, unfit


def _drop_directionless(vectors: NDArray[Any]) -> int:
    """NaN for vectors of no length and for those that are no numbers; how many values were not.

    The squares of n unit vectors add up to n, so one sum tells that a block has neither.
    """
    # einsum takes twice as long; a product by BLAS might start threads.
    squares = cv2.norm(vectors.reshape(len(vectors), -1), cv2.NORM_L2SQR)
    if abs(vectors.size / 3 - squares) < _SHORTEST:
        return 0
    finite = np.isfinite(vectors)
    square = np.einsum("ijk,ijk->ij", vectors, vectors)
    vectors[~(square > _SHORTEST**2) | ~finite.all(axis=-1)] = np.nan
    return int(vectors.size - np.count_nonzero(finite))
