"""Packs points in one loop compiled by numba, in a third of the time of the numpy version.

Compiled when this module is first imported on a machine (some seconds), then read from a cache.
"""

from __future__ import annotations

import numpy as np
from numba import float32, int64, uint8, void
from numba.core.types import UniTuple

from mtpano_model.inference.compiled import compiled


@compiled(
    void(
        float32[:, ::1],
        float32[:, :, ::1],
        uint8[:, :, ::1],
        uint8[:, ::1],
        float32[:, ::1],
        float32[:, ::1],
        UniTuple(int64, 3),
        UniTuple(float32, 3),
        int64,
        int64,
        float32[:, :, ::1],
    )
)
def pack(depth, normals, picture, labels, rows, columns, source, sign, red, stride, out):  # type: ignore[no-untyped-def]
    """See point_cloud.CloudPacker.pack; rows [3, h] and columns [3, w] are the rays' factors."""
    bits = out.view(np.uint32)
    # Unsigned, so that no index is checked for counting from the end.
    first, step = np.uint64(stride // 2), np.uint64(stride)
    red, blue = np.uint64(red), np.uint64(2 - red)
    a, b, c = np.uint64(source[0]), np.uint64(source[1]), np.uint64(source[2])
    sign_x, sign_y, sign_z = sign
    for i in range(np.uint64(out.shape[0])):
        row = first + i * step
        row_x, row_y, row_z = rows[0, i], rows[1, i], rows[2, i]
        for j in range(np.uint64(out.shape[1])):
            column = first + j * step
            reach = depth[row, column]
            reach += reach * np.float32(0)  # NaN where infinite
            out[i, j, 0] = reach * row_x * columns[0, j]
            out[i, j, 1] = reach * row_y * columns[1, j]
            out[i, j, 2] = reach * row_z * columns[2, j]
            bits[i, j, 3] = (
                np.uint32(picture[row, column, red]) << np.uint32(16)
                | np.uint32(picture[row, column, 1]) << np.uint32(8)
                | np.uint32(picture[row, column, blue])
            )
            out[i, j, 4] = sign_x * normals[row, column, a]
            out[i, j, 5] = sign_y * normals[row, column, b]
            out[i, j, 6] = sign_z * normals[row, column, c]
            bits[i, j, 7] = labels[row, column]
