"""Sports halls."""

from __future__ import annotations

import random

from mtpano_model.worlds import labels
from mtpano_model.worlds.furnish import Furnisher
from mtpano_model.worlds.kinds.annex import add_annexes, main_room
from mtpano_model.worlds.kinds.equipment import floor_marks, trusses
from mtpano_model.worlds.kinds.shells import build_shells
from mtpano_model.worlds.kinds.windows import add_doors_outside, add_windows
from mtpano_model.worlds.plan import Plan
from mtpano_model.worlds.shell import SPORTS, add_pillars


def plan_hall(rng: random.Random) -> Plan:
    room = main_room(rng, "public", (14, 45), (10, 25), (5, 11), (1, 0, 0))
    if rng.random() < 0.3:
        room.slope = (0.0, rng.uniform(0.04, 0.15))
    plan = Plan("hall", [room])
    add_annexes(
        rng, plan, rng.choice((0, 1, 2)), ("storeroom", "passage"), ("none", "ajar"), (3, 6)
    )
    return plan


def build_hall(f: Furnisher, lamps: float) -> None:
    """A sports hall: lines, goals, baskets, benches, high windows."""
    rng, room = f.rng, f.plan.rooms[0]
    add_windows(
        f,
        room,
        rng.randint(0, 8),
        bottom=rng.uniform(2.5, 3.5),
        top=room.lowest_ceiling - 0.5,
        width=(2, 8),
    )
    add_doors_outside(f, room, 3, width=(1.0, 1.8, 2.2), top=2.3)
    build_shells(f, lamps, SPORTS, rng.uniform(4, 6), rng.choice(("reflector", "tube", "line")))
    if f.chance(0.7):
        trusses(f, room, rng.uniform(4, 6))
    for _ in range(rng.randint(1, 3)):  # one colour for each game
        inset = rng.uniform(1.0, 3.0)
        x0, y0 = map(float, room.low + inset)
        x1, y1 = map(float, room.high - inset)
        x, y = (x0 + x1) / 2, (y0 + y1) / 2
        lines = [
            (x0, y0, x1, y0),
            (x0, y1, x1, y1),
            (x0, y0, x0, y1),
            (x1, y0, x1, y1),
            (x, y0, x, y1),
            (x0, y, x1, y),
        ]
        floor_marks(f, lines[: rng.choice((5, 6))], 0.05, f.finishes.painted((0, 0.9), (0.2, 1.0)))
    white = f.of(f.finishes.white(), labels.STRUCTURE)
    for x, way in ((room.low[0] + 1.0, 1), (room.high[0] - 1.0, -1)):
        y = float(room.middle[1])
        if f.chance(0.6):  # a goal
            for dy in (-1.5, 1.5):
                white.pipe((x, y + dy, 0), (x, y + dy, 2), 0.04)
                white.pipe((x, y + dy, 2), (x - way * 0.9, y + dy, 0), 0.02)
            white.pipe((x, y - 1.5, 2), (x, y + 1.5, 2), 0.04)
            f.scene.take((x - 0.9, y - 1.6, 0, x + 0.9, y + 1.6, 2))
        if f.chance(0.5) and room.lowest_ceiling > 4.5:  # a basket
            white.turned((x, y, 2.9), (0.04, 1.8, 1.05), 0)
            f.of(f.finishes.dark(), labels.STRUCTURE).pipe((x - way, y, 3.4), (x, y, 3.4), 0.05)
    for _ in range(rng.randint(2, 10)):
        role = rng.choice(("outdoorbench", "gym", "games", "box", "floorsmall", "pingpong", "bag"))
        model = f.pick(role)
        f.against_wall(room, model) if f.chance(0.6) else f.somewhere(room, model)
    if f.chance(0.3):
        add_pillars(f, room, f.finishes.white(), 9.0, 0.4)
