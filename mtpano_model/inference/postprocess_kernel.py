"""Postprocessing as loops of machine code, where numba is installed.

A frame of 512x1024 takes 2.5 times as long without them, one of 256x512 1.6 times (the bundled
model's outputs; processor time of one thread, beside other work), which counts where the network
runs on a GPU; beside a network on the processor it is two per cent.

A row of the frame is put together in buffers that stay in the first-level cache, so that every
array of the frame is written once and never read. Each loop does what the compiler turns into
vector instructions; hence there are several a row. What the numbers mean: postprocess.py.
"""
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np
from numba import boolean, float32, int64, uint8, uint32

from mtpano_model.inference.compiled import compiled, part

# Between the rows of scratch memory: a power of two would put them all into the same cache lines.
_APART = 48
_ZERO, _ONE = np.float32(0), np.float32(1)
_QUARTER, _REST = np.float32(0.25), np.float32(0.75)
# Unsigned, so that no index is checked for counting from the end.
_NEXT, _TWO, _THREE = np.uint64(1), np.uint64(2), np.uint64(3)
_NAN, _INFINITY = np.float32(np.nan), np.float32(np.inf)


@part
def count_not_finite(values):
    bad = 0
    for j in range(values.shape[0]):
        bad += values[j] * _ZERO != _ZERO
    return bad


@part
def _double(row, out):
    """[w] -> [2 w], at a quarter and three quarters of the way: no index has to be looked up."""
    width = np.uint64(row.shape[0])
    out[0] = row[width - _NEXT] * _QUARTER + row[0] * _REST
    for j in range(width - _NEXT):
        left, right = row[j], row[j + _NEXT]
        out[_TWO * j + _NEXT] = left * _REST + right * _QUARTER
        out[_TWO * j + _TWO] = left * _QUARTER + right * _REST
    out[_TWO * width - _NEXT] = row[width - _NEXT] * _REST + row[0] * _QUARTER


@part
def _widen(row, columns, weights, out):
    """[w] -> [W], NaN where it is infinite."""
    if out.shape[0] == 2 * row.shape[0]:
        _double(row, out)
    elif out.shape[0] == row.shape[0]:
        out[:] = row
    else:
        for j in range(out.shape[0]):
            out[j] = row[columns[0, j]] * weights[0, j] + row[columns[1, j]] * weights[1, j]
    for j in range(out.shape[0]):
        out[j] += out[j] * _ZERO


@part
def _interpolate_normals(above, below, upper, lower, width, line):
    """x, y, z into line[0..2], one over their length into line[3]."""
    for j in range(width):
        x = above[0, j] * upper + below[0, j] * lower
        y = above[1, j] * upper + below[1, j] * lower
        z = above[2, j] * upper + below[2, j] * lower
        line[0, j], line[1, j], line[2, j] = x, y, z
        line[3, j] = _ONE / np.sqrt(x * x + y * y + z * z)


@part
def range_rules(metres, min_range, max_range):
    """Depth by the rules of the ranges, NaN where there is no surface."""
    told = -_INFINITY if metres < min_range else metres
    told = _INFINITY if metres > max_range else told
    return told if metres > _ZERO else _NAN


@part
def _interpolate_depth(above, below, upper, lower, min_range, max_range, depth):
    for j in range(depth.shape[0]):
        depth[j] = range_rules(above[j] * upper + below[j] * lower, min_range, max_range)


@part
def set_where_nan(depth, scale):
    for j in range(depth.shape[0]):
        scale[j] = _NAN if depth[j] != depth[j] else scale[j]


@part
def set_where(flags, value, out):
    for j in range(flags.shape[0]):
        out[j] = value if flags[j] else out[j]


@part
def _interleave(line, out):
    for j in range(np.uint64(out.shape[0] // 3)):
        scale, first = line[3, j], _THREE * j
        out[first] = line[0, j] * scale
        out[first + _NEXT] = line[1, j] * scale
        out[first + _TWO] = line[2, j] * scale


@part
def _hold(row, planes, columns, weights, held, wide):
    """Widen row `row` of each plane into wide[row & 1], unless it is there already.

    How many values in the rows since the last one are not finite; a smaller frame skips rows.
    """
    bad = 0
    if held[row & 1] != row:
        width = columns.shape[1]
        for plane in range(planes.shape[0]):
            for passed in range(max(held[0], held[1]) + 1, row + 1):
                bad += count_not_finite(planes[plane, passed])
            _widen(planes[plane, row], columns, weights, wide[row & 1, plane, :width])
        held[row & 1] = row
    return bad


@part
def _count_after(planes, held):
    bad = 0
    for plane in range(planes.shape[0]):
        for row in range(max(held[0], held[1]) + 1, planes.shape[1]):
            bad += count_not_finite(planes[plane, row])
    return bad


@compiled(
    int64(
        *(float32[:, :, ::1], uint32[:, ::1], float32[:, ::1], int64[:, ::1], float32[:, ::1]) * 2,
        float32,
        float32,
        uint8[:, ::1],
        boolean[::1],
        uint8[:, ::1],
        float32[:, ::1],
        float32[:, :, ::1],
    )
)
def fill(
    depths, depth_columns, depth_column_weights, depth_rows, depth_row_weights,
    vectors, columns, column_weights, rows, row_weights,
    min_range, max_range, labels, is_open, mask, depth, normals,
):  # fmt: skip
    """Fill depth [H, W] and normals [H, W, 3], which may have no rows; how many of the values that
    were read are not finite.

    depths [1, h, w], vectors [3, h, w], each with its taps: columns [2, W], rows [2, H], the two
    neighbours to interpolate between, and their weights. labels [H, W], of whose ids is_open tells
    which are open; is_open is empty where no class is. mask: non-zero where nothing is to be seen,
    [H, W] or of no rows.
    """
    height, width = depth.shape
    wide_depth = np.empty((2, 1, width + _APART), np.float32)
    wide = np.empty((2, 3, width + _APART), np.float32)
    held_depth, held = np.full(2, -1), np.full(2, -1)
    line = np.empty((4, width + _APART), np.float32)
    flags = np.zeros(width, np.uint8)
    bad = 0
    for i in range(height):
        for row in depth_rows[:, i]:
            bad += _hold(row, depths, depth_columns, depth_column_weights, held_depth, wide_depth)
        if len(normals):
            for row in rows[:, i]:
                bad += _hold(row, vectors, columns, column_weights, held, wide)
            _interpolate_normals(
                wide[rows[0, i] & 1], wide[rows[1, i] & 1],
                row_weights[0, i], row_weights[1, i], width, line,
            )  # fmt: skip
        _interpolate_depth(
            wide_depth[depth_rows[0, i] & 1, 0], wide_depth[depth_rows[1, i] & 1, 0],
            depth_row_weights[0, i], depth_row_weights[1, i], min_range, max_range, depth[i],
        )  # fmt: skip
        set_where_nan(depth[i], line[3])
        if len(is_open):
            for j in range(width):
                flags[j] = is_open[labels[i, j]]
            set_where(flags, _INFINITY, depth[i])
            set_where(flags, _NAN, line[3])
        if len(mask):
            set_where(mask[i], _NAN, depth[i])
            set_where(mask[i], _NAN, line[3])
        if len(normals):
            _interleave(line, normals[i].reshape(-1))
    bad += _count_after(depths, held_depth)
    return bad + _count_after(vectors, held) if len(normals) else bad
