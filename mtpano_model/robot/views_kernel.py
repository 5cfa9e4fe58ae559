"""Taking a view's pixels out of a panorama, as loops of machine code, where numba is installed.

A view's pixel (i, j) is the panorama's pixel of number rows[i, j] + columns[j], see views.py.
"""
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np
from numba import float32, uint8, uint32, void

from mtpano_model.inference.compiled import compiled

_ONE, _TWO, _THREE = np.uint64(1), np.uint64(2), np.uint64(3)
_TABLES = uint32[:, ::1], uint32[::1]  # rows, columns


@compiled(void(float32[::1], *_TABLES, float32[:, ::1], float32[:, ::1]))
def take_depth(depth, rows, columns, cosines, out):
    """out [h, w] is depth of these pixels, each times its cosine."""
    # Unsigned, so that no index is checked for counting from the end. All but the taking itself
    # becomes vector instructions, if it has loops of its own.
    width = np.uint64(out.shape[1])
    numbers = np.empty(width, np.uint32)
    for i in range(np.uint64(out.shape[0])):
        for j in range(width):
            numbers[j] = rows[i, j] + columns[j]
        for j in range(width):
            out[i, j] = depth[numbers[j]]
        for j in range(width):
            out[i, j] *= cosines[i, j]


@compiled(void(uint8[::1], *_TABLES, uint8[:, ::1]))
def take_colors(picture, rows, columns, out):
    """out [h, 3 w] is the three bytes of each of these pixels."""
    for i in range(np.uint64(rows.shape[0])):
        for j in range(np.uint64(rows.shape[1])):
            p, q = np.uint64(rows[i, j] + columns[j]) * _THREE, j * _THREE
            out[i, q] = picture[p]
            out[i, q + _ONE] = picture[p + _ONE]
            out[i, q + _TWO] = picture[p + _TWO]
