"""Places of work: workshops, warehouses, garages."""

from __future__ import annotations

import math
import random

import numpy as np

from mtpano_model.worlds.decor import hang
from mtpano_model.worlds.furnish import Furnisher
from mtpano_model.worlds.groups import storage
from mtpano_model.worlds.kinds.annex import add_annexes, main_room
from mtpano_model.worlds.kinds.equipment import (
    ceiling_pipes,
    floor_marks,
    machine,
    ramp,
    trusses,
    workbench,
)
from mtpano_model.worlds.kinds.racks import pallet_stack, rack
from mtpano_model.worlds.kinds.shells import build_shells
from mtpano_model.worlds.kinds.windows import add_doors_outside, add_windows
from mtpano_model.worlds.plan import Plan
from mtpano_model.worlds.scene import footprint
from mtpano_model.worlds.shell import WORKS, add_beams, add_pillars
from mtpano_model.worlds.stairs import add_stairs


def plan_workshop(rng: random.Random) -> Plan:
    room = main_room(rng, "works", (6, 30), (5, 18), (2.7, 7.5), (0.7, 0.2, 0.1))
    if rng.random() < 0.25:
        room.slope = (0.0, rng.uniform(0.05, 0.2))
        room.height += 0.8
    plan = Plan("workshop", [room])
    add_annexes(rng, plan, rng.choice((0, 1, 2)), ("study", "storeroom", "toilet"))
    return plan


def build_workshop(f: Furnisher, lamps: float) -> None:
    """Machines, benches, pallets, cupboards, pipes and a roller door."""
    rng, room = f.rng, f.plan.rooms[0]
    top = min(room.lowest_ceiling - 0.5, rng.uniform(2.4, 4))
    add_doors_outside(f, room, rng.choice((0, 1, 1, 2)), "roller", (2.4, 3.0, 3.6), top)
    add_doors_outside(f, room, rng.choice((1, 2)))
    add_windows(
        f, room, rng.randint(0, 6), rng.uniform(0.9, 2.2), room.lowest_ceiling - 0.4, (1.2, 4)
    )
    surface = build_shells(f, lamps, WORKS, rng.uniform(3, 4.5))
    if room.lowest_ceiling > 4 and f.chance(0.5):
        trusses(f, room, rng.uniform(3, 5))
    elif f.chance(0.5):
        add_beams(f, room, f.finishes.steel(), rng.randint(2, 6), 0.2, 0.3)
    if room.lowest_ceiling > 4.6 and f.chance(0.3):
        add_stairs(f, room, surface, 2.7)
    ceiling_pipes(f, room, rng.randint(0, 6))
    if f.chance(0.2):
        model = f.pick(rng.choice(("car", "forklift", "motorbike")))
        f.somewhere(room, model, rng.choice((0, math.pi / 2)), 0.4)
    for _ in range(1 + int(room.area / 25)):
        machine(f, room)
    for _ in range(1 + int(room.area / 30)):
        workbench(f, room)
    for _ in range(int(room.area / 35)):
        pallet_stack(f, room)
    storage(f, room, ("shelves", "cabinet", "wardrobe", "safe"), 1 + int(room.area / 25))
    for _ in range(int(room.area / 8)):
        role = rng.choice(
            (
                "box",
                "floorsmall",
                "furnmisc",
                "trash",
                "stool",
                "chair",
                "bag",
                "bike",
                "outdoorthing",
            )
        )
        f.somewhere(room, f.pick(role))
    for _ in range(rng.randint(0, 4)):
        hang(f, room)


def plan_warehouse(rng: random.Random) -> Plan:
    height = rng.choice((rng.uniform(4, 7), rng.uniform(7, 12)))
    room = main_room(rng, "works", (18, 60), (12, 30), height, (0.85, 0.15, 0))
    if rng.random() < 0.3:
        room.slope = (0.0, rng.uniform(0.03, 0.08))
    plan = Plan("warehouse", [room])
    add_annexes(rng, plan, rng.choice((0, 1, 2)), ("study", "storeroom"))
    return plan


def build_warehouse(f: Furnisher, lamps: float) -> None:
    """Rows of racks with aisles, loose pallets, dock doors, fork lifts."""
    rng, room = f.rng, f.plan.rooms[0]
    add_doors_outside(
        f, room, rng.randint(1, 5), "roller", (2.8, 3.2, 3.6), min(4.0, room.lowest_ceiling - 0.6)
    )
    add_doors_outside(f, room, 2)
    add_windows(
        f, room, rng.randint(0, 5), room.lowest_ceiling - 1.6, room.lowest_ceiling - 0.5, (2, 9)
    )
    build_shells(f, lamps, WORKS, rng.uniform(4.5, 6.5), rng.choice(("reflector", "tube", "line")))
    if f.chance(0.7):
        trusses(f, room, rng.uniform(4, 7))
    along_x = room.size[0] > room.size[1] if f.chance(0.7) else f.chance(0.5)
    run, across = (0, 1) if along_x else (1, 0)
    yard = rng.uniform(3, 0.35 * float(room.size[run]))  # left free for loading
    bays = max(1, int((room.size[run] - yard - 2.0) / 2.7))
    aisle, high = rng.uniform(2.0, 3.8), min(room.lowest_ceiling - 1.0, rng.uniform(2.5, 9))
    skins = (
        f.finishes.painted((0.5, 0.9), (0.2, 0.6)),
        f.finishes.paint((0.8, rng.uniform(0.15, 0.4), 0.02)),
    )
    fill = rng.uniform(0.4, 0.95)
    at = float(room.low[across]) + rng.uniform(0.8, 2.0)
    while at + 2.4 < room.high[across]:
        middle = float(room.low[run]) + 1.0 + bays * 2.7 / 2
        for off in (0.0, 1.2) if f.chance(0.8) else (0.0,):
            x, y = (middle, at + off + 0.55) if along_x else (at + off + 0.55, middle)
            length = bays * 2.7
            box = footprint(x, y, 0.0 if along_x else math.pi / 2, (length, 1.1, high)).box
            if f.fits(room, box, 0.0):
                rack(f, x, y, bays, high, along_x, skins, fill)
        at += 2.3 + aisle
    for _ in range(int(room.area / 40)):
        pallet_stack(f, room)
    for role in rng.choices(
        ("forklift", "forklift", "box", "van", "furnmisc", "trash"), k=rng.randint(0, 3)
    ):
        f.somewhere(room, f.pick(role), rng.uniform(0, 6.28) if role != "van" else 0.0, 0.2)
    if f.chance(0.5):
        yellow = f.finishes.paint((0.8, 0.6, 0.02))
        lines = [
            (float(room.low[0]) + 0.5, float(y), float(room.high[0]) - 0.5, float(y))
            for y in np.linspace(room.low[1] + 1, room.high[1] - 1, 3)
        ]
        floor_marks(f, lines, 0.1, yellow)


def plan_garage(rng: random.Random) -> Plan:
    """A garage of a house, or a storey of a car park."""
    if rng.random() < 0.45:
        room = main_room(rng, "works", (2.9, 7), (5, 8), (2.2, 2.9), (1, 0, 0))
        plan = Plan("garage", [room])
        add_annexes(rng, plan, rng.choice((0, 1)), ("storeroom", "passage", "closet"))
        return plan
    room = main_room(rng, "works", (16, 55), (14, 30), (2.3, 3.2), (0.8, 0.2, 0))
    return Plan("garage", [room])


def build_garage(f: Furnisher, lamps: float) -> None:
    rng, room = f.rng, f.plan.rooms[0]
    small = room.area < 60
    add_doors_outside(
        f,
        room,
        1 if small else rng.randint(0, 2),
        "roller",
        (2.4, 3.0, 4.8),
        min(2.3, room.height - 0.15),
    )
    add_doors_outside(f, room, 1 if small else 3)
    add_windows(
        f,
        room,
        rng.choice((0, 1)) if small else rng.choice((0, 6)),
        1.3,
        room.height - 0.3,
        (0.6, 3),
    )
    spacing = 3.0 if small else rng.uniform(4.5, 6)
    build_shells(f, lamps * 0.8, WORKS, spacing, rng.choice(("tube", "panel", "line")))
    ceiling_pipes(f, room, 0 if small else rng.randint(1, 6))
    if small:
        _house_garage(f)
    else:
        _car_park(f)


def _house_garage(f: Furnisher) -> None:
    """One or two cars among what gathers in garages."""
    rng, room = f.rng, f.plan.rooms[0]
    for _ in range(rng.choice((0, 1, 1, 2))):
        f.somewhere(
            room,
            f.pick("car"),
            rng.choice((0, math.pi)) + (math.pi / 2 if room.size[0] > room.size[1] else 0),
            0.2,
            60,
        )
    workbench(f, room)
    storage(f, room, ("shelves", "cabinet", "shelves"), rng.randint(1, 4))
    for _ in range(rng.randint(4, 16)):
        role = rng.choice(
            (
                "box",
                "box",
                "bike",
                "motorbike",
                "floorsmall",
                "bag",
                "furnmisc",
                "gym",
                "washer",
                "freezer",
                "outdoorthing",
                "stroller",
            )
        )
        model = f.pick(role, highest=room.height - 0.3)
        f.against_wall(room, model) if f.chance(0.6) else f.somewhere(room, model)


def _car_park(f: Furnisher) -> None:
    """Marked slots on both sides of lanes, pillars between them, a ramp in some."""
    rng, room = f.rng, f.plan.rooms[0]
    white, slot = f.finishes.white(), rng.uniform(2.4, 2.7)
    add_pillars(
        f,
        room,
        f.finishes.textured(["wall_concrete"]) if f.chance(0.6) else f.finishes.white(),
        slot * 2.5,
        rng.uniform(0.35, 0.6),
    )
    if f.chance(0.6):
        ramp(f, room, f.finishes.textured(["floor_concrete"]))
    lines, share = [], rng.uniform(0.25, 0.8)
    y = float(room.low[1]) + 0.3
    upward = True
    while y + 5 < room.high[1]:
        for x in np.arange(room.low[0] + 0.3, room.high[0] - slot, slot):
            if room.holds(float(x), y, float(x) + slot, y + 5):
                lines += [
                    (float(x), y, float(x), y + 5),
                    (float(x) + slot, y, float(x) + slot, y + 5),
                ]
                model = f.pick(
                    rng.choice(("car",) * 12 + ("van", "motorbike")), highest=room.height - 0.2
                )
                if model and f.chance(share):
                    angle = (0 if f.chance(0.5) else math.pi) + rng.gauss(0, 0.03)
                    cx, cy = float(x) + slot / 2 + rng.gauss(0, 0.08), y + 2.5 + rng.gauss(0, 0.1)
                    if f.fits(room, footprint(cx, cy, angle, model.size).box, 0.0):
                        f.put(model, cx, cy, 0.0, angle)
        y += 5.0 if not upward else 5 + rng.uniform(5.0, 6.5)
        upward = not upward
    floor_marks(f, lines, 0.1, white)
    for _ in range(rng.randint(0, 5)):
        f.against_wall(room, f.pick(rng.choice(("trash", "box", "bike", "cabinet"))))
