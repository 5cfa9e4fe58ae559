"""Cloth around a body: a layer that follows it, and what hangs from it in rings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtpano_model.worlds.anny_bodies import Body

_AROUND = 64  # corners of a ring


@dataclass(frozen=True)
class Part:
    """A surface of one material: corners [n, 3] in metres, triangles [m, 3]."""

    material: str
    vertices: NDArray[np.float64]
    faces: NDArray[np.int64]


def edges_of(faces: NDArray[np.int64]) -> NDArray[np.int64]:
    """[2, 6m] both ends of every edge, in both directions."""
    a, b, c = faces.T
    return np.stack((np.concatenate((a, b, c, b, c, a)), np.concatenate((b, c, a, a, b, c))))


def inside(chosen: NDArray[np.bool_], edges: NDArray[np.int64], rings: int) -> NDArray[np.bool_]:
    """The chosen corners that are at least `rings` edges away from its rim."""
    for _ in range(rings):
        left = chosen.copy()
        left[edges[0][~chosen[edges[1]]]] = False
        chosen = left
    return chosen


def smooth(
    vertices: NDArray, edges: NDArray[np.int64], chosen: NDArray[np.bool_], times: int
) -> NDArray[np.float64]:
    """Each chosen corner to the mean of its neighbours, half the way, over and over."""
    count = np.maximum(np.bincount(edges[0], minlength=len(vertices)), 1)[:, None]
    moved = vertices.copy()
    for _ in range(times):
        mean = np.stack(
            [np.bincount(edges[0], moved[edges[1], k], len(vertices)) for k in range(3)], 1
        )
        moved[chosen] += 0.5 * (mean / count - moved)[chosen]
    return moved


def normals(vertices: NDArray, faces: NDArray[np.int64]) -> NDArray[np.float64]:
    """[n, 3] outward directions of unit length at the corners."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    across = np.cross(b - a, c - a)
    summed = np.stack(
        [np.bincount(faces.ravel(), np.repeat(across[:, k], 3), len(vertices)) for k in range(3)], 1
    )
    return summed / np.maximum(np.linalg.norm(summed, axis=1, keepdims=True), 1e-12)


def layer(
    body: Body, chosen: NDArray[np.bool_], thickness: NDArray | float, smoothing: int
) -> NDArray[np.float64]:
    """[n, 3] the posed body with its chosen corners smoothed and moved outward, metres."""
    surface = smooth(body.posed, edges_of(body.faces), chosen, smoothing)
    return (
        surface + normals(surface, body.faces) * np.broadcast_to(thickness, len(surface))[:, None]
    )


def folds(body: Body, depth: float, phase: float) -> NDArray[np.float64]:
    """[n] metres of gentle creases, which move with the body: waves across its resting shape."""
    x, y, z = body.rest.T
    waves = np.sin(31 * x + 17 * z + phase) + np.sin(43 * z - 23 * y + 2 * phase)
    return depth * (waves + np.sin(59 * (x + y) - 37 * z + 3 * phase)) / 3


def compact(material: str, vertices: NDArray, faces: NDArray[np.int64]) -> Part:
    """Without the corners that no face uses."""
    used, index = np.unique(faces, return_inverse=True)
    return Part(material, vertices[used], index.reshape(-1, 3))


def cut(
    table: NDArray, faces: NDArray[np.int64], value: NDArray
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The side of a surface on which value [n] is positive, cut along a clean line.

    table: [n, k] coordinates, and whatever else its corners have. Returns the same for the part.
    """
    positive = value > 0
    signs = positive[faces]
    whole = faces[signs.all(1)]
    mixed, kept = faces[signs.any(1) & ~signs.all(1)], signs.sum(1)
    kept = kept[signs.any(1) & ~signs.all(1)]
    # Turned so that the corner that is alone on its side comes first.
    lone = np.where(kept[:, None] == 1, positive[mixed], ~positive[mixed]).argmax(1)
    order = (lone[:, None] + np.arange(3)) % 3
    a, b, c = np.take_along_axis(mixed, order, 1).T
    ends = np.sort(np.concatenate((np.stack((a, b), 1), np.stack((a, c), 1))), 1)
    pairs, index = np.unique(ends, axis=0, return_inverse=True)
    low, high = value[pairs[:, 0]], value[pairs[:, 1]]
    t = (low / (low - high))[:, None]
    points = table[pairs[:, 0]] * (1 - t) + table[pairs[:, 1]] * t
    ab, ac = (len(table) + part for part in np.split(index.reshape(-1), 2))
    one = kept == 1
    pieces = [
        np.stack((a, ab, ac), 1)[one],
        np.stack((ab, b, c), 1)[~one],
        np.stack((ab, c, ac), 1)[~one],
    ]
    return np.concatenate((table, points)), np.concatenate((whole, *pieces))


def hanging(
    material: str,
    points: NDArray,
    levels: NDArray,
    spare: NDArray,
    waves: float = 0.0,
    half_angle: float = np.pi,
    narrowing: float = 1.0,
) -> Part:
    """A tube around points [n, 3], falling from ring to ring.

    levels: [k] heights from the top down; spare: [k] metres kept from the points; waves: share
    of the radius that its folds have at the lower end; half_angle: what it covers to either side
    of the back (+y), radians; narrowing: how narrow a ring may be, as a share of that above.
    """
    angles = np.linspace(-half_angle, half_angle, _AROUND + 1) + np.pi / 2
    if half_angle >= np.pi:
        angles = angles[:-1]
    outward = np.stack((np.cos(angles), np.sin(angles)), 1)
    dense = np.arange(0, 2 * np.pi, np.pi / 90)
    around = np.stack((np.cos(dense), np.sin(dense)), 1)
    gap = np.abs(levels[0] - levels[-1]) / len(levels)
    low, high = points[:, :2].min(0), points[:, :2].max(0)
    middle = (low + high) / 2
    rings, radius = [], np.zeros(len(angles))
    for number, (z, room) in enumerate(zip(levels, spare, strict=True)):
        near = points[np.abs(points[:, 2] - z) < max(gap, 0.02)][:, :2] - middle
        if len(near):
            # The convex outline: no further than any of its tangents.
            support = (near @ around.T).max(0) + room
            facing = outward @ around.T
            reach = np.where(facing > 0.05, support / np.maximum(facing, 0.05), np.inf).min(1)
            radius = np.maximum(narrowing * radius, reach)
        part = number / max(1, len(levels) - 1)
        wave = 1 + waves * part * np.sin(9 * angles + 2 * np.sin(3 * angles))
        ring = middle + outward * (radius * wave)[:, None]
        rings.append(np.column_stack((ring, np.full(len(ring), z))))
    return Part(
        material, np.concatenate(rings), _strip(len(levels), len(angles), half_angle >= np.pi)
    )


def ball(material: str, middle: NDArray, radius: float) -> Part:
    """A sphere."""
    return Part(material, middle + radius * _sphere(9, 16), _strip(9, 16, closed=True))


def wrapped(points: NDArray, room: float) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The convex outline of points [n, 3], `room` metres around them, as corners and triangles."""
    low, high = points.min(0) - room, points.max(0) + room
    middle, half = (low + high) / 2, (high - low) / 2
    normal = _sphere(19, 36)
    support = ((points - middle) / half @ normal.T).max(0) + room * (np.abs(normal) / half).max(1)
    outward = _sphere(25, 40)
    facing = outward @ normal.T
    reach = np.where(facing > 0.05, support / np.maximum(facing, 0.05), np.inf).min(1)
    return middle + half * outward * reach[:, None], _strip(25, 40, closed=True)


def _sphere(rows: int, columns: int) -> NDArray[np.float64]:
    """[rows * columns, 3] directions, from pole to pole."""
    v, u = np.meshgrid(
        np.linspace(0, np.pi, rows), np.arange(columns) * (2 * np.pi / columns), indexing="ij"
    )
    return np.stack((np.sin(v) * np.cos(u), np.sin(v) * np.sin(u), np.cos(v)), -1).reshape(-1, 3)


def _strip(rows: int, columns: int, closed: bool) -> NDArray[np.int64]:
    """Triangles between rings of corners, numbered one ring after the other."""
    i, j = np.meshgrid(
        np.arange(rows - 1), np.arange(columns if closed else columns - 1), indexing="ij"
    )
    a, b = (i * columns + j).ravel(), (i * columns + (j + 1) % columns).ravel()
    return np.concatenate(
        (np.stack((a, a + columns, b), 1), np.stack((b, a + columns, b + columns), 1))
    )


def fitted_turn(source: NDArray, target: NDArray) -> tuple[NDArray, NDArray]:
    """Rotation and shift that take points [n, 3] onto others best (Kabsch 1976)."""
    a, b = source.mean(0), target.mean(0)
    u, _, vt = np.linalg.svd((source - a).T @ (target - b))
    sign = np.diag((1, 1, np.sign(np.linalg.det(u @ vt))))
    turn = (u @ sign @ vt).T
    return turn, b - turn @ a
