"""Outdoors: yards between facades, with sky, paving or lawn, trees, benches and cars."""

from __future__ import annotations

import math
import random

import numpy as np

from mtpano_model.worlds import labels
from mtpano_model.worlds.catalogue import Model
from mtpano_model.worlds.furnish import Furnisher
from mtpano_model.worlds.joinery import build_door, build_window
from mtpano_model.worlds.outline import l_shape, rectangle
from mtpano_model.worlds.plan import Leaf, Opening, Plan, Room, Wall
from mtpano_model.worlds.scene import Material
from mtpano_model.worlds.solids import BLOCK

_LEAVES: tuple[Leaf, ...] = ("closed", "glass", "roller")


def plan(rng: random.Random) -> Plan:
    """A yard of 8 to 50 m, open to the sky."""
    wide, deep = rng.uniform(8, 20), rng.uniform(7, 16)
    if rng.random() < 0.5:
        wide, deep = rng.uniform(15, 50), rng.uniform(12, 40)
    outline = rectangle(wide, deep) if rng.random() < 0.75 else l_shape(rng, wide, deep, 5.0)
    room = Room(outline, "yard", rng.choice((3.0, 6.0, 9.0, 12.0, 15.0)), 0.4, roofed=False)
    return Plan("courtyard", [room], outdoors=True)


def build(f: Furnisher, lamps: float) -> None:
    """Ground, facades or fences around it, plants and things."""
    rng, room = f.rng, f.plan.rooms[0]
    ground = f.finishes.textured(["ground"], (0.7, 0.95))
    f.of(ground, labels.FLOOR).floor(room)
    _beyond(f, room, f.finishes.textured(["ground"], (0.7, 0.95)))
    for wall in room.walls:
        draw = rng.random()
        if draw < 0.62:
            _facade(f, room, wall)
        elif draw < 0.82:
            _fence(f, wall)
        else:
            _hedge(f, wall)
    if f.chance(0.5):
        _beds(f, room)
    for role, count in (
        ("tree", rng.randint(0, 2 + int(room.area / 150))),
        ("bush", rng.randint(0, 10)),
        ("outdoorbench", rng.randint(0, 4)),
        ("flowerbox", rng.randint(0, 3)),
        ("outdoorthing", rng.randint(1, 8)),
        ("rock", rng.randint(0, 3)),
        ("bike", rng.randint(0, 3)),
        ("umbrella", rng.choice((0, 0, 1, 2))),
        ("gardenhut", rng.choice((0, 0, 0, 1))),
    ):
        for _ in range(count):
            model = f.pick(role)
            _outside(f, room, model, at_wall=role in ("bush", "flowerbox", "outdoorbench", "bike"))
    for _ in range(rng.choice((0, 1, 2, 4, 8))):
        _outside(f, room, f.pick(rng.choice(("car", "car", "van"))), False)
    for _ in range(rng.randint(0, 3)):
        table = f.somewhere(room, f.pick("outdoortable"), margin=0.7)
        if table:
            f.around(room, table, f.pick("outdoorchair"), 0.8, 0.1)
    _lamp_posts(f, room)


def _outside(f: Furnisher, room: Room, model: Model | None, at_wall: bool) -> None:
    """Against a facade or free in the yard."""
    if at_wall and f.chance(0.7):
        f.against_wall(room, model, tries=10)
    else:
        f.somewhere(room, model)


def _beyond(f: Furnisher, room: Room, ground: Material) -> None:
    """Ground outside the yard, a little lower, as far as one sees."""
    (x0, y0), (x1, y1) = room.low - 60, room.high + 60
    f.scene.mesh(
        [(x0, y0, -0.06), (x1, y0, -0.06), (x1, y1, -0.06), (x0, y1, -0.06)],
        [(0, 1, 2, 3)],
        ground,
        labels.FLOOR,
    )


def _facade(f: Furnisher, room: Room, wall: Wall) -> None:
    """A house front: computed windows on its storeys, real ones and a door on the ground floor."""
    rng = f.rng
    storeys = max(1, round(room.height / 3) + rng.choice((-1, 0, 0, 1)))
    top = storeys * 3.0
    skin = f.finishes.textured(["facade"], (0.6, 0.9), on_mesh=True)
    plain = f.finishes.textured(["wall_paint", "wall_brick", "wall_concrete"], (0.6, 0.9))
    trim = f.finishes.white() if f.chance(0.6) else f.finishes.wood()
    corners = [wall.point(u, off) for off in (-wall.thickness, 0.0) for u in (0.0, wall.length)]
    if f.chance(0.5) and wall.length > 4:  # a ground floor with depth
        for start in np.arange(rng.uniform(0.6, 1.6), wall.length - 2.2, rng.uniform(2.4, 4.0)):
            u = float(start)
            if f.chance(0.2):
                leaf = rng.choice(_LEAVES)
                wall.openings.append(Opening("door", u, u + 1.0, 0.0, 2.2, leaf))
            else:
                wall.openings.append(Opening("window", u, u + rng.uniform(0.9, 1.7), 0.9, 2.2))
        at = 0.0
        for o in wall.openings:
            for u0, u1, z0, z1 in (
                (at, o.start, 0, 3),
                (o.start, o.end, 0, o.bottom),
                (o.start, o.end, o.top, 3),
            ):
                _slab(f, wall, u0, u1, z0, z1, plain)
            _slab(
                f,
                wall,
                o.start,
                o.end,
                o.bottom,
                o.top,
                f.finishes.dark(),
                -wall.thickness,
                -wall.thickness * 0.8,
            )
            (
                build_window(f, room, wall, o, trim)
                if o.kind == "window"
                else build_door(f, wall, o, trim, plain)
            )
            at = o.end
        _slab(f, wall, at, wall.length, 0, 3, plain)
        low = 3.0
    else:
        low = -0.05
    if top > low + 1:
        vertices = [(p[0], p[1], z) for p in corners for z in (low, top)]
        repeat = max(1, round(wall.length / 4))
        uv = [(u, v) for _ in (0, 1) for u in (0.0, float(repeat)) for v in (low / 3, storeys)]
        # The front face alone takes the windows; BLOCK orders corners by x, y, z.
        f.scene.mesh(vertices, BLOCK, skin, labels.WALL, uv)
    if f.chance(0.4):
        _slab(f, wall, 0, wall.length, top, top + 0.25, trim, -wall.thickness, 0.3)


def _slab(
    f: Furnisher,
    wall: Wall,
    u0: float,
    u1: float,
    z0: float,
    z1: float,
    skin: Material,
    off0: float | None = None,
    off1: float = 0.0,
) -> None:
    if u1 - u0 > 1e-4 and z1 - z0 > 1e-4:
        back = -wall.thickness if off0 is None else off0
        f.of(skin, labels.WALL).on_wall(wall, u0, u1, back, off1, z0, z1)


def _fence(f: Furnisher, wall: Wall) -> None:
    """A low wall, boards or rails."""
    rng, high = f.rng, f.rng.uniform(0.9, 2.2)
    style = rng.choice(("wall", "boards", "rails"))
    if style == "wall":
        _slab(
            f,
            wall,
            0,
            wall.length,
            0,
            high,
            f.finishes.textured(["wall_brick", "wall_block", "wall_concrete"]),
        )
        return
    skin = f.finishes.wood() if style == "boards" else f.finishes.dark()
    for u in np.arange(0, wall.length, 2.4):
        _slab(f, wall, u, u + 0.1, 0, high, skin, -0.1)
    for u in np.arange(0.1, wall.length, 0.16 if style == "boards" else 0.13):
        wide = 0.12 if style == "boards" else 0.02
        _slab(f, wall, u, min(u + wide, wall.length), 0.05, high - 0.05, skin, -0.06, -0.04)


def _hedge(f: Furnisher, wall: Wall) -> None:
    """Bushes in a row, one model."""
    model = f.pick("bush")
    if model is None:
        _fence(f, wall)
        return
    for u in np.arange(model.size[0] / 2, wall.length - model.size[0] / 2, model.size[0] * 0.9):
        x, y = wall.point(float(u), -model.size[1] / 2)
        f.put(model, float(x), float(y), 0.0, wall.angle + f.rng.choice((0, math.pi)), takes=False)


def _beds(f: Furnisher, room: Room) -> None:
    """Lawns or beds with a kerb."""
    rng = f.rng
    for _ in range(rng.randint(1, 3)):
        w, d = rng.uniform(2, 0.5 * room.size[0]), rng.uniform(2, 0.5 * room.size[1])
        x, y = (
            rng.uniform(room.low[k] + s / 2, max(room.low[k] + s / 2, room.high[k] - s / 2))
            for k, s in ((0, w), (1, d))
        )
        if room.holds(x - w / 2, y - d / 2, x + w / 2, y + d / 2):
            kerb = f.finishes.textured(["wall_concrete"])
            f.of(kerb, labels.FLOOR).block(x - w / 2, y - d / 2, 0, x + w / 2, y + d / 2, 0.06)
            lawn = f.finishes.textured(["ground"], (0.8, 0.95))
            f.of(lawn, labels.FLOOR).block(
                x - w / 2 + 0.1, y - d / 2 + 0.1, 0, x + w / 2 - 0.1, y + d / 2 - 0.1, 0.065
            )


def _lamp_posts(f: Furnisher, room: Room) -> None:
    rng, dark = f.rng, f.finishes.dark()
    for _ in range(rng.choice((0, 1, 2, 3))):
        x, y = room.anywhere(rng, 0.5)
        high = rng.uniform(2.8, 5)
        if f.fits(room, (x - 0.2, y - 0.2, 0, x + 0.2, y + 0.2, 2)):
            f.of(dark, labels.LAMP).pipe((x, y, 0), (x, y, high), 0.05)
            f.of(f.finishes.lamp((1, 0.95, 0.85), 0.6), labels.LAMP).turned(
                (x, y, high), (0.35, 0.35, 0.4), 0
            )
            f.scene.take((x - 0.1, y - 0.1, 0, x + 0.1, y + 0.1, high))
