"""Homes: several rooms side by side, joined by doors, with closets, passages and stairs."""

from __future__ import annotations

import random

from mtpano_model.worlds.furnish import Furnisher
from mtpano_model.worlds.kinds.windows import add_doors_outside, add_windows
from mtpano_model.worlds.light import light_home_room
from mtpano_model.worlds.outline import bay_window, cut_corner
from mtpano_model.worlds.plan import Leaf, Plan, Room, connect, inset
from mtpano_model.worlds.shell import HOME, add_beams, build_shell
from mtpano_model.worlds.stairs import add_stairs
from mtpano_model.worlds.themes import furnish_home_room

Rect = tuple[float, float, float, float]
_SMALLEST_SIDE = 2.2


def plan(rng: random.Random) -> Plan:
    """Three to nine rooms in a rectangle, cut by walls."""
    wide, deep = rng.uniform(6, 13), rng.uniform(5, 10)
    thick = rng.uniform(0.1, 0.2)
    # 2.3 to 2.5 m is what most homes have.
    height = rng.choice(
        (
            rng.uniform(2.28, 2.5),
            rng.uniform(2.28, 2.5),
            rng.uniform(2.5, 2.8),
            rng.uniform(2.8, 3.6),
        )
    )
    cells = _divide(rng, (0.0, 0.0, wide, deep))
    themes = _themes(rng, cells)
    rooms = []
    for cell, theme in zip(cells, themes, strict=True):
        x0, y0, x1, y1 = cell
        polygon = inset([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], thick / 2)
        rooms.append(
            Room(_outer_shape(rng, polygon, theme, (wide, deep)), theme, height, thick / 2)
        )
    _slope_one(rng, rooms)
    rooms.sort(key=lambda room: -room.area)
    _join(rng, rooms)
    rooms = [room for room in rooms if any(w.shared for w in room.walls)] or rooms[:1]
    return Plan("home", rooms)


def _divide(rng: random.Random, whole: Rect) -> list[Rect]:
    """Cut a rectangle into rooms: perhaps a passage first, then halves, then closets."""
    cells = [whole]
    x0, y0, x1, y1 = whole
    if y1 - y0 > 6.5 and rng.random() < 0.6:
        low = y0 + rng.uniform(0.35, 0.55) * (y1 - y0)
        high = low + rng.uniform(1.0, 1.8)
        cells = [(x0, low, x1, high), (x0, y0, x1, low), (x0, high, x1, y1)]
    done = []
    while cells:
        cell = cells.pop()
        w, d = cell[2] - cell[0], cell[3] - cell[1]
        limit = rng.uniform(9, 34)
        if w * d < limit or max(w, d) < 2 * _SMALLEST_SIDE or min(w, d) < 1.9:
            done.append(cell)
            continue
        share = rng.uniform(_SMALLEST_SIDE / max(w, d), 1 - _SMALLEST_SIDE / max(w, d))
        cells += _cut(cell, share * max(w, d))
    for _ in range(rng.choice((0, 1, 1, 2))):  # closets and toilets of 0.8 to 1.5 m
        large = [c for c in done if min(c[2] - c[0], c[3] - c[1]) > 3.2]
        if large:
            cell = rng.choice(large)
            done.remove(cell)
            strip, rest = _cut(cell, rng.uniform(0.95, 1.6))
            done += [rest, *_cut(strip, rng.uniform(1.0, 2.0))]
    return done


def _cut(cell: Rect, at: float) -> list[Rect]:
    """Two parts, `at` metres from the start of the longer side."""
    x0, y0, x1, y1 = cell
    if x1 - x0 > y1 - y0:
        return [(x0, y0, x0 + at, y1), (x0 + at, y0, x1, y1)]
    return [(x0, y0, x1, y0 + at), (x0, y0 + at, x1, y1)]


def _themes(rng: random.Random, cells: list[Rect]) -> list[str]:
    """What each room is for, by its size."""
    areas = [(c[2] - c[0]) * (c[3] - c[1]) for c in cells]
    themes = [""] * len(cells)
    wanted = ["living", "kitchen", "bedroom", "bath"]
    for index in sorted(range(len(cells)), key=lambda i: -areas[i]):
        sides = sorted((cells[index][2] - cells[index][0], cells[index][3] - cells[index][1]))
        if sides[0] < 1.9:
            if sides[1] > 3.5:
                themes[index] = "passage"
            else:
                themes[index] = rng.choice(("toilet", "closet", "storeroom"))
        elif areas[index] < 8.5 and "bath" in wanted:
            themes[index] = "bath"
            wanted.remove("bath")
        elif wanted and wanted[0] != "bath":
            themes[index] = wanted.pop(0)
        else:
            themes[index] = rng.choice(("bedroom", "bedroom", "study", "bath", "living"))
    return themes


def _outer_shape(rng: random.Random, polygon: list, theme: str, whole: tuple[float, float]) -> list:
    """At the outer wall a room may have a bay or a corner cut off."""
    if theme in ("living", "bedroom", "study", "kitchen") and rng.random() < 0.18:
        if polygon[0][1] < 0.2 and polygon[1][0] - polygon[0][0] > 2.8:
            return bay_window(rng, polygon, 0)
        if polygon[2][1] > whole[1] - 0.2 and polygon[2][0] - polygon[3][0] > 2.8:
            return bay_window(rng, polygon, 2)
    elif theme in ("living", "bedroom") and rng.random() < 0.12:
        return cut_corner(rng, polygon)
    return polygon


def _slope_one(rng: random.Random, rooms: list[Room]) -> None:
    """Under a roof: a room's ceiling rises, or one room is two storeys high."""
    large = [r for r in rooms if min(r.size) > 2.8]
    if large and rng.random() < 0.22:
        room = rng.choice(large)
        axis = rng.randrange(2)
        rise = rng.choice((-1, 1)) * rng.uniform(0.15, 0.6)
        slope = (rise, 0.0) if axis == 0 else (0.0, rise)
        room.slope, room.height = slope, room.height + abs(rise) * float(room.size[axis]) / 2
    elif large and rng.random() < 0.12:
        room = max(large, key=lambda r: r.area)
        room.height = rng.uniform(4.6, 5.6)


def _join(rng: random.Random, rooms: list[Room]) -> None:
    """Doors so that every room that touches another can be reached, and some more."""
    top = rng.choice((1.98, 2.0, 2.05, 2.1))
    reached, waiting = [rooms[0]], list(rooms[1:])
    while waiting:
        pairs = [(a, b) for b in waiting for a in reached]
        # From passages and living rooms first, as homes are.
        pairs.sort(key=lambda p: (p[0].theme not in ("passage", "living")) + rng.random())
        pair = next((p for p in pairs if _join_pair(rng, *p, top)), None)
        if pair is None:
            return
        reached.append(pair[1])
        waiting.remove(pair[1])
    for _ in range(rng.randint(0, 2)):
        a, b = rng.sample(rooms, 2) if len(rooms) > 1 else (rooms[0], rooms[0])
        if a is not b:
            _join_pair(rng, a, b, top)


def _join_pair(rng: random.Random, a: Room, b: Room, top: float) -> bool:
    top = min(top, a.lowest_ceiling - 0.08, b.lowest_ceiling - 0.08)
    private = {"bath", "toilet", "closet", "storeroom", "bedroom"} & {a.theme, b.theme}
    leaf: Leaf
    if not private and rng.random() < 0.4:
        width, leaf = rng.choice((rng.uniform(1.0, 1.4), rng.uniform(1.4, 3.0))), "none"
        top = min(
            top + (0.25 if rng.random() < 0.4 else 0),
            a.lowest_ceiling - 0.02,
            b.lowest_ceiling - 0.02,
        )
    else:
        width = rng.choice((0.7, 0.8, 0.9, 0.9))
        leaf = rng.choices(("none", "closed", "ajar", "glass"), (0.25, 0.15, 0.52, 0.08))[0]
    swing = rng.choice((rng.uniform(0.15, 0.8), rng.uniform(1.2, 1.9), rng.uniform(1.2, 2.7)))
    where = rng.random()
    return connect(a, b, width, top, where, leaf, swing) or connect(
        a, b, 0.7, top, where, leaf, swing
    )


def build(f: Furnisher, lamps: float) -> None:
    """Shell, furniture and lamps of every room."""
    rng = f.rng
    for room in f.plan.rooms:
        wanted = 0 if room.theme in ("closet", "storeroom", "passage") else rng.choice((1, 1, 2, 3))
        add_windows(f, room, wanted)
    add_doors_outside(f, f.plan.rooms[0], rng.choice((0, 1, 1)))
    for room in f.plan.rooms:
        surface = build_shell(f, room, HOME[room.theme])
        if (
            room.theme in ("living", "kitchen", "bedroom")
            and room.lowest_ceiling > 2.5
            and f.chance(0.2)
        ):
            add_beams(
                f,
                room,
                f.finishes.wood(),
                rng.randint(2, 6),
                rng.uniform(0.1, 0.25),
                rng.uniform(0.1, 0.22),
            )
        if room.theme in ("living", "passage") and room.height > 4:
            add_stairs(f, room, surface, rng.uniform(2.6, 2.9))
    for room in f.plan.rooms:
        furnish_home_room(f, room)
    for room in f.plan.rooms:
        light_home_room(f, room, lamps * (rng.uniform(0.05, 0.3) if f.chance(0.12) else 1.0))
