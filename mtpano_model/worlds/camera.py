"""Finds camera poses of a robot: heights, tilts and free places."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtpano_model.geometry.sphere import pitch_matrix, roll_matrix
from mtpano_model.worlds import labels
from mtpano_model.worlds.plan import Box, Plan, Room
from mtpano_model.worlds.scene import Scene, overlaps

_ABOVE = 0.12  # metres kept free above the camera
_TABLES = (labels.TABLE, labels.DESK)
STYLES = ("open", "open", "open", "busy", "busy", "wall", "doorway", "under")


@dataclass(frozen=True)
class View:
    """One camera pose in the world.

    position: (x, y, z); angles in radians: yaw counterclockwise from the x axis, pitch up, roll to
    the right; rig: parts of the robot that the camera sees, as meshes in the world.
    """

    position: tuple[float, float, float]
    yaw: float
    pitch: float = 0.0
    roll: float = 0.0
    room: int = 0
    style: str = "open"
    rig: tuple[dict[str, Any], ...] = field(default=(), repr=False)

    def world_from_camera(self) -> NDArray[np.float64]:
        """3x3, columns are the optical axes (right, down, forward) in the world."""
        c, s = math.cos(self.yaw), math.sin(self.yaw)
        level = np.array([[s, 0.0, c], [-c, 0.0, s], [0.0, -1.0, 0.0]])
        return np.asarray(level @ pitch_matrix(self.pitch) @ roll_matrix(self.roll))

    def as_json(self) -> dict[str, Any]:
        """The view as `blender_side` takes it."""
        return {
            "position": self.position,
            "world_from_camera": self.world_from_camera().tolist(),
            "rig": self.rig,
        }


def is_worth_a_picture(depth: NDArray[np.floating], label: NDArray[np.uint8], style: str) -> bool:
    """Whether depth [H, W] in metres shows a camera in free space, not one inside an object.

    The camera's own carrier does not count, however near it is.
    """
    known = depth[(depth > 0) & (depth < 1000) & (label != labels.OWN_BODY)]
    if known.size < 0.25 * depth.size:
        return False
    nearest, near = (0.1, 0.75) if style == "under" else (0.15, 0.45)
    return bool(
        (known < nearest).mean() < 0.01 and (known < 0.5).mean() < near and np.median(known) > 0.3
    )


def find_view(plan: Plan, scene: Scene, rng: random.Random, taken: list[View]) -> View | None:
    """A free pose, 0.7 m from those already taken; None where none was found."""
    style = rng.choice(STYLES)
    candidates = [
        _place(plan, scene, rng, style, taken) for _ in range(5 if style == "busy" else 1)
    ]
    found = [c for c in candidates if c is not None] or [
        c for c in (_place(plan, scene, rng, "open", taken) for _ in range(3)) if c is not None
    ]
    if not found:
        return None
    index, (x, y, z) = max(found, key=lambda c: _busyness(scene, c[1]))
    pitch = roll = 0.0
    if rng.random() < 1 / 3:
        pitch, roll = (math.radians(rng.uniform(-15, 15)) * rng.random() ** 0.5 for _ in range(2))
    return View((x, y, z), rng.uniform(0, 2 * math.pi), pitch, roll, index, style)


def height(rng: random.Random) -> float:
    """Metres above the floor: 0.15 to 2.3, low robots counted more."""
    low, high = rng.choices(
        ((0.15, 0.5), (0.5, 0.9), (0.9, 1.8), (1.8, 2.3)), (0.42, 0.2, 0.32, 0.06)
    )[0]
    return rng.uniform(low, high)


def _busyness(scene: Scene, place: tuple[float, float, float]) -> float:
    """How large the models appear from a place, small sums of squared angles."""
    return sum(
        min(1.0, (m.size[0] * m.size[2]) / max(0.3, (m.x - place[0]) ** 2 + (m.y - place[1]) ** 2))
        for m in scene.models
    )


def _place(
    plan: Plan, scene: Scene, rng: random.Random, style: str, taken: list[View]
) -> tuple[int, tuple[float, float, float]] | None:
    # Small rooms are as interesting as large ones: weight by the root of the area.
    weights = [math.sqrt(room.area) for room in plan.rooms]
    weights[0] *= 1.5 if plan.kind == "home" else 4.0
    for attempt in range(80):
        index = rng.choices(range(len(plan.rooms)), weights)[0]
        room = plan.rooms[index]
        z = min(height(rng), room.lowest_ceiling - 0.25)
        margin = 0.15 if style == "wall" or attempt > 50 else 0.3
        spot = {"wall": _near_wall, "doorway": _in_doorway, "under": _under_table}.get(
            style, _anywhere
        )(room, scene, rng)
        if spot is None:
            continue
        x, y = spot
        if style == "under":
            z, margin = rng.uniform(0.15, 0.45), 0.05
        away = all(math.dist((x, y, z), v.position) > 0.7 for v in taken)
        if away and _is_free(room, scene, (x, y, z), margin, style):
            return index, (x, y, z)
    return None


def _anywhere(room: Room, scene: Scene, rng: random.Random) -> tuple[float, float]:
    return room.anywhere(rng)


def _near_wall(room: Room, scene: Scene, rng: random.Random) -> tuple[float, float]:
    wall = room.any_wall(rng)
    x, y = wall.point(rng.uniform(0, wall.length), rng.uniform(0.16, 0.4))
    return float(x), float(y)


def _in_doorway(room: Room, scene: Scene, rng: random.Random) -> tuple[float, float] | None:
    passages = [
        (w, o) for w in room.walls for o in w.openings if o.inside and o.leaf in ("none", "ajar")
    ]
    if not passages:
        return None
    wall, opening = rng.choice(passages)
    middle, free = (opening.start + opening.end) / 2, (opening.end - opening.start) / 4
    x, y = wall.point(middle + rng.uniform(-free, free), rng.uniform(-wall.thickness, 0.3))
    return float(x), float(y)


def _under_table(room: Room, scene: Scene, rng: random.Random) -> tuple[float, float] | None:
    tables = [m for m in scene.models if m.label in _TABLES and room.contains(m.x, m.y)]
    if not tables:
        return None
    table = rng.choice(tables)
    return table.at(rng.uniform(-0.3, 0.3) * table.size[0], rng.uniform(-0.4, 0.4) * table.size[1])


def _is_free(
    room: Room, scene: Scene, place: tuple[float, float, float], margin: float, style: str
) -> bool:
    x, y, z = place
    if style != "doorway" and not room.holds(x - margin, y - margin, x + margin, y + margin):
        return False
    around: Box = (x - margin, y - margin, 0.0, x + margin, y + margin, z + _ABOVE)
    if style == "under":
        ours = [m.box for m in scene.models if m.label in _TABLES]
        return not any(overlaps(around, box) for box in scene.occupied if box not in ours)
    return not any(overlaps(around, box) for box in scene.occupied)
