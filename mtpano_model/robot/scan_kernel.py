"""A scan as one loop of machine code, where numba is installed. What the numbers mean: scan.py."""
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np
from numba import boolean, float32, int64, void

from mtpano_model.inference.compiled import compiled, part
from mtpano_model.robot.places_kernel import by_longitude, places

_ZERO, _HALF, _NAN, _INFINITY = (np.float32(one) for one in (0, 0.5, np.nan, np.inf))
_NO_FLOOR = np.zeros(0, np.bool_)


@part
def _pixels(turn, across, sine, cosine, height, width, columns, rows, pixels):
    """The pixels of a panorama of height x width nearest to a row of turned rays."""
    places(turn, across, sine, cosine, height, width, columns, rows)
    last_row, last_column = np.int32(height - 1), np.int32(width - 1)
    for j in range(pixels.shape[0]):
        # Without the border; a place exactly on the far side of the last pixel belongs to it.
        row, column = np.int32(rows[j] - _HALF), np.int32(columns[j] - _HALF)
        row = last_row if row > last_row else row
        column = last_column if column > last_column else column
        pixels[j] = np.uint32(row * np.int32(width) + column)


@part
def _marked(depth, floor, out):
    """Depths, of floor below zero, of what is too near NaN. floor may be empty."""
    for j in range(out.shape[0]):
        out[j] = depth[j] if depth[j] > _ZERO else _NAN
    if len(floor):
        for j in range(out.shape[0]):
            out[j] = -out[j] if floor[j] else out[j]


@compiled(
    void(
        float32[:, ::1],
        boolean,
        int64,
        float32[:, ::1],
        float32[:, ::1],
        float32[:, ::1],
        float32[:, ::1],
        boolean[:, ::1],
        float32[::1],
    )
)
def scan(turn, turned, first, latitudes, longitudes, bands, depth, floor, ranges):
    """Fill ranges [N], counter-clockwise, from rows of turn @ ray into depth [H, W].

    turned: otherwise the rays are the depth's own, from row `first` on. latitudes [2, n] and
    longitudes [2, N]: sine and cosine of the rows' and the ranges'. bands [3, n]: see scan._Band.
    floor: [H, W] or of no rows.
    """
    count, (height, width) = len(ranges), depth.shape
    across = np.empty((3, count), np.float32)
    columns, rows = np.empty(count, np.float32), np.empty(count, np.float32)
    pixels, seen = np.empty(count, np.uint32), np.empty(count, np.float32)
    free, nearest = np.ones(count, np.uint8), np.full(count, _INFINITY)
    metres = np.empty(height * width if turned else 0, np.float32)
    if turned:
        _marked(depth.reshape(-1), floor.reshape(-1), metres)
    by_longitude(turn, longitudes, across)
    for i in range(latitudes.shape[1]):
        cosine, near, far, end = latitudes[1, i], bands[0, i], bands[1, i], bands[2, i]
        if turned:
            _pixels(turn, across, latitudes[0, i], cosine, height, width, columns, rows, pixels)
            # Unsigned, so that no index is checked for counting from the end.
            for j in range(np.uint64(count)):
                seen[j] = metres[pixels[j]]
        else:
            _marked(depth[first + i], floor[first + i] if len(floor) else _NO_FLOOR, seen)
        if end == end:
            for j in range(count):
                free[j] = free[j] if abs(seen[j]) > end else np.uint8(0)
        for j in range(count):
            reach = seen[j] * cosine
            hit = (seen[j] >= near) & (seen[j] <= far) & (reach < nearest[j])
            nearest[j] = reach if hit else nearest[j]
    for j in range(count):
        unknown = (nearest[j] == _INFINITY) & (free[j] == 0)
        ranges[count - 1 - j] = _NAN if unknown else nearest[j]
