"""The loops of depth_finish.py in machine code, where numba is installed.

What takes time is how often the arrays are read: a step of the iteration reads five and writes one.
Every inner loop of it is one that the compiler turns into vector instructions. With depth of
256x512, all takes 20 ms of one thread for the 63 ms of the numpy way (4.3 for 17 ms with 128x256;
medians in turns).
"""
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np
from numba import float32, int64

from mtpano_model.inference.compiled import compiled, part
from mtpano_model.inference.depth_finish_plain import GRAZING

_ZERO, _ONE, _INFINITY = np.float32(0), np.float32(1), np.float32(np.inf)
_LEAST = np.float32(GRAZING**2)
# Between planes of scratch memory: a power of two would put them all into the same cache lines.
_APART = 272
_PLANE, _PLANES = float32[:, ::1], float32[:, :, ::1]


@part
def _facing(normals, i, j, ray, y, x):
    """-n.r; 0 for surfaces seen at too small an angle."""
    a, b, c = normals[0, i, j], normals[1, i, j], normals[2, i, j]
    facing = -(a * ray[0, y, x] + b * ray[1, y, x] + c * ray[2, y, x])
    if facing > _ZERO and facing * facing > _LEAST * (a * a + b * b + c * c):
        return facing
    return _ZERO


@part
def _bound(depth, normals, ray, next_depth, next_normals, next_ray, low, high):
    """Bounds of one row; those beside or below it are shifted views, so that nothing wraps."""
    for j in range(low.size):
        a, b, c = normals[0, j], normals[1, j], normals[2, j]
        d, e, f = next_normals[0, j], next_normals[1, j], next_normals[2, j]
        x, y, z = ray[0, j], ray[1, j], ray[2, j]
        u, v, w = next_ray[0, j], next_ray[1, j], next_ray[2, j]
        here, there = -(a * x + b * y + c * z), -(a * u + b * v + c * w)
        next_here, next_there = -(d * x + e * y + f * z), -(d * u + e * v + f * w)
        least, next_least = _LEAST * (a * a + b * b + c * c), _LEAST * (d * d + e * e + f * f)
        step = next_depth[j] / depth[j]
        known = (depth[j] > _ZERO) & (step > _ZERO) & (step < _INFINITY)
        known &= (here > _ZERO) & (there > _ZERO) & (next_here > _ZERO) & (next_there > _ZERO)
        known &= (here * here > least) & (there * there > least)
        known &= (next_here * next_here > next_least) & (next_there * next_there > next_least)
        one, other = here / there, next_here / next_there
        low[j] = (one if one < other else other) if known else _ZERO
        high[j] = (other if one < other else one) if known else _ZERO


@part
def _wrapped(planes):
    """[n, h, w] and the first column once more, [n, h, w + 1]."""
    count, height, width = planes.shape
    found = np.empty((count, height, width + 1), np.float32)
    found[:, :, :width] = planes
    found[:, :, width] = planes[:, :, 0]
    return found


@compiled(_PLANES(_PLANE, _PLANES, _PLANES))
def bounds(depth, normals, ray):
    """As `depth_finish_plain.bounds`."""
    height, width = depth.shape
    metres, vectors, rays = (
        _wrapped(depth.reshape(1, height, width)),
        _wrapped(normals),
        _wrapped(ray),
    )
    found = np.zeros((4, height, width), np.float32)
    for i in range(height):
        row = metres[0, i]
        _bound(
            row, vectors[:, i], rays[:, i], row[1:], vectors[:, i, 1:], rays[:, i, 1:],
            found[0, i], found[1, i],
        )  # fmt: skip
        if i + 1 < height:
            _bound(
                row, vectors[:, i], rays[:, i], metres[0, i + 1], vectors[:, i + 1],
                rays[:, i + 1], found[2, i], found[3, i],
            )  # fmt: skip
    return found


@part
def _blurred(depth, links, tolerance):
    """Which pixels are part of a blurred step, [h, w]."""
    height, width = depth.shape
    found = np.zeros((height, width), np.uint8)
    for i in range(height):
        after = i + 1 if i + 1 < height else 0
        for j in range(width):
            beside = j + 1 if j + 1 < width else 0
            own = depth[i, j]
            step, low, high = depth[i, beside] / own, links[0, i, j], links[1, i, j]
            if low > _ZERO and (step > high * tolerance or step * tolerance < low):
                found[i, j] = found[i, beside] = 1
            step, low, high = depth[after, j] / own, links[2, i, j], links[3, i, j]
            if low > _ZERO and (step > high * tolerance or step * tolerance < low):
                found[i, j] = found[after, j] = 1
    return found


@part
def _seen_beside(depth, normals, ray, blurred, i, j, down, right, reach):
    """The depth of the first sharp pixel in a direction, extended to the ray of i, j; or NaN."""
    height, width = depth.shape
    for distance in range(1, reach + 1):
        y, x = i + distance * down, (j + distance * right) % width
        if y < 0 or y >= height:
            break
        if not blurred[y, x]:
            here, there = _facing(normals, y, x, ray, y, x), _facing(normals, y, x, ray, i, j)
            extended = depth[y, x] * here / there
            if _ZERO < extended < _INFINITY:
                return extended
            break
    return np.float32(np.nan)


@compiled(_PLANE(_PLANE, _PLANES, _PLANES, _PLANES, float32, int64))
def sharpen(depth, normals, ray, links, tolerance, reach):
    """As `depth_finish_plain.sharpen`."""
    height, width = depth.shape
    blurred = _blurred(depth, links, tolerance)
    sharp = depth.copy()
    for i in range(height):
        for j in range(width):
            if not blurred[i, j]:
                continue
            own, best = depth[i, j], _INFINITY
            for down, right in ((0, 1), (1, 0)):
                one = _seen_beside(depth, normals, ray, blurred, i, j, down, right, reach)
                other = _seen_beside(depth, normals, ray, blurred, i, j, -down, -right, reach)
                if one <= own <= other or other <= own <= one:
                    for extended in (one, other):
                        off = abs(extended - own)
                        if off < best:
                            best, sharp[i, j] = off, extended
    return sharp


@part
def _lacking(step, low, high):
    """t, and whether it is known."""
    ratio = min(max(step, low), high) / step
    if low > _ZERO and _ZERO < ratio < _INFINITY:
        return np.log(ratio), _ONE
    return _ZERO, _ZERO


@compiled(_PLANES(_PLANE, _PLANES))
def missing(depth, links):
    """As `depth_finish_plain.missing`."""
    height, width = depth.shape
    found = np.empty((4, height, width), np.float32)
    for i in range(height):
        after = i + 1 if i + 1 < height else 0
        for j in range(width):
            beside = j + 1 if j + 1 < width else 0
            own = depth[i, j]
            value, known = _lacking(depth[i, beside] / own, links[0, i, j], links[1, i, j])
            found[0, i, j], found[2, i, j] = value, known
            value, known = _lacking(depth[after, j] / own, links[2, i, j], links[3, i, j])
            found[1, i, j], found[3, i, j] = value, known
    return found


@part
def _weight(linked, off, sharpness):
    share = _ONE / (_ONE + sharpness * off * off)
    return linked * share * share


@part
def _weigh(found, across, down, linked, linked_down, sharpness, right, below):
    """Weights of the differences to the right and below; below the last row nothing is linked."""
    height, width = found.shape
    for i in range(height):
        after = i + 1 if i + 1 < height else 0
        for j in range(width - 1):
            off = found[i, j + 1] - found[i, j] - across[i, j]
            right[i, j] = _weight(linked[i, j], off, sharpness)
        off = found[i, 0] - found[i, width - 1] - across[i, width - 1]
        right[i, width - 1] = _weight(linked[i, width - 1], off, sharpness)
        for j in range(width):
            off = found[after, j] - found[i, j] - down[i, j]
            below[i, j] = _weight(linked_down[i, j], off, sharpness)


@part
def _scale(found, across, down, stiffness, right, below, root, given, now):
    """The equations and the solution so far, scaled by the roots of the diagonal."""
    height, width = found.shape
    for i in range(height):
        over = i - 1 if i > 0 else height - 1
        for j in range(width):
            left = j - 1 if j > 0 else width - 1
            root[i, j] = np.sqrt(
                stiffness + right[i, j] + right[i, left] + below[i, j] + below[over, j]
            )
            given[i, j] = (
                right[i, left] * across[i, left]
                - right[i, j] * across[i, j]
                + below[over, j] * down[over, j]
                - below[i, j] * down[i, j]
            ) / root[i, j]
            now[i, j] = found[i, j] * root[i, j]
    for i in range(height):
        after = i + 1 if i + 1 < height else 0
        for j in range(width):
            beside = j + 1 if j + 1 < width else 0
            right[i, j] /= root[i, j] * root[i, beside]
            below[i, j] /= root[i, j] * root[after, j]


@part
def _step(now, before, right, below, given, omega):
    """The next values, written over those before the present ones."""
    height, width = now.shape
    last = width - 1
    for i in range(height):
        over = i - 1 if i > 0 else height - 1
        after = i + 1 if i + 1 < height else 0
        for j in range(1, last):
            new = right[i, j] * now[i, j + 1] + right[i, j - 1] * now[i, j - 1] + given[i, j]
            new += below[i, j] * now[after, j] + below[over, j] * now[over, j] - before[i, j]
            before[i, j] += omega * new
        around = right[i, 0] * now[i, 1] + right[i, last] * now[i, last] + given[i, 0]
        around += below[i, 0] * now[after, 0] + below[over, 0] * now[over, 0] - before[i, 0]
        before[i, 0] += omega * around
        around = right[i, last] * now[i, 0] + right[i, last - 1] * now[i, last - 1]
        around += below[i, last] * now[after, last] + below[over, last] * now[over, last]
        before[i, last] += omega * (around + given[i, last] - before[i, last])


@part
def _plane(line, like):
    return line[: like.size].reshape(like.shape)


@compiled(_PLANE(_PLANE, _PLANES, float32, float32, _PLANE))
def solve(found, missing, stiffness, sharpness, factors):
    """As `depth_finish_plain.solve`."""
    across, down, linked, linked_down = missing[0], missing[1], missing[2], missing[3]
    height, width = across.shape
    found = found.copy()
    scratch = np.empty((6, height * width + _APART), np.float32)
    right, below = _plane(scratch[0], found), _plane(scratch[1], found)
    root, given = _plane(scratch[2], found), _plane(scratch[3], found)
    now, before = _plane(scratch[4], found), _plane(scratch[5], found)
    for omegas in factors:
        _weigh(found, across, down, linked, linked_down, sharpness, right, below)
        _scale(found, across, down, stiffness, right, below, root, given, now)
        before[:] = now
        for k in range(0, len(omegas), 2):  # names that change places would not be vectorised
            _step(now, before, right, below, given, omegas[k])
            _step(before, now, right, below, given, omegas[k + 1])
        found[:] = now / root
    return found
