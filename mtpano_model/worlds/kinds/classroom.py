"""Classrooms."""

from __future__ import annotations

import math
import random

from mtpano_model.worlds import labels
from mtpano_model.worlds.decor import books_on, pile
from mtpano_model.worlds.furnish import Furnisher
from mtpano_model.worlds.groups import clutter, storage
from mtpano_model.worlds.kinds.annex import add_annexes, main_room
from mtpano_model.worlds.kinds.office import build_shells, wall_things, whiteboard
from mtpano_model.worlds.plan import Plan
from mtpano_model.worlds.scene import footprint
from mtpano_model.worlds.solids import build_table


def plan_classroom(rng: random.Random) -> Plan:
    room = main_room(rng, "office", (6, 12), (5.5, 9), (2.7, 3.8), (1, 0, 0))
    plan = Plan("classroom", [room])
    add_annexes(rng, plan, rng.choice((0, 1, 1)), ("passage", "storeroom"))
    return plan


def build_classroom(f: Furnisher, lamps: float) -> None:
    """Rows of tables that face a board."""
    rng, room = f.rng, f.plan.rooms[0]
    build_shells(f, lamps, rng.randint(2, 6), (1.2, 2.8))
    front = room.walls[2]  # the side of high y
    whiteboard(f, room, front)
    top, legs = (
        (f.finishes.wood(), f.finishes.painted())
        if f.chance(0.7)
        else (f.finishes.white(), f.finishes.dark())
    )
    chair, size = f.pick("chair"), (rng.choice((0.7, 1.3)), 0.5, rng.uniform(0.66, 0.76))
    x_step, y_step = size[0] + rng.uniform(0.4, 0.9), rng.uniform(1.15, 1.5)
    y = room.high[1] - rng.uniform(2.4, 3.2)
    while y > room.low[1] + 1.1:
        x = room.low[0] + 0.9 + size[0] / 2
        while x < room.high[0] - 0.6 - size[0] / 2:
            place = footprint(
                x + rng.gauss(0, 0.03),
                y + rng.gauss(0, 0.03),
                rng.gauss(0, 0.03),
                size,
                labels.DESK,
            )
            if f.fits(room, place.box):
                build_table(f.scene, place, top, legs)
                f.scene.take(place.box)
                for dx in (0.0,) if size[0] < 1 else (-0.3, 0.3):
                    if chair and f.chance(0.9):
                        at = place.at(dx, -size[1] / 2 - rng.uniform(0.0, 0.25))
                        f.seat(
                            room,
                            chair,
                            *at,
                            math.pi + place.angle + rng.uniform(-0.3, 0.3),
                            [place],
                        )
                    if f.chance(0.4):
                        pile(f, *place.at(dx, 0.0), size[2])
            x += x_step
        y -= y_step
    teacher = f.pick("desk")
    if teacher:
        placed = f.somewhere(room, teacher, 0.0, 0.3)
        books_on(f, placed, 3)
        f.on_top(placed, "desktop", 1)
    storage(f, room, ("bookcase", "shelves", "cabinet", "bookcase"), rng.randint(1, 5))
    clutter(f, room, rng.randint(1, 6))
    wall_things(f, room)
