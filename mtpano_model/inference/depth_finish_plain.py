"""The loops of depth_finish.py in numpy, where numba is missing.

Everywhere, columns wrap, and after the last row comes nothing. Divisions by zero and overflows are
expected, so the caller ignores numpy's warnings.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
# Of a surface seen at less than 2 degrees the normal says nothing.
GRAZING = 0.03


def bounds(depth: Floats, normals: Floats, ray: Floats) -> Floats:
    """Bounds of next depth / depth by the planes of both pixels, [4, h, w].

    depth: [h, w]; normals, of any length, and ray: [3, h, w]. The lower and the upper bound to the
    right, then those below. Both are 0 where nothing is known.
    """
    found = np.empty((4, *depth.shape), np.float32)
    for first, axis in ((0, 1), (2, 0)):
        next_ray, next_normals = np.roll(ray, -1, axis + 1), np.roll(normals, -1, axis + 1)
        step = np.roll(depth, -1, axis) / depth
        known = (depth > 0) & (step > 0) & (step < np.inf)
        ratios = []
        for normal in (normals, next_normals):
            here, there = _facing(normal, ray), _facing(normal, next_ray)
            known &= (here > 0) & (there > 0)
            ratios.append(here / there)
        if axis == 0:
            known[-1] = False
        found[first] = np.where(known, np.minimum(*ratios), 0)
        found[first + 1] = np.where(known, np.maximum(*ratios), 0)
    return found


def sharpen(
    depth: Floats, normals: Floats, ray: Floats, links: Floats, tolerance: np.float32, reach: int
) -> Floats:
    """Depth whose blurred steps are sharp, [h, w].

    links: of `bounds`. tolerance: how much beyond its bounds (as a factor) a link is a step.
    reach: pixels that a blurred step is wide at most.
    """
    blurred = np.zeros(depth.shape, bool)
    for first, axis in ((0, 1), (2, 0)):
        low, high = links[first], links[first + 1]
        step = np.roll(depth, -1, axis) / depth
        beyond = (low > 0) & ((step > high * tolerance) | (step * tolerance < low))
        blurred |= beyond | np.roll(beyond, 1, axis)
    rows, columns = np.nonzero(blurred)
    own = depth[rows, columns]
    taken, best = own.copy(), np.full(own.shape, np.inf, np.float32)
    for down, right in ((0, 1), (1, 0)):
        one, other = (
            _seen_beside(depth, normals, ray, blurred, sign * down, sign * right, reach)
            for sign in (1, -1)
        )
        between = (np.minimum(one, other) <= own) & (own <= np.maximum(one, other))
        for extended in (one, other):
            off = np.abs(extended - own)
            closer = between & (off < best)
            best[closer], taken[closer] = off[closer], extended[closer]
    sharp = depth.copy()
    sharp[rows, columns] = taken
    return sharp


def _seen_beside(
    depth: Floats,
    normals: Floats,
    ray: Floats,
    blurred: NDArray[np.bool_],
    down: int,
    right: int,
    reach: int,
) -> Floats:
    """Of all n blurred pixels, the depth of the first sharp one in a direction, extended to the
    blurred one's ray, [n]; NaN where there is none."""
    height, width = depth.shape
    rows, columns = np.nonzero(blurred)
    found = np.full(rows.shape, np.nan, np.float32)
    looking = np.arange(rows.size)
    for distance in range(1, reach + 1):
        at = rows[looking] + distance * down
        looking, at = looking[(at >= 0) & (at < height)], at[(at >= 0) & (at < height)]
        beside = (columns[looking] + distance * right) % width
        ends = ~blurred[at, beside]
        seen, at, beside = looking[ends], at[ends], beside[ends]
        looking = looking[~ends]
        normal, own_ray = normals[:, at, beside], ray[:, rows[seen], columns[seen]]
        here, there = _facing(normal, ray[:, at, beside]), _facing(normal, own_ray)
        extended = depth[at, beside] * here / there
        good = (extended > 0) & (extended < np.inf)
        found[seen[good]] = extended[good]
    return found


def missing(depth: Floats, links: Floats) -> Floats:
    """t to the right and below, then 1 where each is known, else 0; [4, h, w]."""
    found = np.empty_like(links)
    for at, axis in ((0, 1), (1, 0)):
        low, high = links[2 * at], links[2 * at + 1]
        step = np.roll(depth, -1, axis) / depth
        ratio = np.clip(step, low, high) / step
        known = (low > 0) & (ratio > 0) & (ratio < np.inf)
        found[at], found[at + 2] = np.log(np.where(known, ratio, np.float32(1))), known
    return found


def solve(
    found: Floats,
    missing: Floats,
    stiffness: np.float32,
    sharpness: np.float32,
    factors: NDArray[np.float32],
) -> Floats:
    """c, [h, w], improved from `found`.

    missing: as `missing` gives it. sharpness: JUMP^-2. factors: [n, k], of k steps of Chebyshev's
    iteration in each of n rounds.
    """
    across, down, linked, linked_down = missing
    for omegas in factors:
        right = linked / np.square(1 + sharpness * np.square(_next(found, 1) - found - across))
        below = linked_down / np.square(1 + sharpness * np.square(_next(found, 0) - found - down))
        root = np.sqrt(stiffness + right + _before(right, 1) + below + _before(below, 0))
        flow, fall = right * across, below * down
        given = (_before(flow, 1) - flow + _before(fall, 0) - fall) / root
        right, below = right / (root * _next(root, 1)), below / (root * _next(root, 0))
        left, above = _before(right, 1), _before(below, 0)
        now = before = found * root
        for omega in omegas:
            after = right * _next(now, 1) + left * _before(now, 1) + given - before
            after += below * _next(now, 0) + above * _before(now, 0)
            before, now = now, omega * after + before
        found = now / root
    return found


def _facing(normal: Floats, ray: Floats) -> Floats:
    """-n.r, [...], of any length; 0 for surfaces seen at too small an angle. Both [3, ...]."""
    facing = -(normal[0] * ray[0] + normal[1] * ray[1] + normal[2] * ray[2])
    length = normal[0] * normal[0] + normal[1] * normal[1] + normal[2] * normal[2]
    seen = (facing > 0) & (facing * facing > np.float32(GRAZING**2) * length)
    return np.where(seen, facing, np.float32(0))


def _next(values: Floats, axis: int) -> Floats:
    return np.roll(values, -1, axis)


def _before(values: Floats, axis: int) -> Floats:
    return np.roll(values, 1, axis)
