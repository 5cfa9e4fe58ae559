"""Offices: open plans with desks and screens, and meeting rooms."""

from __future__ import annotations

import math
import random

from mtpano_model.worlds import labels
from mtpano_model.worlds.decor import hang, panel, pile
from mtpano_model.worlds.furnish import Furnisher
from mtpano_model.worlds.groups import clutter, sofa_group, storage
from mtpano_model.worlds.kinds.annex import add_annexes, main_room
from mtpano_model.worlds.kinds.equipment import ceiling_pipes, partition
from mtpano_model.worlds.kinds.shells import build_annexes
from mtpano_model.worlds.kinds.windows import add_doors_outside, add_windows, glass_front
from mtpano_model.worlds.light import light_large_room
from mtpano_model.worlds.plan import Plan, Room, Wall
from mtpano_model.worlds.scene import Material, footprint
from mtpano_model.worlds.shell import OFFICE, add_pillars, build_shell
from mtpano_model.worlds.solids import build_table


def plan_office(rng: random.Random) -> Plan:
    room = main_room(rng, "office", (7, 30), (6, 18), (2.4, 3.6), (0.55, 0.3, 0.15))
    plan = Plan("office", [room])
    add_annexes(rng, plan, rng.choice((0, 1, 2, 3)), ("study", "storeroom", "passage", "toilet"))
    return plan


def plan_meeting(rng: random.Random) -> Plan:
    room = main_room(rng, "office", (3.2, 9), (3, 6), (2.3, 3.2), (0.9, 0.1, 0))
    plan = Plan("meeting", [room])
    add_annexes(rng, plan, rng.choice((0, 1, 1)), ("passage", "study"))
    return plan


def build_shells(
    f: Furnisher, lamps: float, windows: int, width: tuple[float, float] = (1.0, 3.5)
) -> None:
    """Openings, shells and lamps of the main room and its annexes; annexes furnished."""
    rng, main = f.rng, f.plan.rooms[0]
    if f.chance(0.35):
        glass_front(
            f,
            max(main.walls, key=lambda w: w.length),
            main.lowest_ceiling - 0.25,
            f.chance(0.5),
        )
    add_windows(
        f,
        main,
        windows,
        bottom=rng.choice((0.1, 0.8, 0.9, 1.0)),
        top=main.lowest_ceiling - 0.3,
        width=width,
    )
    add_doors_outside(f, main, rng.choice((1, 1, 2)))
    build_shell(f, main, OFFICE)
    light_large_room(
        f, main, lamps, rng.uniform(2.2, 3.2), rng.choice(("panel", "panel", "tube", "line"))
    )
    build_annexes(f, lamps)


def workplace(
    f: Furnisher,
    room: Room,
    x: float,
    y: float,
    size: tuple[float, float, float],
    angle: float,
    top: Material,
    legs: Material,
) -> bool:
    """A desk with screens, papers and a chair; its user sits at the side of -y."""
    rng = f.rng
    place = footprint(x, y, angle, size, labels.DESK)
    if not f.fits(room, place.box, 0.0):
        return False
    build_table(f.scene, place, top, legs)
    f.scene.take(place.box)
    dark = f.of(f.finishes.dark(), labels.PROP)
    for dx in (-0.32, 0.32) if size[0] > 1.3 and f.chance(0.5) else (rng.uniform(-0.15, 0.15),):
        if f.chance(0.85):
            turn = angle + rng.uniform(-0.25, 0.25)
            at = place.at(dx, size[1] * 0.2)
            dark.turned((*at, size[2]), (0.2, 0.16, 0.015), turn)
            dark.turned((*at, size[2] + 0.015), (0.04, 0.03, 0.15), turn)
            dark.turned((*at, size[2] + 0.12), (0.54, 0.035, 0.32), turn)
            front = (at[0] + 0.02 * math.sin(turn), at[1] - 0.02 * math.cos(turn), size[2] + 0.13)
            f.of(f.finishes.screen(), labels.PROP).turned(front, (0.52, 0.004, 0.3), turn)
    dark.turned((*place.at(0, -size[1] * 0.2), size[2]), (0.42, 0.14, 0.02), angle)
    for _ in range(rng.randint(0, 4)):
        pile(
            f,
            *place.at(rng.uniform(-0.42, 0.42) * size[0], rng.uniform(-0.3, 0.35) * size[1]),
            size[2],
        )
    for role in rng.choices(
        ("tabletop", "desktop", "smallplant", "tablelamp"), k=rng.randint(0, 3)
    ):
        model = f.pick(role, widest=0.45, deepest=0.45, highest=0.6)
        if model:
            at = place.at(rng.uniform(-0.42, 0.42) * size[0], rng.uniform(0.05, 0.35) * size[1])
            f.put(model, *at, size[2], angle + rng.uniform(-0.5, 0.5), takes=False)
    chair = f.pick("officechair") or f.pick("chair")
    if chair and f.chance(0.9):
        at = place.at(rng.uniform(-0.2, 0.2), -size[1] / 2 - rng.uniform(0.05, 0.5))
        f.seat(room, chair, *at, angle + math.pi + rng.uniform(-0.8, 0.8), [place])
    if f.chance(0.3):
        f.somewhere(room, f.pick("trash"))
    return True


def build_office(f: Furnisher, lamps: float) -> None:
    rng, room = f.rng, f.plan.rooms[0]
    build_shells(f, lamps, rng.randint(1, 8))
    if room.area > 90:
        add_pillars(f, room, f.finishes.white(), rng.uniform(5, 8), rng.uniform(0.3, 0.5))
    if f.chance(0.25):
        ceiling_pipes(f, room, rng.randint(2, 6))
    top = f.finishes.white() if f.chance(0.5) else f.finishes.wood()
    legs = f.finishes.steel() if f.chance(0.6) else f.finishes.dark()
    screen = (
        f.finishes.textured(["cloth", "floor_soft"], (0.8, 0.95))
        if f.chance(0.6)
        else f.finishes.painted()
    )
    if f.chance(0.15):
        screen = f.finishes.glass()
    wide, deep = rng.uniform(1.2, 1.8), rng.uniform(0.65, 0.85)
    per_row, aisle = rng.randint(2, 5), rng.uniform(1.3, 2.2)
    high = rng.choice((0.0, 1.1, 1.25, 1.5, 1.7))
    y = room.low[1] + rng.uniform(1.0, 2.0)
    while y + 2 * deep < room.high[1]:
        x = room.low[0] + rng.uniform(0.8, 1.6)
        while x + wide < room.high[0]:
            done = 0
            for _ in range(per_row):
                if f.chance(0.92):
                    for dy, angle in ((-deep / 2 - 0.03, 0.0), (deep / 2 + 0.03, math.pi)):
                        done += workplace(
                            f, room, x + wide / 2, y + dy, (wide, deep, 0.73), angle, top, legs
                        )
                x += wide + 0.02
            if high and done > 1:
                partition(f, (x - per_row * wide, y), (x, y), high, screen)
            x += aisle
        y += 2 * deep + rng.uniform(1.9, 3.0)
    storage(f, room, ("bookcase", "shelves", "cabinet", "bookcase"), int(room.area / 18) + 1)
    for _ in range(int(room.area / 60)):
        sofa_group(f, room)
    clutter(f, room, int(room.area / 9))
    wall_things(f, room)


def wall_things(f: Furnisher, room: Room) -> None:
    """Boards, posters and a clock's worth of other things on the walls."""
    for _ in range(f.rng.randint(0, 3)):
        whiteboard(f, room)
    for _ in range(f.rng.randint(1, 6)):
        hang(f, room)


def whiteboard(f: Furnisher, room: Room, wall: Wall | None = None) -> None:
    """A board on a wall, white or green."""
    rng = f.rng
    side = wall or room.any_wall(rng)
    w, h = rng.uniform(1.2, min(3.6, max(1.3, side.length - 0.6))), rng.uniform(0.9, 1.3)
    if side.length < w + 0.3:
        return
    u, z = rng.uniform(w / 2 + 0.1, side.length - w / 2 - 0.1), rng.uniform(0.8, 1.0)
    box = side.box(u - w / 2, u + w / 2, 0.0, 0.06, z, z + h)
    if side.is_bare(u - w / 2, u + w / 2, z, z + h) and f.scene.is_free(box):
        white = f.chance(0.75)
        skin = (
            f.finishes.paint((0.9, 0.9, 0.9), 0.15)
            if white
            else f.finishes.paint((0.04, 0.16, 0.1), 0.6)
        )
        panel(f, side, u - w / 2, u + w / 2, 0.03, z, z + h, skin, labels.BOARD)
        f.scene.take(box)


def build_meeting(f: Furnisher, lamps: float) -> None:
    """One long table with chairs, a board and a screen."""
    rng, room = f.rng, f.plan.rooms[0]
    build_shells(f, lamps, rng.randint(0, 3))
    along_x = room.size[0] > room.size[1]
    wide = max(1.6, max(room.size) - rng.uniform(2.2, 3.2))
    size = (min(wide, 7.0), rng.uniform(0.9, 1.5), 0.74)
    x, y = map(float, room.middle)
    table = footprint(x, y, 0.0 if along_x else math.pi / 2, size, labels.TABLE)
    if f.fits(room, table.box, 0.3):
        top = f.finishes.wood() if f.chance(0.6) else f.finishes.white()
        build_table(f.scene, table, top, f.finishes.steel())
        f.scene.take(table.box)
        f.around(
            room, table, f.pick(rng.choice(("officechair", "chair"))), rng.uniform(0.7, 1), 0.25
        )
        for _ in range(rng.randint(0, 6)):
            pile(
                f,
                *table.at(rng.uniform(-0.45, 0.45) * size[0], rng.uniform(-0.35, 0.35) * size[1]),
                size[2],
            )
    f.against_wall(room, f.pick("walltv"), z=rng.uniform(0.9, 1.2), gap=0.01)
    storage(f, room, ("cabinet", "shelves", "bookcase"), rng.randint(0, 3))
    clutter(f, room, rng.randint(0, 4))
    wall_things(f, room)
