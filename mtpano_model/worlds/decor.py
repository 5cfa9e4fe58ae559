"""Small things that are built, not placed: pictures, mirrors, rugs, pillows, books, papers."""

from __future__ import annotations

import math

import numpy as np

from mtpano_model.worlds import labels
from mtpano_model.worlds.furnish import Furnisher
from mtpano_model.worlds.plan import Room, Wall
from mtpano_model.worlds.scene import Material, Placed
from mtpano_model.worlds.solids import BLOCK


def hang(
    f: Furnisher,
    room: Room,
    wall: Wall | None = None,
    at: float | None = None,
    middle: float | None = None,
    size: tuple[float, float] | None = None,
    mirror: bool = False,
    label: int = labels.PICTURE,
) -> bool:
    """A framed picture or mirror on a wall; middle: its height; size: width and height."""
    rng = f.rng
    for _ in range(12):
        side = wall or room.any_wall(rng)
        w = size[0] if size else rng.choice((rng.uniform(0.25, 0.6), rng.uniform(0.5, 1.4)))
        h = size[1] if size else min(1.5, w * rng.uniform(0.6, 1.4))
        z = max(0.03, (rng.uniform(1.35, 1.75) if middle is None else middle) - h / 2)
        if z + h > room.lowest_ceiling - 0.15 or side.length < w + 0.2:
            continue
        u = rng.uniform(w / 2 + 0.1, side.length - w / 2 - 0.1) if at is None else at
        box = side.box(u - w / 2, u + w / 2, 0.0, 0.05, z, z + h)
        if not side.is_bare(u - w / 2, u + w / 2, z, z + h, 0.2) or not f.scene.is_free(box):
            continue
        f.scene.take(box)
        _frame(f, side, u, w, z, h, mirror, label)
        return True
    return False


def _frame(
    f: Furnisher, wall: Wall, u: float, w: float, z: float, h: float, mirror: bool, label: int
) -> None:
    rng = f.rng
    label = labels.MIRROR if mirror else label
    deep, edge = rng.uniform(0.015, 0.035), rng.uniform(0.015, 0.06) if f.chance(0.8) else 0.0
    wood = f.finishes.wood() if f.chance(0.5) else f.finishes.painted((0, 0.2), (0.02, 0.9))
    u0, u1, z0, z1 = u - w / 2, u + w / 2, z, z + h
    for a, b, low, high in (
        (u0, u1, z0, z0 + edge),
        (u0, u1, z1 - edge, z1),
        (u0, u0 + edge, z0 + edge, z1 - edge),
        (u1 - edge, u1, z0 + edge, z1 - edge),
    ):
        f.of(wood, label).on_wall(wall, a, b, 0.002, deep + 0.008, low, high)
    u0, u1, z0, z1 = u0 + edge, u1 - edge, z0 + edge, z1 - edge
    if mirror:
        f.of(f.finishes.mirror(), label).on_wall(wall, u0, u1, 0.002, deep, z0, z1)
        return
    part = rng.uniform(0.5, 1)
    panel(
        f,
        wall,
        u0,
        u1,
        deep,
        z0,
        z1,
        f.finishes.textured(["art"], (0.3, 0.7), on_mesh=True),
        label,
        part,
    )


def panel(
    f: Furnisher,
    wall: Wall,
    u0: float,
    u1: float,
    off: float,
    z0: float,
    z1: float,
    material: Material,
    label: int,
    part: float = 1.0,
) -> None:
    """A flat board on a wall that shows `part` of a texture on its face."""
    corners = [wall.point(u, o) for o in (off, 0.002) for u in (u0, u1)]
    vertices = [(p[0], p[1], z) for p in corners for z in (z0, z1)]
    uv = [(0.0, 0.0), (0.0, part), (part, 0.0), (part, part)] * 2
    f.scene.mesh(vertices, BLOCK, material, label, uv)


def rug(f: Furnisher, x: float, y: float, w: float, d: float, angle: float) -> None:
    """A rug on the floor, now and then a round one."""
    thick = f.rng.uniform(0.006, 0.018)
    if f.chance(0.15):
        round_skin = f.finishes.textured(["rug"], (0.8, 0.95))
        profile = [(0.0, thick), (min(w, d) / 2, thick), (min(w, d) / 2, 0.0)]
        f.of(round_skin, labels.MAT).profile((x, y, 0), profile, 40, smooth=False)
        return
    skin = f.finishes.textured(["rug"], (0.8, 0.95), on_mesh=True)
    c, s = math.cos(angle), math.sin(angle)
    vertices, uv = [], []
    for sx in (-1, 1):
        for sy in (-1, 1):
            for z in (0.0, thick):
                vertices.append(
                    (x + (sx * w * c - sy * d * s) / 2, y + (sx * w * s + sy * d * c) / 2, z)
                )
                uv.append(((sx + 1) / 2 * max(1, round(w / d)), (sy + 1) / 2))
    f.scene.mesh(vertices, BLOCK, skin, labels.MAT, uv)


def pillows(
    f: Furnisher, under: Placed, count: int, back: float, size: tuple[float, float, float]
) -> None:
    """Pillows in a row on a bed or sofa; back: where, as a share of its depth."""
    model = f.catalogue.models().get(under.key)
    if model is None:
        return
    skin = (
        f.finishes.textured(["cloth", "rug"], (0.8, 0.95))
        if f.chance(0.6)
        else f.finishes.painted((0, 0.6), (0.4, 0.9), 0.9)
    )
    for i in range(count):
        dx, dy = ((i + 0.5) / count - 0.5) * under.size[0] * 0.75, back * under.size[1]
        z = model.shape().level_at(dx, dy, 0.05, 0.05, under.size, 0.3)
        if z is not None and 0.15 < z < 0.95:
            wide = min(size[0], under.size[0] * 0.8 / count)
            turn = under.angle + f.rng.uniform(-0.15, 0.15)
            _pillow(
                f, (*under.at(dx, dy), under.z + z - 0.02), (wide, size[1], size[2]), turn, skin
            )


def _pillow(
    f: Furnisher,
    place: tuple[float, float, float],
    size: tuple[float, float, float],
    angle: float,
    skin: Material,
) -> None:
    n = 9
    a, b = np.meshgrid(np.linspace(-1, 1, n), np.linspace(-1, 1, n), indexing="ij")
    bulge = np.sqrt(np.clip((1 - np.abs(a) ** 3) * (1 - np.abs(b) ** 3), 0, None))
    c, s = math.cos(angle), math.sin(angle)
    x, y = a * size[0] / 2, b * size[1] / 2
    vertices = []
    for side in (1, -1):
        z = place[2] + size[2] / 2 * (1 + side * bulge)
        vertices += list(
            zip(
                (place[0] + x * c - y * s).ravel(),
                (place[1] + x * s + y * c).ravel(),
                z.ravel(),
                strict=True,
            )
        )
    faces = [
        (o + i * n + j, o + (i + 1) * n + j, o + (i + 1) * n + j + 1, o + i * n + j + 1)
        for o in (0, n * n)
        for i in range(n - 1)
        for j in range(n - 1)
    ]
    f.scene.mesh(vertices, faces, skin, labels.PILLOW, smooth=True)


def books_on(f: Furnisher, under: Placed | None, count: int = 1) -> None:
    """Piles of books, or a sheaf of papers, on a level top."""
    model = None if under is None else f.catalogue.models().get(under.key)
    if under is None or model is None:
        return
    rng = f.rng
    for _ in range(count):
        dx, dy = rng.uniform(-0.38, 0.38) * under.size[0], rng.uniform(-0.3, 0.3) * under.size[1]
        z = model.shape().level_at(dx, dy, 0.25, 0.25, under.size, 0.01)
        if z is None or z < 0.25:
            continue
        x, y = under.at(dx, dy)
        box = (x - 0.14, y - 0.14, under.z + z, x + 0.14, y + 0.14, under.z + z + 0.1)
        if any(o[2] >= box[2] - 0.03 and not _apart(box, o) for o in f.scene.occupied):
            continue
        f.scene.take(box)
        pile(f, x, y, under.z + z)


def _apart(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return any(a[k + 3] < b[k] or a[k] > b[k + 3] for k in range(3))


def pile(f: Furnisher, x: float, y: float, z: float) -> None:
    """A pile of books or papers at a place."""
    rng = f.rng
    angle = rng.uniform(0, 6.28)
    if f.chance(0.3):
        thick = 0.003 * rng.randint(1, 8)
        f.of(f.finishes.white(), labels.PAPER).turned((x, y, z), (0.21, 0.297, thick), angle)
        return
    for _ in range(rng.randint(1, 6)):
        size = (rng.uniform(0.13, 0.2), rng.uniform(0.18, 0.27), rng.uniform(0.012, 0.04))
        cover = f.finishes.painted((0.1, 0.9), (0.08, 0.8), 0.6)
        f.of(cover, labels.BOOKS).turned((x, y, z), size, angle + rng.uniform(-0.2, 0.2))
        z += size[2]


def fill_shelves(f: Furnisher, shelf: Placed) -> None:
    """Rows of standing books on a model's own boards."""
    model = f.catalogue.models().get(shelf.key)
    if model is None or shelf.size[0] < 0.3:
        return
    for board in model.shape().boards:
        if board.gap > 0.22 and f.chance(0.75):
            start = f.rng.uniform(board.x0 + 0.03, (board.x0 + board.x1) / 2)
            end = f.rng.uniform(start, board.x1 - 0.03)
            deep = min(0.2, (board.y1 - board.y0) * 0.6)
            book_row(
                f, shelf, start, end, (board.y0 + board.y1) / 2 - 0.02, board.z, board.gap, deep
            )


def book_row(
    f: Furnisher,
    shelf: Placed,
    start: float,
    end: float,
    y: float,
    z: float,
    gap: float,
    deep: float,
) -> None:
    """Standing books from start to end along a shelf's own x axis."""
    at = start
    while at < end:
        thick, high = f.rng.uniform(0.015, 0.045), min(f.rng.uniform(0.16, 0.3), gap - 0.03)
        cover = f.finishes.painted((0.1, 0.9), (0.06, 0.8), 0.6)
        place = (*shelf.at(at + thick / 2, y), shelf.z + z)
        f.of(cover, labels.BOOKS).turned(place, (thick * 0.96, deep, high), shelf.angle)
        at += thick
