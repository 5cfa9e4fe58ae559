"""Pieces that belong together: a table and its chairs, a bed and its lamps, and so on."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mtpano_model.worlds import labels
from mtpano_model.worlds.decor import books_on, fill_shelves, hang, pillows, rug
from mtpano_model.worlds.furnish import Furnisher
from mtpano_model.worlds.plan import Room, Wall
from mtpano_model.worlds.scene import Placed, footprint

_CLUTTER = {
    "plant": 3,
    "box": 2,
    "bag": 2,
    "floorsmall": 4,
    "furnmisc": 1.5,
    "chair": 2,
    "armchair": 1.5,
    "puff": 0.5,
    "games": 0.3,
    "gym": 0.6,
    "trash": 1,
    "kidtable": 0.4,
    "safe": 0.4,
    "stool": 0.8,
    "clothes": 0.6,
    "smalltable": 0.8,
    "hearth": 0.4,
    "piano": 0.4,
    "pet": 0.3,
}


_STANDS_AT_WALLS = {"plant", "furnmisc", "safe", "gym", "hearth", "piano", "box", "smalltable"}


def dining(f: Furnisher, room: Room) -> Placed | None:
    """A table with chairs, perhaps laid, on a rug or under a lamp."""
    rng = f.rng
    model = f.pick(rng.choice(("table", "table", "table", "smalltable", "bartable")))
    if model is None:
        return None
    for _ in range(30):
        angle, (x, y) = rng.choice((0.0, math.pi / 2)), room.anywhere(rng)
        b = footprint(x, y, angle, model.size).box
        if not f.fits(room, (b[0] - 0.55, b[1] - 0.55, 0.0, b[3] + 0.55, b[4] + 0.55, b[5])):
            continue
        if f.chance(0.35):
            rug(f, x, y, model.size[0] + 1.2, model.size[1] + 1.2, angle)
        table = f.put(model, x, y, 0.0, angle)
        f.around(
            room,
            table,
            f.pick("stool" if model.role == "bartable" else "chair"),
            rng.uniform(0.5, 1),
        )
        f.on_top(table, "tabletop", rng.randint(0, 4))
        f.on_top(table, rng.choice(("smallplant", "vase")), int(f.chance(0.4)))
        books_on(f, table, int(f.chance(0.3)))
        if f.chance(0.4):
            f.lamps_over.append((room, x, y))
        return table
    return None


def sofa_group(f: Furnisher, room: Room) -> None:
    """A sofa with pillows, coffee table, side tables, armchairs and a picture."""
    rng = f.rng
    sofa = None
    for attempt in range(5):
        role = "cornersofa" if attempt == 0 and room.area > 14 and f.chance(0.3) else "sofa"
        sofa = sofa or f.against_wall(room, f.pick(role), front=0.3 if attempt < 3 else 0.05)
    if sofa is None:
        return
    if f.chance(0.6):
        pillows(f, sofa, rng.randint(1, 4), 0.18, (0.42, 0.36, 0.14))
    coffee = f.pick("coffee")
    if coffee is not None and f.chance(0.75):
        x, y = sofa.at(0.0, -sofa.size[1] / 2 - rng.uniform(0.3, 0.5) - coffee.size[1] / 2)
        box = footprint(x, y, sofa.angle, coffee.size).box
        if f.fits(room, box):
            if f.chance(0.6):
                rug(f, x, y, rng.uniform(1.6, 2.6), rng.uniform(1.2, 1.8), sofa.angle)
            table = f.put(coffee, x, y, 0.0, sofa.angle)
            f.on_top(table, rng.choice(("tabletop", "smallplant", "vase")), rng.randint(0, 2))
            books_on(f, table, rng.randint(0, 2))
    for side in (-1, 1):
        model = f.pick("floorlamp" if f.chance(0.4) else "smalltable")
        if model is not None and f.chance(0.35):
            x, y = sofa.at(side * (sofa.size[0] / 2 + model.size[0] / 2 + 0.1), 0.2)
            if f.fits(room, footprint(x, y, sofa.angle, model.size).box):
                beside = f.put(model, x, y, 0.0, sofa.angle)
                f.on_top(beside, "tablelamp", int(model.role == "smalltable"))
    for _ in range(rng.choice((0, 1, 1, 2))):
        f.somewhere(room, f.pick("armchair"), angle=rng.uniform(0, 2 * math.pi))


def television(f: Furnisher, room: Room) -> None:
    """A set on a wall unit, on the wall or on something low."""
    rng, draw = f.rng, f.rng.random()
    if draw < 0.25:
        f.against_wall(room, f.pick("tvwall"))
        return
    if draw < 0.5 and f.against_wall(room, f.pick("walltv"), z=rng.uniform(0.9, 1.2), gap=0.01):
        return
    stand = f.against_wall(
        room, f.pick("tvstand") or f.pick("cabinet", highest=1.1) or f.pick("dresser")
    )
    f.on_top(stand, "tv" if f.catalogue.of("tv") else "walltv", 1, spread=0.1)


def desk(f: Furnisher, room: Room) -> Placed | None:
    """A desk at a wall, its chair, screen, papers, lamp."""
    rng = f.rng
    table = f.against_wall(room, f.pick("desk"), front=0.7)
    if table is None:
        return None
    chair = f.pick("officechair") if f.chance(0.8) else f.pick("chair")
    if chair is not None:
        x, y = table.at(
            rng.uniform(-0.15, 0.15) * table.size[0], -table.size[1] / 2 - chair.size[1] * 0.25
        )
        f.seat(room, chair, x, y, table.angle + math.pi + rng.uniform(-0.5, 0.5), [table])
    f.on_top(table, "desktop", rng.randint(1, 3))
    books_on(f, table, rng.randint(0, 3))
    f.on_top(table, "tablelamp", int(f.chance(0.4)))
    f.on_top(table, "tabletop", int(f.chance(0.3)))
    if f.chance(0.3):
        f.somewhere(room, f.pick("trash"))
    return table


def bed_group(f: Furnisher, room: Room) -> None:
    """A bed with pillows, nightstands, lamps, a rug and a picture above."""
    rng = f.rng
    bed = None
    for _ in range(6):
        bed = bed or f.against_wall(room, f.pick("bed"), tries=20)
    bed = bed or f.somewhere(room, f.pick("floorbed"))
    if bed is None:
        return
    pillows(f, bed, 2 if bed.size[0] > 1.2 else 1, 0.36, (0.62, 0.4, 0.15))
    for side in (-1, 1):
        model = f.pick("nightstand")
        if model is not None and f.chance(0.75):
            off = side * (bed.size[0] / 2 + model.size[0] / 2 + 0.06)
            x, y = bed.at(off, bed.size[1] / 2 - model.size[1] / 2)
            if f.fits(room, footprint(x, y, bed.angle, model.size).box):
                stand = f.put(model, x, y, 0.0, bed.angle)
                if not (f.chance(0.7) and f.on_top(stand, "tablelamp", 1, spread=0.2)):
                    books_on(f, stand, 1)
    if f.chance(0.5):
        x, y = bed.at(rng.choice((-0.5, 0.5)) * bed.size[0], -0.3 * bed.size[1])
        if room.holds(x - 1.1, y - 1.1, x + 1.1, y + 1.1):
            rug(
                f,
                x,
                y,
                rng.uniform(1.2, 2),
                rng.uniform(0.8, 1.4),
                bed.angle + rng.choice((0, math.pi / 2)),
            )


def bathroom(f: Furnisher, room: Room) -> None:
    """Bath or shower, toilet, basin with a mirror, and what hangs and stands around."""
    rng = f.rng
    roles = ["toilet", "vanity" if f.chance(0.35) else "basin"]
    if room.theme == "bath":
        roles += rng.sample(["bath", "shower", "cornerbath"], 2)
    for role in roles:
        model = f.pick(role) or f.pick(
            {"shower": "showercurtain", "cornerbath": "bath"}.get(role, "basin")
        )
        if model is None:
            continue
        placed = f.against_wall(
            room, model, z=model.elevation if role == "basin" else 0.0, front=0.15
        )
        placed = placed or f.against_wall(
            room, model, z=model.elevation if role == "basin" else 0.0
        )
        if placed and role in ("basin", "vanity") and f.chance(0.75):
            wall = min(
                room.walls,
                key=lambda w: abs((placed.angle - w.angle + 3.14) % 6.28 - 3.14) + _off(w, placed),
            )
            along = float(
                (placed.x - wall.start[0]) * wall.along[0]
                + (placed.y - wall.start[1]) * wall.along[1]
            )
            hang(
                f,
                room,
                wall,
                along,
                max(1.5, placed.z + placed.size[2] + 0.5),
                (rng.uniform(0.4, 0.8), rng.uniform(0.5, 0.9)),
                True,
            )
    small = (
        ("bidet", 0.25),
        ("washer", 0.3),
        ("towel", 0.7),
        ("towelradiator", 0.4),
        ("trash", 0.4),
        ("showercurtain", 0.15),
        ("wallbath", 0.6),
        ("floorsmall", 0.2),
    )
    for role, share in small:
        model = f.pick(role)
        if model is not None and f.chance(share if room.theme == "bath" else share / 2):
            f.against_wall(room, model, z=model.elevation or (0.65 if role == "wallbath" else 0.0))
    if room.theme == "bath" and f.chance(0.6):
        x, y = (
            rng.uniform(room.low[k] + 0.5, max(room.low[k] + 0.5, room.high[k] - 0.5))
            for k in (0, 1)
        )
        if f.fits(room, (x - 0.4, y - 0.3, 0, x + 0.4, y + 0.3, 0.1)):
            rug(f, x, y, 0.8, 0.5, 0)


def _off(wall: Wall, placed: Placed) -> float:
    return abs(
        float(
            (placed.x - wall.start[0]) * wall.inward[0]
            + (placed.y - wall.start[1]) * wall.inward[1]
        )
    )


def storage(f: Furnisher, room: Room, roles: Sequence[str], count: int) -> None:
    """Cupboards and shelves along the walls, with things on and in them."""
    rng = f.rng
    for _ in range(count):
        placed = f.against_wall(room, f.pick(rng.choice(roles)))
        if placed is None:
            continue
        if placed.size[2] < 1.4:
            f.on_top(
                placed,
                rng.choice(("smallplant", "vase", "tabletop", "tablelamp")),
                rng.randint(0, 2),
            )
            books_on(f, placed, rng.randint(0, 2))
        if placed.label in (labels.BOOKSHELF, labels.SHELVES):
            fill_shelves(f, placed)


def clutter(f: Furnisher, room: Room, count: int) -> None:
    """What people leave standing about."""
    roles, weights = zip(*_CLUTTER.items(), strict=True)
    for _ in range(count):
        role = f.rng.choices(roles, weights)[0]
        model = f.pick(role)
        if model is None:
            continue
        at_wall = role in _STANDS_AT_WALLS and f.chance(0.65)
        placed = f.against_wall(room, model) if at_wall else f.somewhere(room, model)
        if placed and role == "smalltable":
            f.on_top(placed, f.rng.choice(("vase", "smallplant", "tabletop")))
        elif placed and role == "kidtable":
            f.around(room, placed, f.pick("kidchair"), 0.6)
