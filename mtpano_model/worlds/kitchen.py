"""Kitchens: rows of units with one worktop, wall units, and islands."""

from __future__ import annotations

import math

from mtpano_model.worlds import labels
from mtpano_model.worlds.furnish import Furnisher
from mtpano_model.worlds.plan import Room, Wall
from mtpano_model.worlds.scene import footprint

_TALL = ("fridge", "khigh")


def furnish_kitchen(f: Furnisher, room: Room) -> None:
    """One or two rows along walls, built in half of the kitchens; an island where there is room."""
    walls = sorted(room.walls, key=lambda w: -w.length)[:3]
    f.rng.shuffle(walls)
    built = f.chance(0.5)
    for number, wall in enumerate(walls[: f.rng.choice((1, 2, 2))]):
        if built:
            _built_row(f, room, wall, number == 0)
        else:
            _row_of_models(f, room, wall, number == 0)
    if min(room.size) > 3.4 and f.chance(0.6):
        _island(f, room)
    if f.chance(0.4):
        f.somewhere(room, f.pick("trash"))


def _row_of_models(f: Furnisher, room: Room, wall: Wall, first: bool) -> None:
    rng = f.rng
    roles = ["klow", "ksink", "klow", "stove", "klow", "klow", "khigh", "washer", "klow", "klow"]
    roles = rng.sample(roles, len(roles)) if f.chance(0.5) else roles
    roles = ["fridge", *roles] if first else roles
    at, family = rng.uniform(0.02, 0.3), None
    for role in roles:
        model = f.pick(role)
        if role == "klow":
            family = family or model
            model = family if f.chance(0.8) else model
        if model is None or at + model.size[0] > wall.length - 0.03:
            continue
        placed = f.against_wall(room, model, wall, at + model.size[0] / 2, gap=0.015)
        if placed is None:
            at += 0.15
            continue
        if role == "klow":
            f.on_top(placed, "kitchentop", int(f.chance(0.6)), spread=0.4)
        if role in ("klow", "ksink") and f.chance(0.6):
            upper = f.pick("kup", widest=model.size[0] * 1.25)
            middle = at + model.size[0] / 2
            f.against_wall(room, upper, wall, middle, z=rng.choice((1.45, 1.5)), gap=0.012)
        if role == "stove" and model.size[2] < 1.0 and f.chance(0.7):
            f.against_wall(room, f.pick("hood"), wall, at + model.size[0] / 2, z=1.6, gap=0.012)
        at += model.size[0] + rng.choice((0.005, 0.005, 0.01, 0.15))


def _built_row(f: Furnisher, room: Room, wall: Wall, first: bool) -> None:
    """Fronts of one width under a continuous worktop, with doors above."""
    rng = f.rng
    front = f.of(
        f.finishes.painted((0, 0.4), (0.3, 0.95)) if f.chance(0.6) else f.finishes.wood(),
        labels.CABINET,
    )
    top = f.finishes.textured(["floor_tile", "floor_wood", "floor_concrete"], (0.15, 0.5))
    steel, unit, deep, high = f.finishes.steel(), 0.6, 0.6, rng.uniform(0.86, 0.94)
    end = wall.length - 0.02
    runs: list[tuple[float, float]] = []
    at = 0.02
    if first:
        fridge = f.pick("fridge")
        if fridge and f.against_wall(room, fridge, wall, fridge.size[0] / 2 + 0.04, gap=0.015):
            at = fridge.size[0] + 0.06
    while at + unit < end:
        box = wall.box(at, at + unit, 0.0, deep, 0.0, high)
        if wall.is_bare(at, at + unit, 0.0, high) and f.fits(room, box):
            f.scene.take(box)
            if runs and abs(runs[-1][1] - at) < 1e-6:
                runs[-1] = (runs[-1][0], at + unit)
            else:
                runs.append((at, at + unit))
        at += unit
    sunk = False
    for u0, u1 in runs:
        f.of(f.finishes.dark(), labels.CABINET).on_wall(wall, u0, u1, 0.0, deep - 0.06, 0.0, 0.1)
        front.on_wall(wall, u0, u1, 0.0, deep - 0.02, 0.1, high - 0.04)
        f.of(top, labels.COUNTER).on_wall(wall, u0, u1, 0.0, deep, high - 0.04, high)
        for i in range(round((u1 - u0) / unit)):
            a = u0 + i * unit
            front.on_wall(wall, a + 0.003, a + unit - 0.003, deep - 0.02, deep, 0.11, high - 0.05)
            f.of(steel, labels.CABINET).on_wall(
                wall, a + 0.2, a + 0.4, deep, deep + 0.025, high - 0.12, high - 0.11
            )
            middle = a + unit / 2
            if not sunk and (i == 1 or u1 - u0 < 1.3):
                sunk = True
                f.of(steel, labels.SINK).on_wall(
                    wall, a + 0.08, a + 0.52, 0.1, 0.5, high, high + 0.004
                )
                f.of(steel, labels.SINK).on_wall(
                    wall, middle - 0.012, middle + 0.012, 0.06, 0.085, high, high + 0.28
                )
                f.of(steel, labels.SINK).on_wall(
                    wall, middle - 0.012, middle + 0.012, 0.06, 0.24, high + 0.26, high + 0.28
                )
            elif f.chance(0.4):
                x, y = wall.point(middle, 0.3)
                model = f.pick("kitchentop", widest=0.5, deepest=0.5, highest=0.5)
                if model:
                    f.put(
                        model,
                        float(x),
                        float(y),
                        high,
                        wall.angle + rng.uniform(-0.4, 0.4),
                        takes=False,
                    )
            if (
                f.chance(0.75)
                and room.lowest_ceiling > 2.25
                and wall.is_bare(a, a + unit, 1.4, 2.1)
            ):
                front.on_wall(wall, a + 0.002, a + unit - 0.002, 0.0, 0.35, 1.42, 2.12)
                f.of(steel, labels.CABINET).on_wall(
                    wall, a + 0.25, a + 0.35, 0.35, 0.37, 1.45, 1.46
                )


def _island(f: Furnisher, room: Room) -> None:
    """An island that stands free, with stools on one side."""
    rng = f.rng
    model = f.pick("island")
    if model is not None and f.chance(0.3):
        f.somewhere(room, model, rng.choice((0, math.pi / 2)), margin=0.5)
        return
    size = (rng.uniform(1.2, 2.4), rng.uniform(0.7, 1.1), rng.uniform(0.86, 0.94))
    angle = 0.0 if room.size[0] > room.size[1] else math.pi / 2
    for _ in range(20):
        x, y = room.anywhere(rng, 0.8)
        island = footprint(x, y, angle, size, labels.COUNTER)
        b = island.box
        if f.fits(room, (b[0] - 0.6, b[1] - 0.6, 0, b[3] + 0.6, b[4] + 0.6, b[5])):
            body = f.finishes.painted((0, 0.4), (0.2, 0.9)) if f.chance(0.6) else f.finishes.wood()
            top = f.finishes.textured(["floor_tile", "floor_wood", "floor_concrete"], (0.15, 0.5))
            f.of(body, labels.COUNTER).turned(
                (x, y, 0), (size[0] - 0.1, size[1] - 0.25, size[2] - 0.04), angle
            )
            f.of(top, labels.COUNTER).turned(
                (x, y, size[2] - 0.04), (size[0], size[1], 0.04), angle
            )
            f.scene.take(b)
            stool = f.pick("stool")
            for k in range(int(size[0] // 0.6) if stool else 0):
                at = island.at((k + 0.5) * 0.6 - size[0] / 2, -size[1] / 2 - 0.15)
                f.seat(room, stool, *at, angle + math.pi, [island])  # type: ignore[arg-type]
            f.lamps_over.append((room, x, y))
            return
