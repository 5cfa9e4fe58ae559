"""A scan as one loop that numba compiles; scan.py says what the numbers mean."""
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np
from numba import boolean, float32, int64, void

from mtpano_model.inference.compiled import compiled, part
from mtpano_model.robot.places_kernel import by_longitude, places

_ZERO, _HALF, _NAN, _INFINITY = (np.float32(one) for one in (0, 0.5, np.nan, np.inf))
_NO_FLOOR = np.zeros(0, np.bool_)


@part
def _pixels(turn, across, sine, cosine, height, width, columns, rows, pixels, opposite):
    """The pixels of a panorama of height x width nearest to a row of turned rays, and those
    nearest to the rays the other way: a pixel's opposite is half a turn and the equator away."""
    places(turn, across, sine, cosine, height, width, columns, rows)
    last_row, last_column = np.int32(height - 1), np.int32(width - 1)
    half = np.int32(width // 2)
    for j in range(pixels.shape[0]):
        # Without the border; a place exactly on the far side of the last pixel belongs to it.
        row, column = np.int32(rows[j] - _HALF), np.int32(columns[j] - _HALF)
        row = last_row if row > last_row else row
        column = last_column if column > last_column else column
        across_column = column - half if column >= half else column + half
        pixels[j] = np.uint32(row * np.int32(width) + column)
        opposite[j] = np.uint32((last_row - row) * np.int32(width) + across_column)


@part
def _marked(depth, floor, out):
    """Copy depth [n] to out: negative where floor [n], which may be empty; NaN unless above 0."""
    for j in range(out.shape[0]):
        out[j] = depth[j] if depth[j] > _ZERO else _NAN
    if len(floor):
        for j in range(out.shape[0]):
            out[j] = -out[j] if floor[j] else out[j]


@part
def _take(seen, cosine, near, far, end, free, nearest):
    """Update free [N] and nearest [N] with a row of depths `seen` [N], as `_marked` gives them."""
    if end == end:
        for j in range(seen.shape[0]):
            free[j] = free[j] if abs(seen[j]) > end else np.uint8(0)
    for j in range(seen.shape[0]):
        reach = seen[j] * cosine
        hit = (seen[j] >= near) & (seen[j] <= far) & (reach < nearest[j])
        nearest[j] = reach if hit else nearest[j]


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
    """Fill ranges [N], metres and counter-clockwise, from n rows of rays.

    turn: [3, 3], depth is read along turn @ ray. turned: False if the rays are those of the depth
    itself, from row `first` on. latitudes [2, n], longitudes [2, N]: sine and cosine of the rows'
    latitudes and the ranges' longitudes. bands [3, n]: see scan._Band. depth: [H, W], metres along
    the ray. floor: [H, W], or of no rows.
    """
    (height, width), count, n = depth.shape, len(ranges), latitudes.shape[1]
    across = np.empty((3, count), np.float32)
    columns, rows = np.empty(count, np.float32), np.empty(count, np.float32)
    pixels, opposite = np.empty(count, np.uint32), np.empty(count, np.uint32)
    seen, nearest = np.empty(count, np.float32), np.full(count, _INFINITY)
    free = np.ones(count, np.uint8)
    metres = np.empty(height * width if turned else 0, np.float32)
    if turned:
        _marked(depth.reshape(-1), floor.reshape(-1), metres)
    by_longitude(turn, longitudes, across)
    for i in range(n):
        cosine, near, far, end = latitudes[1, i], bands[0, i], bands[1, i], bands[2, i]
        if not turned:
            _marked(depth[first + i], floor[first + i] if len(floor) else _NO_FLOOR, seen)
            _take(seen, cosine, near, far, end, free, nearest)
            continue
        # The row of the rays the other way is known with this one: half of the work.
        other = height - 1 - 2 * first - i
        paired = 0 <= other < n and other != i and count % 2 == 0
        if paired and other < i:
            continue
        _pixels(
            turn, across, latitudes[0, i], cosine, height, width, columns, rows, pixels, opposite
        )
        # Unsigned, so that no index is checked for counting from the end.
        for j in range(np.uint64(count)):
            seen[j] = metres[pixels[j]]
        _take(seen, cosine, near, far, end, free, nearest)
        if paired:
            half = np.uint64(count // 2)
            for j in range(half):
                seen[j], seen[j + half] = metres[opposite[j + half]], metres[opposite[j]]
            _take(seen, cosine, bands[0, other], bands[1, other], bands[2, other], free, nearest)
    for j in range(count):
        unknown = (nearest[j] == _INFINITY) & (free[j] == 0)
        ranges[count - 1 - j] = _NAN if unknown else nearest[j]
