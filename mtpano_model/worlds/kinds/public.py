"""Public rooms: canteens and lobbies."""

from __future__ import annotations

import math
import random

import numpy as np

from mtpano_model.worlds import labels
from mtpano_model.worlds.decor import hang, rug
from mtpano_model.worlds.furnish import Furnisher
from mtpano_model.worlds.groups import clutter, sofa_group
from mtpano_model.worlds.kinds.annex import add_annexes, main_room
from mtpano_model.worlds.kinds.equipment import columns
from mtpano_model.worlds.kinds.shells import build_shells
from mtpano_model.worlds.kinds.windows import add_doors_outside, add_windows, glass_front
from mtpano_model.worlds.plan import Plan, Room
from mtpano_model.worlds.scene import Placed, footprint
from mtpano_model.worlds.shell import PUBLIC
from mtpano_model.worlds.solids import build_table
from mtpano_model.worlds.stairs import add_stairs


def plan_canteen(rng: random.Random) -> Plan:
    room = main_room(rng, "public", (9, 28), (7, 18), (2.6, 4.5), (0.6, 0.3, 0.1))
    plan = Plan("canteen", [room])
    add_annexes(rng, plan, rng.choice((0, 1, 2)), ("kitchen", "passage", "toilet", "storeroom"))
    return plan


def build_canteen(f: Furnisher, lamps: float) -> None:
    """Rows of tables with chairs, and a counter along one wall."""
    rng, room = f.rng, f.plan.rooms[0]
    if f.chance(0.5):
        glass_front(f, rng.choice(room.walls), room.lowest_ceiling - 0.3)
    add_windows(
        f, room, rng.randint(0, 6), bottom=0.6, top=room.lowest_ceiling - 0.4, width=(1.2, 3.0)
    )
    add_doors_outside(f, room, 2)
    build_shells(f, lamps, PUBLIC, rng.uniform(2.4, 4.0))
    if room.area > 120:
        columns(f, room, rng.uniform(5, 8), rng.uniform(0.18, 0.35))
    counter(f, room)
    size = rng.choice(((1.2, 0.8, 0.75), (1.8, 0.8, 0.75), (0.8, 0.8, 0.75)))
    chair = f.pick(rng.choice(("chair", "chair", "stool")))
    top = f.finishes.wood() if f.chance(0.6) else f.finishes.painted()
    legs, bench = f.finishes.steel(), f.pick("table")
    use_model = bench is not None and f.chance(0.3)
    if use_model and bench is not None:
        size = bench.size
    angle = rng.choice((0.0, math.pi / 2))
    w, d = (size[0], size[1]) if angle == 0 else (size[1], size[0])
    for x in np.arange(room.low[0] + 1.4, room.high[0] - 1.0, w + rng.uniform(1.2, 2.2)):
        for y in np.arange(room.low[1] + 1.4, room.high[1] - 1.0, d + rng.uniform(1.3, 2.2)):
            place = footprint(x, y, angle + rng.gauss(0, 0.03), size, labels.TABLE)
            if f.chance(0.1) or not f.fits(room, place.box, 0.2):
                continue
            if use_model and bench is not None:
                place = f.put(bench, place.x, place.y, 0.0, place.angle)
            else:
                build_table(f.scene, place, top, legs)
                f.scene.take(place.box)
            f.around(room, place, chair, 0.8, 0.15)
            model = f.pick("tabletop", highest=0.4, widest=0.4)
            if model and f.chance(0.5):
                f.put(
                    model,
                    *place.at(0.0, rng.uniform(-0.2, 0.2)),
                    size[2],
                    rng.uniform(0, 6.28),
                    takes=False,
                )
    clutter(f, room, rng.randint(2, 8))
    for _ in range(rng.randint(1, 6)):
        hang(f, room)


def counter(f: Furnisher, room: Room) -> Placed | None:
    """A long counter before a wall, with things on it."""
    rng = f.rng
    wall = max(room.walls, key=lambda w: w.length * rng.uniform(0.6, 1))
    length = min(wall.length - 1.2, rng.uniform(2.5, 8.0))
    if length < 1.8:
        return None
    at, off = rng.uniform(length / 2 + 0.5, wall.length - length / 2 - 0.5), rng.uniform(1.0, 1.6)
    x, y = map(float, wall.point(at, off))
    size = (length, 0.7, rng.uniform(0.9, 1.15))
    place = footprint(x, y, wall.angle, size, labels.COUNTER)
    if not f.fits(room, place.box, 0.2):
        return None
    body = f.finishes.wood() if f.chance(0.5) else f.finishes.textured(["floor_tile", "wall_wood"])
    f.of(body, labels.COUNTER).turned((x, y, 0), (length, 0.6, size[2] - 0.04), wall.angle)
    f.of(f.finishes.dark(), labels.COUNTER).turned(
        (x, y, size[2] - 0.04), (length, 0.75, 0.04), wall.angle
    )
    f.scene.take(place.box)
    for role in rng.choices(
        ("kitchentop", "tabletop", "desktop", "smallplant", "box"), k=int(length)
    ):
        model = f.pick(role, widest=0.6, deepest=0.5, highest=0.6)
        if model:
            f.put(
                model,
                *place.at(rng.uniform(-0.45, 0.45) * length, rng.uniform(-0.1, 0.1)),
                size[2],
                wall.angle,
                takes=False,
            )
    return place


def plan_lobby(rng: random.Random) -> Plan:
    height = rng.choice((rng.uniform(3, 4.5), rng.uniform(4.5, 8), rng.uniform(8, 12)))
    room = main_room(rng, "public", (9, 34), (8, 22), height, (0.7, 0.2, 0.1))
    if rng.random() < 0.15:
        room.slope, room.height = (rng.uniform(0.05, 0.15), 0.0), height + 1
    plan = Plan("lobby", [room])
    add_annexes(
        rng,
        plan,
        rng.choice((1, 2, 3)),
        ("passage", "study", "toilet"),
        ("none", "none", "glass"),
        (3, 8),
    )
    return plan


def build_lobby(f: Furnisher, lamps: float) -> None:
    """Columns, a glass front, a reception, seats, plants, stairs and lifts."""
    rng, room = f.rng, f.plan.rooms[0]
    fronts = sorted(room.walls, key=lambda w: -w.length)
    for wall in fronts[: rng.choice((1, 1, 2))]:
        if not wall.shared:
            glass_front(f, wall, rng.uniform(0.7, 0.95) * room.lowest_ceiling)
    add_doors_outside(f, room, rng.choice((0, 1, 2, 3)), "lift", (1.1,), 2.1)
    add_doors_outside(f, room, 2)
    surface = build_shells(f, lamps, PUBLIC, rng.uniform(3, 5))
    if room.height > 4.4 and f.chance(0.7):
        add_stairs(f, room, surface, rng.uniform(2.8, 3.6))
    columns(f, room, rng.uniform(5, 9), rng.uniform(0.2, 0.5))
    counter(f, room)
    for _ in range(1 + int(room.area / 60)):
        sofa_group(f, room)
    for _ in range(2 + int(room.area / 40)):
        f.somewhere(
            room, f.pick(rng.choice(("plant", "armchair", "smalltable", "bigvase", "puff")))
        )
    if f.chance(0.4):
        x, y = map(float, room.middle)
        rug(f, x, y, rng.uniform(3, 6), rng.uniform(2, 4), 0)
    for _ in range(rng.randint(0, 5)):
        hang(f, room, size=(rng.uniform(0.8, 2.5), rng.uniform(0.8, 1.6)))
