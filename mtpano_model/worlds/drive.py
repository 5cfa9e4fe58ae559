"""A robot's drive through a world: a smooth path between free places, sampled at 10 Hz."""

from __future__ import annotations

import heapq
import math
import random
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mtpano_model.worlds.camera import View, height
from mtpano_model.worlds.plan import Plan
from mtpano_model.worlds.scene import Scene

RATE_HZ = 10.0
_CELL = 0.1  # metres of the grid that paths are sought on
_ROBOT_RADIUS = 0.28
_FASTEST_TURN = math.radians(60)  # a second
_LEAST_CELLS = 40


@dataclass(frozen=True)
class Drive:
    """Poses of the camera at k / 10 s; base: [n, 3] x, y and heading of the robot on the floor.

    camera_height: metres that the camera stands above the base.
    """

    views: tuple[View, ...]
    base: NDArray[np.float64]
    camera_height: float


def plan_drive(plan: Plan, scene: Scene, rng: random.Random, seconds: float) -> Drive | None:
    """A drive of that length, or None where the world has no connected free floor for one."""
    up = min(height(rng), plan.rooms[0].lowest_ceiling - 0.3)
    free, origin = free_floor(plan, scene, up)
    speed = rng.uniform(0.3, 1.0)
    path = _wander(free, rng, speed * seconds / _CELL + 5)
    if path is None:
        return None
    places = _smooth(np.array(path, np.float64) * _CELL + origin + _CELL / 2, free, origin)
    base = _drive_along(places, speed, round(seconds * RATE_HZ))
    sway, phase = math.radians(rng.uniform(0, 1.5)), rng.uniform(0, 6.28)
    views = []
    for k, (x, y, heading) in enumerate(base):
        room = next((i for i, r in enumerate(plan.rooms) if r.contains(x, y)), 0)
        pitch, roll = sway * math.sin(0.7 * k + phase), sway * math.sin(0.45 * k)
        views.append(View((float(x), float(y), up), float(heading), pitch, roll, room, "drive"))
    return Drive(tuple(views), base, up)


def free_floor(
    plan: Plan, scene: Scene, up: float
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Where a robot whose camera is `up` metres high can stand, [cells along x, y]; the origin."""
    low = np.min([r.low for r in plan.rooms], axis=0)
    high = np.max([r.high for r in plan.rooms], axis=0)
    counts = np.maximum(1, np.ceil((high - low) / _CELL).astype(int))
    x, y = (low[k] + (np.arange(counts[k]) + 0.5) * _CELL for k in (0, 1))
    inside = np.zeros(tuple(counts), bool)
    for room in plan.rooms:
        inside |= _in_polygon(room.polygon, x, y)
        for wall in room.walls:
            for o in wall.openings:
                if o.inside and o.leaf != "closed":
                    b = wall.box(o.start, o.end, -wall.thickness - 0.05, 0.05, 0, 1)
                    inside[_slices(b, low, 0.0, inside.shape)] = True
    reach = math.ceil(_ROBOT_RADIUS / _CELL)
    steps = np.arange(-reach, reach + 1)
    robot = np.hypot(steps[:, None], steps) * _CELL <= _ROBOT_RADIUS
    blocked = np.pad(~inside, reach, constant_values=True).astype(np.uint8)
    grown = cv2.dilate(blocked, robot.astype(np.uint8))[reach:-reach, reach:-reach] > 0
    for box in scene.occupied:
        if box[2] < up + 0.1:
            grown[_slices(box, low, _ROBOT_RADIUS, grown.shape)] = True
    return ~grown, low


def _slices(
    box: tuple[float, ...], low: NDArray, margin: float, shape: tuple[int, ...]
) -> tuple[slice, slice]:
    ends = []
    for k in (0, 1):
        first = max(0, math.floor((box[k] - margin - low[k]) / _CELL))
        last = min(shape[k], math.ceil((box[k + 3] + margin - low[k]) / _CELL))
        ends.append(slice(first, max(first, last)))
    return ends[0], ends[1]


def _in_polygon(polygon: list[tuple[float, float]], x: NDArray, y: NDArray) -> NDArray[np.bool_]:
    inside = np.zeros((len(x), len(y)), bool)
    (px, py) = polygon[-1]
    for qx, qy in polygon:
        crosses = (qy > y) != (py > y)
        if qy != py:
            at = (px - qx) * (y - qy) / (py - qy) + qx
            inside ^= crosses[None] & (x[:, None] < at[None])
        px, py = qx, qy
    return inside


def _wander(
    free: NDArray[np.bool_], rng: random.Random, least: float
) -> list[tuple[int, int]] | None:
    """Cells from one free place to others, one after the other, until the way is long enough."""
    cells = list(zip(*np.nonzero(free), strict=True))
    if len(cells) < _LEAST_CELLS:
        return None
    for _ in range(8):
        path = [tuple(map(int, rng.choice(cells)))]
        for _ in range(12):
            goal = tuple(map(int, rng.choice(cells)))
            path += (_shortest(free, path[-1], goal) or [])[1:]  # type: ignore[arg-type]
            if len(path) >= least:
                return path  # type: ignore[return-value]
    return None


def _shortest(
    free: NDArray[np.bool_], start: tuple[int, int], goal: tuple[int, int]
) -> list[tuple[int, int]] | None:
    """A* over eight neighbours."""
    steps = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j]
    queue, before, cost = [(0.0, start)], {start: start}, {start: 0.0}
    while queue:
        _, at = heapq.heappop(queue)
        if at == goal:
            path = [at]
            while path[-1] != start:
                path.append(before[path[-1]])
            return path[::-1]
        for i, j in steps:
            to = (at[0] + i, at[1] + j)
            if 0 <= to[0] < free.shape[0] and 0 <= to[1] < free.shape[1] and free[to]:
                new = cost[at] + math.hypot(i, j)
                if new < cost.get(to, math.inf):
                    cost[to], before[to] = new, at
                    heapq.heappush(queue, (new + math.dist(to, goal), to))
    return None


def _smooth(places: NDArray, free: NDArray[np.bool_], origin: NDArray) -> NDArray[np.float64]:
    """Corners rounded by repeated averaging, as far as every place stays free."""
    for _ in range(30):
        moved = places.copy()
        moved[1:-1] = 0.25 * places[:-2] + 0.5 * places[1:-1] + 0.25 * places[2:]
        cells = np.floor((moved - origin) / _CELL).astype(int)
        good = free[
            np.clip(cells[:, 0], 0, free.shape[0] - 1), np.clip(cells[:, 1], 0, free.shape[1] - 1)
        ]
        places = np.where(good[:, None], moved, places)
    return places


def _drive_along(places: NDArray, speed: float, count: int) -> NDArray[np.float64]:
    """x, y, heading at 10 Hz; the heading follows the path as fast as the robot can turn."""
    along = np.concatenate(([0.0], np.cumsum(np.hypot(*np.diff(places, axis=0).T))))
    at = np.minimum(np.arange(count) * speed / RATE_HZ, along[-1])
    x, y = (np.interp(at, along, places[:, k]) for k in (0, 1))
    ahead_x, ahead_y = (
        np.interp(np.minimum(at + 0.4, along[-1]), along, places[:, k]) for k in (0, 1)
    )
    wanted = np.arctan2(ahead_y - y, ahead_x - x)
    heading = [float(wanted[0])]
    for goal in wanted[1:]:
        turn = (goal - heading[-1] + math.pi) % (2 * math.pi) - math.pi
        heading.append(
            heading[-1] + float(np.clip(turn, -_FASTEST_TURN / RATE_HZ, _FASTEST_TURN / RATE_HZ))
        )
    return np.stack((x, y, np.array(heading)), 1)
