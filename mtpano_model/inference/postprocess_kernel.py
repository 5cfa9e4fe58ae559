"""Postprocessing as loops of machine code, where numba is installed: half the time.

A row of the frame is put together in buffers that stay in the first-level cache, so that every
array of the frame is written once and never read. Each loop does what the compiler turns into
vector instructions; hence there are several a row. What the numbers mean: postprocess.py.
"""
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np
from numba import boolean, float32, int64, uint8, uint32, void

from mtpano_model.inference.compiled import compiled, part

_BLOCK = 1024
# Between the rows of scratch memory: a power of two would put them all into the same cache lines.
_APART = 48
_ZERO, _ONE = np.float32(0), np.float32(1)
_NAN, _INFINITY = np.float32(np.nan), np.float32(np.inf)


@part
def _take_better(logits, best, ids, index):
    for j in range(logits.shape[0]):
        logit, top = logits[j], best[j]
        ids[j] = index if logit > top else ids[j]
        top = logit if logit > top else top
        best[j] = top if logit == logit else logit  # NaN stays NaN, so one look at the end finds it


@compiled(int64(float32[:, ::1], uint8, uint8[::1]))
def argmax(logits, unlabelled, labels):
    """As postprocess.argmax_labels: logits [C, n] into labels [n]; how many were not finite."""
    classes, pixels = logits.shape
    best = np.empty(_BLOCK, np.float32)
    ids = np.empty(_BLOCK, np.int32)
    bad = 0
    for begin in range(0, pixels, _BLOCK):
        size = min(_BLOCK, pixels - begin)
        best[:size] = logits[0, begin : begin + size]
        ids[:size] = 0
        for index in range(1, classes):
            _take_better(logits[index, begin : begin + size], best, ids, np.int32(index))
        for j in range(size):
            finite = np.isfinite(best[j])
            labels[begin + j] = np.uint8(ids[j]) if finite else unlabelled
            bad += not finite
    return bad


@part
def _widen(plane, columns, weights, out):
    for j in range(columns.shape[1]):
        out[j] = plane[columns[0, j]] * weights[0, j] + plane[columns[1, j]] * weights[1, j]


@part
def _take(row, columns, out):
    for j in range(out.shape[0]):
        out[j] = row[columns[j]]


@part
def _interpolate_normals(above, below, upper, lower, width, line):
    """x, y, z into line[0..2], one over their length into line[3]."""
    for j in range(width):
        x = above[1, j] * upper + below[1, j] * lower
        y = above[2, j] * upper + below[2, j] * lower
        z = above[3, j] * upper + below[3, j] * lower
        line[0, j], line[1, j], line[2, j] = x, y, z
        line[3, j] = _ONE / np.sqrt(x * x + y * y + z * z)


@part
def _interpolate_depth(above, below, upper, lower, min_range, max_range, depth):
    """Depth by the rules of the ranges, NaN where there is no surface."""
    for j in range(depth.shape[0]):
        metres = above[j] * upper + below[j] * lower
        told = -_INFINITY if metres < min_range else metres
        told = _INFINITY if metres > max_range else told
        depth[j] = told if metres > _ZERO else _NAN


@part
def _set_where_nan(depth, scale):
    for j in range(depth.shape[0]):
        scale[j] = _NAN if depth[j] != depth[j] else scale[j]


@part
def _set_where(flags, value, out):
    for j in range(flags.shape[0]):
        out[j] = value if flags[j] else out[j]


@part
def _interleave(line, out):
    # Unsigned, so that no index is checked for counting from the end.
    for j in range(np.uint64(out.shape[0] // 3)):
        scale, first = line[3, j], np.uint64(3) * j
        out[first] = line[0, j] * scale
        out[first + np.uint64(1)] = line[1, j] * scale
        out[first + np.uint64(2)] = line[2, j] * scale


@compiled(
    void(
        float32[:, :, ::1],
        uint8[:, ::1],
        uint32[:, ::1],
        float32[:, ::1],
        int64[:, ::1],
        float32[:, ::1],
        uint32[::1],
        int64[::1],
        float32,
        float32,
        boolean[::1],
        uint8[:, ::1],
        float32[:, ::1],
        float32[:, :, ::1],
        uint8[:, ::1],
    )
)
def fill(
    planes, small_labels, columns, column_weights, rows, row_weights, label_columns, label_rows,
    min_range, max_range, is_open, mask, depth, normals, labels,
):  # fmt: skip
    """Fill depth [H, W], normals [H, W, 3] and labels [H, W].

    planes: [4, h, w], depth and the normal's components, finite or NaN. small_labels: [h, w].
    columns [2, W], rows [2, H]: the two neighbours to interpolate between, and their weights.
    label_columns [W], label_rows [H]: the nearest pixel. is_open: by label, empty where no class is
    open. mask: non-zero where nothing is to be seen, [H, W] or of no rows.
    """
    height, width = depth.shape
    # Two rows of the planes at the frame's width, and which ones: neighbours have unlike parity.
    wide = np.empty((2, 4, width + _APART), np.float32)
    held = np.full(2, -1)
    line = np.empty((4, width + _APART), np.float32)
    flags = np.zeros(width, np.uint8)
    label_row = np.int64(-1)
    for i in range(height):
        for row in rows[:, i]:
            if held[row & 1] != row:
                held[row & 1] = row
                for plane in range(4):
                    _widen(planes[plane, row], columns, column_weights, wide[row & 1, plane])
        if label_rows[i] == label_row:
            labels[i] = labels[i - 1]
        else:
            label_row = label_rows[i]
            _take(small_labels[label_row], label_columns, labels[i])
        above, below = wide[rows[0, i] & 1], wide[rows[1, i] & 1]
        upper, lower = row_weights[0, i], row_weights[1, i]
        _interpolate_normals(above, below, upper, lower, width, line)
        _interpolate_depth(above[0], below[0], upper, lower, min_range, max_range, depth[i])
        _set_where_nan(depth[i], line[3])
        if len(is_open):
            for j in range(width):
                flags[j] = is_open[labels[i, j]]
            _set_where(flags, _INFINITY, depth[i])
            _set_where(flags, _NAN, line[3])
        if len(mask):
            _set_where(mask[i], _NAN, depth[i])
            _set_where(mask[i], _NAN, line[3])
        _interleave(line, normals[i].reshape(-1))
