"""Floor plans: rooms as polygons, their walls, and the doors and windows in them."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Point = tuple[float, float]
Box = tuple[float, float, float, float, float, float]  # x0, y0, z0, x1, y1, z1
Leaf = Literal["none", "closed", "ajar", "glass", "roller", "lift"]


@dataclass
class Opening:
    """A hole in a wall: `start` to `end` along it, `bottom` to `top` above the floor, metres.

    kind: "door" reaches the floor; "window" may; "gap" is a wall left out to be lower than the
        room. leaf: what closes a door; a gap and a doorway have none.
    """

    kind: Literal["door", "window", "gap"]
    start: float
    end: float
    bottom: float
    top: float
    leaf: Leaf = "none"
    inside: bool = False  # another room lies behind
    swing: float = 0.0  # radians that the leaf stands open by


@dataclass
class Wall:
    """One side of a room, from `start` to `end` with the room at its left.

    thickness: how far the wall's body reaches away from the room.
    """

    start: NDArray[np.float64]
    end: NDArray[np.float64]
    thickness: float = 0.2
    openings: list[Opening] = field(default_factory=list)
    shared: bool = False

    @cached_property
    def length(self) -> float:
        return float(np.hypot(*(self.end - self.start)))

    @cached_property
    def along(self) -> NDArray[np.float64]:
        return (self.end - self.start) / self.length

    @cached_property
    def inward(self) -> NDArray[np.float64]:
        return np.array([-self.along[1], self.along[0]])

    @property
    def angle(self) -> float:
        """Turn of a piece of furniture whose back (its +y side) stands against this wall."""
        return float(np.arctan2(-self.inward[1], -self.inward[0]) - np.pi / 2)

    def point(self, along: float, off: float = 0.0) -> NDArray[np.float64]:
        """The place `along` metres from the start and `off` metres into the room."""
        return self.start + self.along * along + self.inward * off

    def box(self, u0: float, u1: float, off0: float, off1: float, z0: float, z1: float) -> Box:
        """Bounds of a block on this wall."""
        corners = np.array([self.point(u, o) for u in (u0, u1) for o in (off0, off1)])
        (x0, y0), (x1, y1) = corners.min(0), corners.max(0)
        return (float(x0), float(y0), z0, float(x1), float(y1), z1)

    def is_bare(self, u0: float, u1: float, z0: float, z1: float, margin: float = 0.05) -> bool:
        """Whether the stretch touches no opening and does not reach past the wall's ends."""
        if u0 < 0.01 or u1 > self.length - 0.01:
            return False
        return not any(
            u0 < o.end + margin
            and u1 > o.start - margin
            and not (o.kind == "window" and (z1 <= o.bottom - 0.02 or z0 >= o.top + 0.1))
            for o in self.openings
        )

    def has_room_for(self, start: float, end: float, gap: float = 0.25) -> bool:
        """Whether a new opening would keep `gap` metres from the others."""
        return all(end < o.start - gap or start > o.end + gap for o in self.openings)


@dataclass
class Room:
    """A polygon (counterclockwise) with walls, a flat floor at z = 0 and a ceiling.

    height: of the ceiling over the polygon's middle; slope: metres that it rises along x and y.
    """

    polygon: list[Point]
    theme: str
    height: float
    thickness: float = 0.2
    slope: Point = (0.0, 0.0)
    roofed: bool = True
    walls: list[Wall] = field(init=False)

    def __post_init__(self) -> None:
        corners = np.array(self.polygon, np.float64)
        self.walls = [
            Wall(corners[i], corners[(i + 1) % len(corners)], self.thickness)
            for i in range(len(corners))
        ]
        self.low, self.high = corners.min(0), corners.max(0)
        self.middle = (self.low + self.high) / 2

    @property
    def size(self) -> NDArray[np.float64]:
        return self.high - self.low

    @property
    def area(self) -> float:
        return polygon_area(self.polygon)

    def ceiling(self, x: float, y: float) -> float:
        """Height of the ceiling above the point; infinite under the sky."""
        if not self.roofed:
            return float("inf")
        dx, dy = x - self.middle[0], y - self.middle[1]
        return float(self.height + self.slope[0] * dx + self.slope[1] * dy)

    @property
    def lowest_ceiling(self) -> float:
        return min(self.ceiling(x, y) for x, y in self.polygon)

    @property
    def highest_ceiling(self) -> float:
        return max(self.ceiling(x, y) for x, y in self.polygon)

    def any_wall(self, rng: random.Random) -> Wall:
        """A wall at random, by length."""
        return rng.choices(self.walls, [wall.length for wall in self.walls])[0]

    def anywhere(self, rng: random.Random, margin: float = 0.0) -> Point:
        """A place at random in the rectangle around the room, `margin` metres from its sides."""
        x, y = (rng.uniform(self.low[k] + margin, self.high[k] - margin) for k in (0, 1))
        return x, y

    def contains(self, x: float, y: float) -> bool:
        """Whether the point lies in the polygon (even-odd rule)."""
        inside, (px, py) = False, self.polygon[-1]
        for qx, qy in self.polygon:
            if (qy > y) != (py > y) and x < (px - qx) * (y - qy) / (py - qy) + qx:
                inside = not inside
            px, py = qx, qy
        return inside

    def holds(self, x0: float, y0: float, x1: float, y1: float) -> bool:
        """Whether the rectangle lies inside, looked at on a grid."""
        steps = max(3, int(max(x1 - x0, y1 - y0) / 0.4) + 2)
        return all(
            self.contains(x, y)
            for x in np.linspace(x0, x1, steps)
            for y in np.linspace(y0, y1, steps)
        )


@dataclass
class Plan:
    """Rooms of one world, the one it is about first."""

    kind: str
    rooms: list[Room]
    outdoors: bool = False


def polygon_area(polygon: list[Point]) -> float:
    """Area by the shoelace formula, positive where the corners run counterclockwise."""
    x, y = np.array(polygon).T
    return float(0.5 * (x @ np.roll(y, -1) - y @ np.roll(x, -1)))


def inset(polygon: list[Point], distance: float) -> list[Point]:
    """The polygon with every side moved inwards by `distance` (corners stay sharp)."""
    corners = np.array(polygon, np.float64)
    before = np.roll(corners, 1, 0)
    after = np.roll(corners, -1, 0)
    moved = []
    for p, corner, q in zip(before, corners, after, strict=True):
        a, b = (corner - p) / np.hypot(*(corner - p)), (q - corner) / np.hypot(*(q - corner))
        na, nb = np.array([-a[1], a[0]]), np.array([-b[1], b[0]])
        # The corner moves to where both moved sides meet: n . x = n . corner + distance.
        shift = np.linalg.solve(np.array([na, nb]), np.array([distance, distance]))
        moved.append((float(corner[0] + shift[0]), float(corner[1] + shift[1])))
    return moved


def connect(
    a: Room, b: Room, width: float, top: float, where: float, leaf: Leaf, swing: float = 0.0
) -> bool:
    """Cut a doorway through the walls that two rooms share; False where they share too little.

    where: 0 to 1, along the shared stretch. The leaf hangs in the first room's wall.
    """
    for wall in a.walls:
        for other in b.walls:
            if np.dot(wall.along, other.along) > -0.999:
                continue
            apart = -float(np.dot(other.start - wall.start, wall.inward))
            if not 0.0 <= apart < 0.45:
                continue
            ends = sorted(
                float(np.dot(p - wall.start, wall.along)) for p in (other.start, other.end)
            )
            low, high = max(0.0, ends[0]) + 0.12, min(wall.length, ends[1]) - 0.12
            if high - low < width:
                continue
            start = low + (high - low - width) * where
            kind: Literal["door", "gap"] = "gap" if leaf == "none" and width > 1.3 else "door"
            start_b = float(np.dot(wall.point(start + width) - other.start, other.along))
            if not (
                wall.has_room_for(start, start + width, 0.1)
                and other.has_room_for(start_b, start_b + width, 0.1)
            ):
                continue
            wall.openings.append(Opening(kind, start, start + width, 0.0, top, leaf, True, swing))
            other.openings.append(Opening(kind, start_b, start_b + width, 0.0, top, "none", True))
            wall.shared = other.shared = True
            wall.thickness = other.thickness = apart / 2
            return True
    return False
