"""Simple bodies as faces: blocks, turned profiles, pipes, sheets, tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mtpano_model.worlds.plan import Room, Wall
from mtpano_model.worlds.scene import Material, Placed, Scene

BLOCK = ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))
_THINNEST = 1e-5


@dataclass(frozen=True)
class Solids:
    """Adds bodies of one material and class (label: an NYU40 id) to a scene."""

    scene: Scene
    material: Material
    label: int

    def block(self, x0: float, y0: float, z0: float, x1: float, y1: float, z1: float) -> None:
        """An upright block between two corners; nothing where it would have no volume."""
        if min(x1 - x0, y1 - y0, z1 - z0) > _THINNEST:
            corners = [(x, y, z) for x in (x0, x1) for y in (y0, y1) for z in (z0, z1)]
            self.scene.mesh(corners, BLOCK, self.material, self.label)

    def turned(
        self, center: Sequence[float], size: Sequence[float], angle: float, tilt: float = 0.0
    ) -> None:
        """A block of size (w, d, h) over the bottom's middle `center`, turned about z.

        tilt: radians that it leans about its own x axis first.
        """
        w, d, h = size
        c, s, ct, st = np.cos(angle), np.sin(angle), np.cos(tilt), np.sin(tilt)
        corners = []
        for x in (-w / 2, w / 2):
            for y in (-d / 2, d / 2):
                for z in (0.0, h):
                    ty, tz = y * ct - z * st, y * st + z * ct
                    corners.append(
                        (center[0] + x * c - ty * s, center[1] + x * s + ty * c, center[2] + tz)
                    )
        self.scene.mesh(corners, BLOCK, self.material, self.label)

    def on_wall(
        self, wall: Wall, u0: float, u1: float, off0: float, off1: float, z0: float, z1: float
    ) -> None:
        """A block that follows a wall: u0 to u1 along it, off0 to off1 into the room."""
        if min(u1 - u0, off1 - off0, z1 - z0) > _THINNEST:
            places = [wall.point(u, o) for u in (u0, u1) for o in (off0, off1)]
            corners = [(p[0], p[1], z) for p in places for z in (z0, z1)]
            self.scene.mesh(corners, BLOCK, self.material, self.label)

    def profile(
        self,
        center: Sequence[float],
        profile: Sequence[tuple[float, float]],
        sides: int = 20,
        smooth: bool = True,
    ) -> None:
        """A profile of (radius, height) turned about the upright axis through `center`."""
        angles = 2 * np.pi * np.arange(sides) / sides
        vertices = [
            (center[0] + r * np.cos(a), center[1] + r * np.sin(a), center[2] + z)
            for r, z in profile
            for a in angles
        ]
        faces = [
            (j + i, j + (i + 1) % sides, j + sides + (i + 1) % sides, j + sides + i)
            for j in range(0, sides * (len(profile) - 1), sides)
            for i in range(sides)
        ]
        self.scene.mesh(vertices, faces, self.material, self.label, smooth=smooth)

    def pipe(self, a: Sequence[float], b: Sequence[float], radius: float, sides: int = 10) -> None:
        """A straight tube between two points, open at its ends."""
        start, end = np.array(a, np.float64), np.array(b, np.float64)
        axis = (end - start) / np.linalg.norm(end - start)
        side = np.cross(axis, (0.0, 0.0, 1.0) if abs(axis[2]) < 0.9 else (1.0, 0.0, 0.0))
        side /= np.linalg.norm(side)
        up = np.cross(axis, side)
        turns = 2 * np.pi * np.arange(sides) / sides
        ring = [radius * (np.cos(t) * side + np.sin(t) * up) for t in turns]
        vertices = [tuple(end_point + r) for end_point in (start, end) for r in ring]
        faces = [(i, (i + 1) % sides, sides + (i + 1) % sides, sides + i) for i in range(sides)]
        self.scene.mesh(vertices, faces, self.material, self.label, smooth=True)

    def floor(self, room: Room) -> None:
        """The room's floor, at z = 0."""
        corners = [(x, y, 0.0) for x, y in room.polygon]
        self.scene.mesh(corners, [tuple(range(len(corners)))], self.material, self.label)

    def ceiling(self, room: Room) -> None:
        """The room's ceiling, level or sloping."""
        corners = [(x, y, room.ceiling(x, y)) for x, y in room.polygon]
        faces = [tuple(reversed(range(len(corners))))]
        self.scene.mesh(corners, faces, self.material, self.label)


def build_table(
    scene: Scene, at: Placed, top: Material, legs: Material, thick: float = 0.03
) -> None:
    """A table of a board and four legs, as large as `at` and of its class."""
    w, d, h = at.size
    board, leg = Solids(scene, top, at.label), Solids(scene, legs, at.label)
    board.turned((at.x, at.y, h - thick), (w, d, thick), at.angle)
    for dx in (-w / 2 + 0.05, w / 2 - 0.05):
        for dy in (-d / 2 + 0.05, d / 2 - 0.05):
            leg.turned((*at.at(dx, dy), 0.0), (0.04, 0.04, h - thick), at.angle)
