"""Long corridors, with rooms at their sides."""

from __future__ import annotations

import random

import numpy as np

from mtpano_model.worlds import labels
from mtpano_model.worlds.decor import hang
from mtpano_model.worlds.furnish import Furnisher
from mtpano_model.worlds.kinds.annex import add_annexes
from mtpano_model.worlds.kinds.equipment import ceiling_pipes
from mtpano_model.worlds.kinds.shells import build_shells
from mtpano_model.worlds.kinds.windows import glass_front
from mtpano_model.worlds.outline import l_shape, rectangle
from mtpano_model.worlds.plan import Opening, Plan, Room
from mtpano_model.worlds.shell import PUBLIC


def plan_corridor(rng: random.Random) -> Plan:
    """Straight or bent, 8 to 60 m long, with rooms at its sides."""
    width = rng.choice((rng.uniform(1.1, 1.6), rng.uniform(1.5, 2.6), rng.uniform(2.6, 4.0)))
    length = rng.choice((rng.uniform(8, 20), rng.uniform(20, 60)))
    outline = rectangle(length, width)
    if rng.random() < 0.35:
        side = rng.uniform(5, 25)
        outline = l_shape(rng, length, side + width, width)
        x, y = (sorted({round(p[k], 6) for p in outline}) for k in (0, 1))
        if min(x[1] - x[0], x[2] - x[1], y[1] - y[0], y[2] - y[1]) > 0:
            outline = [
                (0, 0),
                (length, 0),
                (length, width),
                (width, width),
                (width, side + width),
                (0, side + width),
            ]
    room = Room(outline, "public", rng.uniform(2.25, 3.2), 0.1)
    plan = Plan("corridor", [room])
    add_annexes(
        rng,
        plan,
        int(length / 9),
        ("study", "closet", "toilet", "bedroom", "storeroom"),
        ("none", "ajar", "ajar", "glass"),
        (2.2, 5.0),
    )
    return plan


def build_corridor(f: Furnisher, lamps: float) -> None:
    """Doors on both sides, lamps in a row, little else."""
    rng, room = f.rng, f.plan.rooms[0]
    step, low = rng.uniform(2.2, 4.5), rng.choice((0.8, 0.9, 0.9, 1.0))
    for wall in room.walls:
        for start in np.arange(rng.uniform(0.5, 1.5), wall.length - low - 0.3, step):
            if f.chance(0.8) and wall.has_room_for(start, start + low):
                wall.openings.append(
                    Opening(
                        "door",
                        float(start),
                        float(start) + low,
                        0,
                        min(2.05, room.height - 0.1),
                        "closed",
                    )
                )
        if wall.length < 5 and f.chance(0.4):
            glass_front(f, wall, room.height - 0.2, f.chance(0.5))
    build_shells(f, lamps, PUBLIC, rng.uniform(2.2, 4.5), rng.choice(("panel", "tube", "line")))
    if f.chance(0.3):
        ceiling_pipes(f, room, rng.randint(1, 3))
    for role in rng.choices(
        ("chair", "plant", "box", "trash", "radiator", "cabinet", "floorsmall", "stroller", "bike"),
        k=rng.randint(0, int(max(room.size) / 4) + 1),
    ):
        f.against_wall(room, f.pick(role, deepest=min(room.size) - 0.9))
    for _ in range(int(max(room.size) / 6)):
        hang(
            f,
            room,
            size=(rng.uniform(0.3, 0.9), rng.uniform(0.3, 0.9)),
            label=rng.choice((labels.PICTURE, labels.BOARD)),
        )
