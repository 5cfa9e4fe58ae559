"""Straight stairs up to a gallery."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from mtpano_model.worlds import labels
from mtpano_model.worlds.furnish import Furnisher
from mtpano_model.worlds.plan import Room
from mtpano_model.worlds.shell import Surface


def add_stairs(f: Furnisher, room: Room, surface: Surface, up: float) -> bool:
    """A flight along a wall to a gallery `up` metres high, with railings; False without room."""
    rng = f.rng
    steps = round(up / 0.18)
    rise, going, wide = up / steps, rng.uniform(0.25, 0.3), rng.uniform(0.9, 1.6)
    run = steps * going
    for wall in sorted(room.walls, key=lambda w: -w.length):
        landing = wall.length - 0.3 - run
        if landing < 0.9:
            continue
        box = wall.box(0.3, 0.3 + run, 0.0, wide, 0.0, up)
        if not (wall.is_bare(0.3, 0.3 + run, 0.0, up) and f.scene.is_free(box)):
            continue
        tread = surface.floor if f.chance(0.5) else f.finishes.wood()
        solid = f.chance(0.5)
        for i in range(steps):
            u, top = 0.3 + i * going, (i + 1) * rise
            low = 0.0 if solid else max(0.0, top - 2 * rise)
            f.of(tread, labels.STRUCTURE).on_wall(wall, u, u + going + 0.02, 0.0, wide, low, top)
        end = 0.3 + run
        slab = f.finishes.white()
        f.of(slab, labels.CEILING).on_wall(wall, end, end + landing, 0.0, wide, up - 0.25, up)
        _railing(
            f,
            [
                (wall.point(0.3 + going, wide), rise),
                (wall.point(end, wide), up),
                (wall.point(end + landing, wide), up),
            ],
        )
        f.scene.take(box)
        f.scene.keep_clear.append(wall.box(0.0, 0.3, 0.0, wide, 0.0, 2.0))
        return True
    return False


def _railing(f: Furnisher, line: list[tuple[np.ndarray, float]]) -> None:
    """Posts, rods and a handrail along a line of (place, height)."""
    skin = f.of(f.finishes.steel() if f.chance(0.6) else f.finishes.wood(), labels.STRUCTURE)
    for (a, za), (b, zb) in pairwise(line):
        length = float(np.hypot(*(b - a)))
        skin.pipe((*a, za + 0.95), (*b, zb + 0.95), 0.025)
        count = max(2, int(length / 0.3))
        for i in range(count + 1):
            (x, y), z = a + (b - a) * i / count, za + (zb - za) * i / count
            skin.pipe((x, y, z), (x, y, z + 0.95), 0.01, 5)
