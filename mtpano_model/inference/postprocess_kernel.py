"""Postprocessing as loops that numba compiles; postprocess.py says what the numbers mean.

Without them a frame of 512x1024 takes 2.5 times as long, and one of 256x512 1.6 times (outputs of
the bundled model, processor time of one thread, beside other work). This matters if the network
runs on a GPU; beside a network on the processor it is two per cent.

Each row of the frame is computed in buffers that stay in the first-level cache, so every array of
the frame is written once and never read. There are several loops per row, because the compiler
turns only simple loops into vector instructions.
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
    """How many of the float32 values [n] are NaN or infinite."""
    bad = 0
    for j in range(values.shape[0]):
        bad += values[j] * _ZERO != _ZERO
    return bad


@part
def _double(row, out):
    """Interpolate a row [w], which wraps, into out [2 w], without tables of indices."""
    width = np.uint64(row.shape[0])
    out[0] = row[width - _NEXT] * _QUARTER + row[0] * _REST
    for j in range(width - _NEXT):
        left, right = row[j], row[j + _NEXT]
        out[_TWO * j + _NEXT] = left * _REST + right * _QUARTER
        out[_TWO * j + _TWO] = left * _QUARTER + right * _REST
    out[_TWO * width - _NEXT] = row[width - _NEXT] * _REST + row[0] * _QUARTER


@part
def _widen(row, columns, weights, out):
    """Interpolate a row [w] into out [W] by taps [2, W]; infinities become NaN."""
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
    """Rows [3, W] of vectors above and below -> line [4, W]: x, y, z, and 1 / length."""
    for j in range(width):
        x = above[0, j] * upper + below[0, j] * lower
        y = above[1, j] * upper + below[1, j] * lower
        z = above[2, j] * upper + below[2, j] * lower
        line[0, j], line[1, j], line[2, j] = x, y, z
        line[3, j] = _ONE / np.sqrt(x * x + y * y + z * z)


@part
def range_rules(metres, min_range, max_range):
    """Metres with -Inf below min_range, +Inf above max_range, and NaN unless above 0."""
    told = -_INFINITY if metres < min_range else metres
    told = _INFINITY if metres > max_range else told
    return told if metres > _ZERO else _NAN


@part
def _interpolate_depth(above, below, upper, lower, min_range, max_range, depth):
    for j in range(depth.shape[0]):
        depth[j] = range_rules(above[j] * upper + below[j] * lower, min_range, max_range)


@part
def set_where_nan(depth, scale):
    """Set scale [n] to NaN where depth [n] is NaN, in place."""
    for j in range(depth.shape[0]):
        scale[j] = _NAN if depth[j] != depth[j] else scale[j]


@part
def set_where(flags, value, out):
    """Set out [n] to `value` where flags [n] are not 0, in place."""
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
    """Interpolate row `row` of planes [n, h, w] into wide[row & 1], unless it is there already.

    Returns how many values are not finite in the rows since the last call, whose rows a smaller
    frame skips in part. held: the two rows that `wide` holds.
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
    """Fill depth [H, W] and normals [H, W, 3]; returns how many of the values read are not finite.

    depths: [1, h, w], metres. vectors: [3, h, w], of any length. Each has its taps, the two
    neighbours to interpolate between: columns [2, W] and rows [2, H], with their weights.
    min_range, max_range: metres. labels: ids [H, W]. is_open: by id, whether depth is +Inf there;
    empty if no class is open. mask: [H, W], non-zero where there is no surface to be known, or of
    no rows. normals: [H, W, 3] unit vectors in the frame of `vectors`, or of no rows.
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
