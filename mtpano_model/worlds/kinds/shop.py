"""Shops: aisles of goods, rails of clothes, a till, a shop window."""

from __future__ import annotations

import random

import numpy as np

from mtpano_model.worlds import labels
from mtpano_model.worlds.decor import hang
from mtpano_model.worlds.furnish import Furnisher
from mtpano_model.worlds.kinds.annex import add_annexes, main_room
from mtpano_model.worlds.kinds.public import counter
from mtpano_model.worlds.kinds.shells import build_shells
from mtpano_model.worlds.kinds.windows import add_doors_outside, glass_front
from mtpano_model.worlds.plan import Plan
from mtpano_model.worlds.scene import Placed, footprint
from mtpano_model.worlds.shell import PUBLIC


def plan_shop(rng: random.Random) -> Plan:
    room = main_room(rng, "public", (6, 32), (5, 20), (2.6, 5.0), (0.65, 0.25, 0.1))
    plan = Plan("shop", [room])
    add_annexes(rng, plan, rng.choice((0, 1, 2)), ("storeroom", "study", "closet"))
    return plan


def build_shop(f: Furnisher, lamps: float) -> None:
    """Shelves of goods in aisles, or rails of clothes; a till; a shop window."""
    rng, room = f.rng, f.plan.rooms[0]
    glass_front(
        f,
        max(room.walls, key=lambda w: w.length * rng.uniform(0.5, 1)),
        min(3.2, room.lowest_ceiling - 0.25),
    )
    add_doors_outside(f, room, 1)
    build_shells(f, lamps, PUBLIC, rng.uniform(2, 3.2))
    counter(f, room)
    clothes = f.chance(0.35)
    high, length = rng.uniform(1.3, 2.2), rng.uniform(1.8, 6.0)
    aisle = rng.uniform(1.1, 2.0)
    for y in np.arange(room.low[1] + 1.6, room.high[1] - 1.0, 0.9 + aisle):
        for x in np.arange(
            room.low[0] + 1.0 + length / 2,
            room.high[0] - 0.5 - length / 2,
            length + rng.uniform(1.2, 2.0),
        ):
            place = footprint(x, y, 0.0, (length, 0.9, 1.5 if clothes else high), labels.SHELVES)
            if f.fits(room, place.box, 0.2):
                if clothes and f.chance(0.8):
                    _rail(f, place)
                else:
                    gondola(f, place)
    for _ in range(int(room.area / 25) + 1):
        f.somewhere(
            room,
            f.pick(
                rng.choice(
                    ("mannequin", "plant", "box", "bag", "smalltable", "bike", "puff", "mirror")
                )
            ),
        )
    for wall in room.walls:
        if f.chance(0.5) and wall.length > 3:
            at = rng.uniform(1.2, wall.length - 1.2)
            x, y = map(float, wall.point(at, 0.25))
            place = footprint(
                x, y, wall.angle, (2.0, 0.4, min(2.2, room.lowest_ceiling - 0.3)), labels.SHELVES
            )
            if wall.is_bare(at - 1.0, at + 1.0, 0, 2) and f.fits(room, place.box, 0.0):
                gondola(f, place)
    for _ in range(rng.randint(2, 8)):
        hang(f, room, middle=rng.uniform(1.6, max(1.7, room.lowest_ceiling - 0.8)))


def gondola(f: Furnisher, place: Placed) -> None:
    """A shop shelf: a back and boards full of goods on both sides."""
    rng = f.rng
    length, deep, high = place.size
    skin = f.of(f.finishes.white() if f.chance(0.6) else f.finishes.painted(), labels.SHELVES)
    palette = [f.finishes.painted((0.1, 0.95), (0.15, 0.95)) for _ in range(6)]
    skin.turned((*place.at(0, 0), 0), (length, 0.05, high), place.angle)
    skin.turned((*place.at(0, 0), 0), (length, deep, 0.12), place.angle)
    step = rng.uniform(0.3, 0.5)
    for z in np.arange(0.12, high - 0.1, step):
        skin.turned((*place.at(0, 0), z - 0.02), (length, deep * 0.9, 0.02), place.angle)
        for side in (-1, 1):
            at = -length / 2 + 0.05
            while at < length / 2 - 0.1:
                wide, tall = rng.uniform(0.08, 0.45), rng.uniform(0.08, step - 0.06)
                if f.chance(0.9) and at + wide < length / 2:
                    depth = rng.uniform(0.12, 0.36) * min(1.0, deep)
                    where = (*place.at(at + wide / 2, side * (deep * 0.44 - depth / 2)), z)
                    f.of(rng.choice(palette), rng.choice((labels.BOX, labels.PROP))).turned(
                        where, (wide * 0.96, depth, tall), place.angle
                    )
                at += wide
    f.scene.take(place.box)


def _rail(f: Furnisher, place: Placed) -> None:
    """Clothes on a rail."""
    rng = f.rng
    length, _, high = place.size
    steel = f.of(f.finishes.steel(), labels.SHELVES)
    ends = [(*place.at(dx, 0), high) for dx in (-length / 2, length / 2)]
    steel.pipe(ends[0], ends[1], 0.015)
    for x, y, _ in ends:
        steel.pipe((x, y, 0), (x, y, high), 0.015)
    palette = [f.finishes.painted((0, 0.9), (0.05, 0.9), 0.9) for _ in range(7)]
    at = -length / 2 + 0.06
    while at < length / 2 - 0.06:
        long = rng.uniform(0.6, 1.15)
        size = (rng.uniform(0.02, 0.05), rng.uniform(0.38, 0.5), long)
        turn = place.angle + rng.uniform(-0.2, 0.2)
        cloth = f.of(rng.choice(palette), labels.CLOTHES)
        cloth.turned((*place.at(at, 0), high - 0.05 - long), size, turn)
        at += rng.uniform(0.04, 0.12)
    f.scene.take(place.box)
