"""A room known in closed form: floor, ceiling, two doors, a pillar and a table, around a camera.

Axes of a level camera: x right, y down, z forward. Everything is a box with faces along the axes,
so a ray's end is exact. One door opens on a corridor whose far wall is seen, the other on nothing.
"""

from __future__ import annotations

from functools import cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from mtpano_model.geometry import sphere
from mtpano_model.robot.turning import level_rotation

HEIGHT = 1.2  # of the camera over the floor
CEILING = 2.6
FLOOR_ID, CEILING_ID, WALL_ID, PILLAR_ID, TABLE_ID = 1, 2, 0, 17, 8
LINTEL = 2.0  # of both doors, over the floor
TABLE_TOP = 0.75
_T = 0.2  # thickness
_LOW, _HIGH = HEIGHT, HEIGHT - CEILING  # y of floor and ceiling
_DOOR = HEIGHT - LINTEL
# Corners: x from, to; y from, to; z from, to; and the class.
BOXES = np.array(
    [
        (-9, 9, _LOW, _LOW + _T, -9, 9, FLOOR_ID),
        (-9, 9, _HIGH - _T, _HIGH, -9, 9, CEILING_ID),
        # Ahead, with a door from x = -0.4 to 0.5, and a corridor's wall behind it.
        (-2.5, -0.4, _HIGH, _LOW, 3, 3 + _T, WALL_ID),
        (0.5, 3, _HIGH, _LOW, 3, 3 + _T, WALL_ID),
        (-0.4, 0.5, _HIGH, _DOOR, 3, 3 + _T, WALL_ID),
        (-9, 9, _HIGH, _LOW, 4.5, 4.5 + _T, WALL_ID),
        # Right, with a door from z = -1 to 0 that opens on nothing.
        (3, 3 + _T, _HIGH, _LOW, -2, -1, WALL_ID),
        (3, 3 + _T, _HIGH, _LOW, 0, 3 + _T, WALL_ID),
        (3, 3 + _T, _HIGH, _DOOR, -1, 0, WALL_ID),
        # Behind and left.
        (-2.5, 3, _HIGH, _LOW, -2 - _T, -2, WALL_ID),
        (-2.5 - _T, -2.5, _HIGH, _LOW, -2 - _T, 3 + _T, WALL_ID),
        (-1.5, -1.2, _HIGH, _LOW, 1.0, 1.3, PILLAR_ID),
        (1.0, 2.0, HEIGHT - TABLE_TOP, HEIGHT - TABLE_TOP + 0.05, 0.8, 1.6, TABLE_ID),
    ],
    np.float64,
)
# The axis about which the camera is tilted, and by how many degrees.
TILTS = [
    *((axis, k) for k, axis in product((5, 15, 30), ((1, 0, 0), (0, 0, -1), (0.6, 0, 0.8)))),
    ((0.6, 0, -0.8), 60),
    ((1, 0, 0), 0),
]


def cast(rays: NDArray, boxes: NDArray = BOXES) -> tuple[NDArray, NDArray, NDArray]:
    """Range, normal towards the camera and class where rays [..., 3] end; inf, NaN, 255 nowhere."""
    rays = np.asarray(rays, np.float64)
    distance, ids = np.full(rays.shape[:-1], np.inf), np.full(rays.shape[:-1], 255, np.uint8)
    normal = np.full(rays.shape, np.nan)
    for box in boxes:
        with np.errstate(divide="ignore", invalid="ignore"):
            first, second = box[0:6:2] / rays, box[1:6:2] / rays
        enter, leave = np.minimum(first, second), np.maximum(first, second)
        near = enter.max(-1)
        hit = (near <= leave.min(-1)) & (near > 0) & (near < distance)
        distance[hit], ids[hit] = near[hit], box[6]
        normal[hit] = -np.eye(3)[enter[hit].argmax(-1)] * np.sign(rays[hit])
    return distance, normal, ids


def down_after(axis: tuple[float, float, float], angle: float) -> NDArray:
    """Where gravity points in a camera tilted by `angle` degrees about a horizontal axis."""
    return rotation_about(axis, angle).T @ np.array([0.0, 1.0, 0.0])


def rotation_about(axis: tuple[float, float, float], angle: float) -> NDArray:
    """Rodrigues' rotation by degrees."""
    x, y, z = np.asarray(axis, float) / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    turn = np.radians(angle)
    return np.eye(3) + np.sin(turn) * cross + (1 - np.cos(turn)) * cross @ cross


def seen(down: NDArray, size: tuple[int, int]) -> tuple[NDArray, NDArray, NDArray]:
    """Depth, normals and labels in the frame of a camera for which gravity points `down`."""
    return _seen(tuple(np.asarray(down, float).tolist()), size)


@cache
def _seen(down: tuple[float, ...], size: tuple[int, int]) -> tuple[NDArray, NDArray, NDArray]:
    level = level_rotation(np.array(down))
    distance, normal, ids = cast(sphere.rays(*size) @ level.T)
    return distance.astype(np.float32), (normal @ level).astype(np.float32), ids


def neighbourhood(values: NDArray, reach: int = 1) -> NDArray:
    """Each pixel's neighbours on the sphere, [n, H, W]; rows end at the poles."""
    padded = np.pad(values, ((reach, reach), (0, 0)), mode="edge")
    rows = [padded[k : k + len(values)] for k in range(2 * reach + 1)]
    return np.stack([np.roll(r, k, 1) for r in rows for k in range(-reach, reach + 1)])
