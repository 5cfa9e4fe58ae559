"""What is built rather than placed in works and public rooms."""

from __future__ import annotations

import math

import numpy as np

from mtpano_model.worlds import labels
from mtpano_model.worlds.furnish import Furnisher
from mtpano_model.worlds.plan import Room
from mtpano_model.worlds.scene import Material, Placed, footprint
from mtpano_model.worlds.solids import BLOCK, build_table


def machine(f: Furnisher, room: Room) -> None:
    """A machine tool of blocks, cylinders and pipes, with a control panel."""
    rng = f.rng
    w, d, h = (
        rng.uniform(1.0, 3.5),
        rng.uniform(0.8, 1.8),
        rng.uniform(1.2, min(2.6, room.lowest_ceiling - 0.4)),
    )
    for _ in range(15):
        x, y = room.anywhere(rng)
        place = footprint(x, y, rng.choice((0, math.pi / 2)), (w, d, h), labels.FURNITURE)
        if not f.fits(room, place.box, 0.5):
            continue
        body = f.finishes.painted((0, 0.7), (0.15, 0.85))
        trim, dark = f.finishes.painted((0, 0.8), (0.1, 0.9)), f.finishes.dark()
        base = h * rng.uniform(0.3, 0.6)

        def piece(
            dx: float,
            dy: float,
            z: float,
            size: tuple[float, float, float],
            skin: Material,
            place: Placed = place,
        ) -> None:
            f.of(skin, labels.FURNITURE).turned((*place.at(dx, dy), z), size, place.angle)

        piece(0, 0, 0, (w, d, base), body)
        top = rng.uniform(0.3, 0.7) * w
        piece(rng.choice((-1, 1)) * (w - top) / 2, d * 0.1, base, (top, d * 0.8, h - base), trim)
        piece(0, -d / 2 - 0.01, base * 0.3, (w * 0.5, 0.02, base * 0.5), dark)
        for _ in range(rng.randint(0, 3)):
            r = rng.uniform(0.06, 0.25)
            at = place.at(rng.uniform(-0.4, 0.4) * w, rng.uniform(-0.3, 0.3) * d)
            f.of(dark, labels.FURNITURE).profile(
                (*at, base), [(r, 0), (r, h - base + 0.05), (0.001, h - base + 0.05)]
            )
        panel = place.at(w / 2 + 0.15, -d / 2)
        f.of(dark, labels.FURNITURE).turned((*panel, 0), (0.08, 0.08, 1.1), place.angle)
        f.of(trim, labels.FURNITURE).turned((*panel, 1.1), (0.4, 0.12, 0.35), place.angle, tilt=0.3)
        if f.chance(0.5):
            x, y = place.at(0.3 * w, 0.2 * d)
            radius = rng.uniform(0.04, 0.15)
            f.of(f.finishes.steel(), labels.PROP).pipe(
                (x, y, h), (x, y, room.ceiling(x, y)), radius
            )
        f.scene.take(place.box)
        return


def workbench(f: Furnisher, room: Room) -> None:
    """A bench at a wall with tools on it."""
    rng = f.rng
    size = (rng.uniform(1.4, 2.6), rng.uniform(0.6, 0.8), rng.uniform(0.8, 0.95))
    for _ in range(15):
        wall = room.any_wall(rng)
        if wall.length < size[0] + 0.2:
            continue
        at = rng.uniform(size[0] / 2 + 0.05, wall.length - size[0] / 2 - 0.05)
        box = wall.box(at - size[0] / 2, at + size[0] / 2, 0.02, size[1] + 0.02, 0.0, size[2])
        if wall.is_bare(at - size[0] / 2, at + size[0] / 2, 0, size[2]) and f.fits(room, box):
            x, y = wall.point(at, size[1] / 2 + 0.02)
            place = footprint(x, y, wall.angle, size, labels.TABLE)
            build_table(f.scene, place, f.finishes.wood(), f.finishes.dark(), 0.06)
            f.scene.take(box)
            for role in rng.choices(
                ("desktop", "tabletop", "floorsmall", "box"), k=rng.randint(1, 4)
            ):
                model = f.pick(role, widest=0.6, deepest=0.5, highest=0.6)
                if model:
                    px, py = wall.point(at + rng.uniform(-0.4, 0.4) * size[0], 0.3)
                    f.put(model, float(px), float(py), size[2], rng.uniform(0, 6.28), takes=False)
            return


def trusses(f: Furnisher, room: Room, spacing: float) -> None:
    """Lattice girders under a high ceiling."""
    axis = int(room.size[1] > room.size[0])
    skin, deep = (
        f.of(f.finishes.painted((0, 0.6), (0.2, 0.9)), labels.CEILING),
        f.rng.uniform(0.5, 1.2),
    )
    span = [float(room.low[1 - axis]), float(room.high[1 - axis])]
    top = room.lowest_ceiling - 0.08
    for at in np.arange(room.low[axis] + spacing / 2, room.high[axis], spacing):

        def place(s: float, z: float, at: float = at) -> tuple[float, float, float]:
            return (at, s, z) if axis == 0 else (s, at, z)

        for z in (top, top - deep):
            skin.pipe(place(span[0], z), place(span[1], z), 0.06, 6)
        count = max(2, int((span[1] - span[0]) / deep))
        for i in range(count):
            a, b = (span[0] + (span[1] - span[0]) * k / count for k in (i, i + 1))
            ends = (top, top - deep) if i % 2 else (top - deep, top)
            skin.pipe(place(a, ends[0]), place(b, ends[1]), 0.03, 6)


def ceiling_pipes(f: Furnisher, room: Room, count: int) -> None:
    """Pipes and ducts that run along the room below its ceiling."""
    rng = f.rng
    axis = int(room.size[1] > room.size[0])
    for _ in range(count):
        radius = rng.choice((0.03, 0.05, 0.1, 0.25, 0.35))
        across = rng.uniform(room.low[1 - axis] + 0.4, room.high[1 - axis] - 0.4)
        z = room.lowest_ceiling - radius - rng.uniform(0.02, 0.25)
        skin = f.finishes.steel() if f.chance(0.5) else f.finishes.painted((0, 0.8), (0.3, 0.9))
        ends = [
            (float(v), across, z) if axis == 0 else (across, float(v), z)
            for v in (room.low[axis] + 0.02, room.high[axis] - 0.02)
        ]
        f.of(skin, labels.PROP).pipe(ends[0], ends[1], radius, 14)


def floor_marks(
    f: Furnisher, lines: list[tuple[float, float, float, float]], width: float, skin: Material
) -> None:
    """Painted lines on the floor, each from (x0, y0) to (x1, y1) along an axis."""
    for x0, y0, x1, y1 in lines:
        half = width / 2
        f.of(skin, labels.FLOOR).block(
            min(x0, x1) - half,
            min(y0, y1) - half,
            0.0,
            max(x0, x1) + half,
            max(y0, y1) + half,
            0.0015,
        )


def partition(
    f: Furnisher,
    a: tuple[float, float],
    b: tuple[float, float],
    height: float,
    skin: Material,
    label: int = labels.WALL,
    thick: float = 0.05,
) -> None:
    """A free-standing screen between two places."""
    length = math.dist(a, b)
    angle = math.atan2(b[1] - a[1], b[0] - a[0])
    middle = ((a[0] + b[0]) / 2, (a[1] + b[1]) / 2, 0.0)
    f.of(skin, label).turned(middle, (length, thick, height), angle)
    f.scene.take(footprint(middle[0], middle[1], angle, (length, thick, height), label).box)


def ramp(f: Furnisher, room: Room, skin: Material) -> bool:
    """A ramp along the longest wall, rising towards the ceiling; False where there is no room."""
    rng = f.rng
    wall = max(room.walls, key=lambda w: w.length)
    long, wide, high = rng.uniform(6, 12), rng.uniform(3.0, 4.5), rng.uniform(0.8, 1.8)
    start = rng.uniform(0.5, max(0.6, wall.length - long - 0.5))
    box = wall.box(start, start + long, 0.02, wide, 0.0, high)
    if wall.length < long + 1 or not f.fits(room, box, 0.2):
        return False
    corners = [
        (*wall.point(u, off), z)
        for u, top in ((start, 0.001), (start + long, high))
        for off in (0.02, wide)
        for z in (0.0, top)
    ]
    f.scene.mesh(corners, BLOCK, skin, labels.FLOOR)
    kerb = f.finishes.paint((0.7, 0.55, 0.05))
    for u in np.arange(start, start + long, 0.5):
        z = high * (u - start) / long
        x, y = map(float, wall.point(float(u) + 0.2, wide))
        f.of(kerb, labels.STRUCTURE).turned((x, y, 0), (0.4, 0.12, z + 0.2), wall.angle)
    f.scene.take(box)
    return True


def columns(f: Furnisher, room: Room, spacing: float, radius: float) -> None:
    """Round columns on a grid."""
    skin = (
        f.finishes.white()
        if f.chance(0.6)
        else f.finishes.textured(["wall_concrete", "floor_tile"])
    )
    counts = [max(1, round(s / spacing)) for s in room.size]
    for i in range(1, counts[0]):
        for j in range(1, counts[1]):
            x, y = (float(room.low[k] + room.size[k] * n / counts[k]) for k, n in ((0, i), (1, j)))
            box = (x - radius, y - radius, 0.0, x + radius, y + radius, room.lowest_ceiling - 0.05)
            if f.fits(room, box, 0.1):
                f.of(skin, labels.WALL).profile(
                    (x, y, 0), [(radius, 0), (radius, room.ceiling(x, y))], 24
                )
                f.scene.take(box)
