"""postprocess_finished.py as loops that numba compiles.

They change depth and normals in place, while these are still in the cache after copying.
"""
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np
from numba import boolean, float32, int64, uint8

from mtpano_model.inference.compiled import compiled, part, sum_part
from mtpano_model.inference.postprocess_kernel import (
    count_not_finite,
    range_rules,
    set_where,
    set_where_nan,
)

_SHORTEST = np.float32(0.5)  # vectors shorter than this have no direction
_SQUARE = _SHORTEST * _SHORTEST
_ZERO, _ONE = np.float32(0), np.float32(1)
_NAN, _INFINITY = np.float32(np.nan), np.float32(np.inf)
_SMALLEST, _LARGEST = np.float32(1e-45), np.finfo(np.float32).max
# Unsigned, so that no index is checked for counting from the end.
_NEXT, _TWO, _THREE = np.uint64(1), np.uint64(2), np.uint64(3)


@sum_part
def _all_within(values, least, most):
    total = _ZERO  # vector instructions add numbers of one type alone
    for j in range(values.shape[0]):
        total += _ONE if (values[j] >= least) & (values[j] <= most) else _ZERO
    return total == np.float32(values.shape[0])


@part
def _any(flags):
    found = np.uint8(0)
    for j in range(flags.shape[0]):
        found |= flags[j]
    return found != 0


@part
def _apply_ranges(depth, min_range, max_range):
    for j in range(depth.shape[0]):
        value = depth[j]
        depth[j] = range_rules(value + value * _ZERO, min_range, max_range)


@sum_part
def _sum_of_squares(values):
    total = _ZERO
    for j in range(values.shape[0]):
        total += values[j] * values[j]
    return total


@sum_part
def _none_missing(scale):
    total = _ZERO
    for j in range(scale.shape[0]):
        total += scale[j]
    return total == np.float32(scale.shape[0])


@part
def _drop_directionless(vectors, scale):
    """Set vectors [3 n] to NaN that have no direction or no surface.

    scale: [n], 1, or NaN where there is no surface.
    """
    for j in range(np.uint64(scale.shape[0])):
        first = _THREE * j
        x, y, z = vectors[first], vectors[first + _NEXT], vectors[first + _TWO]
        square = x * x + y * y + z * z
        keep = scale[j] if square > _SQUARE else _NAN
        keep = keep if square < _INFINITY else _NAN
        vectors[first] = x * keep
        vectors[first + _NEXT] = y * keep
        vectors[first + _TWO] = z * keep


@compiled(
    int64(
        float32[:, ::1],
        float32[:, :, ::1],
        uint8[:, ::1],
        boolean[::1],
        float32,
        float32,
        uint8[:, ::1],
    )
)
def finish(depth, normals, labels, is_open, min_range, max_range, mask):
    """Apply the rules for special values, in place; returns how many values were not finite.

    depth: [n, W], metres. normals: [n, W, 3], unit vectors. labels: ids [n, W]. is_open: by id.
    min_range, max_range: metres. mask: [n, W], non-zero where there is no surface to be known.
    normals, is_open and mask have no rows if they are not given.
    """
    height, width = depth.shape
    least, most = max(min_range, _SMALLEST), min(max_range, _LARGEST)
    scale = np.empty(width, np.float32)
    flags = np.zeros(width, np.uint8)
    bad = 0
    for i in range(height):
        # Nearly all rows need no more than a look at each number.
        usual = _all_within(depth[i], least, most)
        if not usual:
            bad += count_not_finite(depth[i])
            _apply_ranges(depth[i], min_range, max_range)
        sky = False
        if len(is_open):
            for j in range(width):
                flags[j] = is_open[labels[i, j]]
            sky = _any(flags)
        if sky:
            set_where(flags, _INFINITY, depth[i])
        hidden = len(mask) > 0 and _any(mask[i])
        if hidden:
            set_where(mask[i], _NAN, depth[i])
        if len(normals):
            row = normals[i].reshape(-1)
            # The squares of unit vectors add up to their number; of a number that is none, to none.
            unit = abs(np.float32(width) - _sum_of_squares(row)) < _SHORTEST
            scale[:] = _ONE
            if not usual or hidden:
                set_where_nan(depth[i], scale)
            if sky:
                set_where(flags, _NAN, scale)
            if not (unit and ((usual and not sky and not hidden) or _none_missing(scale))):
                bad += count_not_finite(row)
                _drop_directionless(row, scale)
    return bad
