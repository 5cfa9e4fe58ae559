"""The shell of a room: floor, walls with their openings, ceiling, skirtings, beams and pillars."""

from __future__ import annotations

from dataclasses import dataclass

from mtpano_model.worlds import labels
from mtpano_model.worlds.furnish import Furnisher
from mtpano_model.worlds.joinery import build_door, build_window
from mtpano_model.worlds.plan import Room, Wall
from mtpano_model.worlds.scene import Material

_BELOW, _ABOVE = 0.05, 0.05  # walls reach past floor and ceiling, so that no light leaks in

FLOORS = {
    "bath": ("floor_tile",),
    "toilet": ("floor_tile",),
    "kitchen": ("floor_tile", "floor_wood"),
    "study": ("floor_soft", "floor_wood"),
    "bedroom": ("floor_wood", "floor_soft"),
    "living": ("floor_wood", "floor_wood", "floor_tile", "floor_soft"),
    "passage": ("floor_tile", "floor_wood", "floor_soft"),
    "closet": ("floor_wood", "floor_tile", "floor_concrete"),
    "storeroom": ("floor_concrete", "floor_epoxy", "floor_tile"),
    "office": ("floor_soft", "floor_soft", "floor_wood", "floor_tile"),
    "public": ("floor_tile", "floor_tile", "floor_soft", "floor_wood"),
    "sports": ("floor_sports", "floor_wood"),
    "works": ("floor_concrete", "floor_epoxy"),
}
WALLS = {
    "home": ("wall_paint",) * 8 + ("wall_paper", "wall_paper", "wall_brick", "wall_wood"),
    "wet": ("wall_tile", "wall_tile", "wall_tile", "wall_paint"),
    "public": ("wall_paint",) * 6 + ("wall_wood", "wall_brick", "wall_concrete", "wall_tile"),
    "works": ("wall_block", "wall_paint", "wall_concrete", "wall_brick"),
}


@dataclass(frozen=True)
class Skin:
    """Which family of floors and walls a room takes, and what it may have besides."""

    floor: str
    walls: str
    skirting: float = 0.75
    moulding: float = 0.2
    plain_ceiling: float = 0.88


HOME = {t: Skin(t, "wet" if t in ("bath", "toilet") else "home") for t in FLOORS}
PUBLIC = Skin("public", "public", 0.6, 0.0)
OFFICE = Skin("office", "public", 0.6, 0.0)
SPORTS = Skin("sports", "public", 0.3, 0.0)
WORKS = Skin("works", "works", 0.05, 0.0)


@dataclass(frozen=True)
class Surface:
    """The materials that one room's parts share."""

    floor: Material
    wall: Material
    trim: Material
    ceiling: Material


def build_shell(f: Furnisher, room: Room, skin: Skin) -> Surface:
    """Build a room's floor, walls, openings and ceiling; the materials for what follows."""
    rng, fin = f.rng, f.finishes
    floor = fin.textured(FLOORS[skin.floor], (0.12, 0.7))
    wall = fin.textured([rng.choice(WALLS[skin.walls])], (0.5, 0.9))
    accent = fin.textured([rng.choice(WALLS[skin.walls])], (0.5, 0.9)) if f.chance(0.25) else wall
    trim = fin.white() if f.chance(0.6) else fin.wood()
    skirt = trim if f.chance(0.7) else wall
    tone = rng.uniform(0.6, 0.92)
    pale = fin.paint((tone, tone * rng.uniform(0.96, 1), tone * rng.uniform(0.92, 1)), 0.8)
    ceiling = (
        pale if f.chance(skin.plain_ceiling) else fin.textured(["wall_wood", "floor_concrete"])
    )
    surface = Surface(floor, wall, trim, ceiling)
    f.of(floor, labels.FLOOR).floor(room)
    if room.roofed:
        f.of(ceiling, labels.CEILING).ceiling(room)
    skirt_height = rng.uniform(0.05, 0.14) if f.chance(skin.skirting) else 0.0
    moulding = rng.uniform(0.04, 0.1) if room.slope == (0, 0) and f.chance(skin.moulding) else 0.0
    accented = rng.randrange(len(room.walls))
    for index, side in enumerate(room.walls):
        material = accent if index == accented else wall
        _build_wall(f, room, index, material, floor)
        _build_trims(f, room, side, skirt, skirt_height, ceiling, moulding)
        for opening in side.openings:
            if opening.kind == "window":
                build_window(f, room, side, opening, trim)
            elif opening.kind == "door":
                build_door(f, side, opening, trim, wall)
    return surface


def _turns_left(a: Wall, b: Wall) -> bool:
    return bool(a.along[0] * b.along[1] - a.along[1] * b.along[0] > 0)


def _build_wall(f: Furnisher, room: Room, index: int, material: Material, floor: Material) -> None:
    """The wall's body around its openings, outside the room; it closes the corner to the next."""
    wall, after = room.walls[index], room.walls[(index + 1) % len(room.walls)]
    before = room.walls[index - 1]
    at = 0.0 if _turns_left(before, wall) else 0.001
    last = wall.length + (after.thickness if _turns_left(wall, after) else -0.001)
    low, high = -_BELOW, room.highest_ceiling + _ABOVE
    back = -wall.thickness

    def piece(u0: float, u1: float, z0: float, z1: float) -> None:
        f.of(material, labels.WALL).on_wall(wall, u0, u1, back, 0.0, z0, z1)

    for opening in sorted(wall.openings, key=lambda o: o.start):
        piece(at, opening.start, low, high)
        if opening.bottom > 0:
            piece(opening.start, opening.end, low, opening.bottom)
        else:
            f.of(floor, labels.FLOOR).on_wall(wall, opening.start, opening.end, back, 0.0, low, 0.0)
        piece(opening.start, opening.end, opening.top, high)
        at = opening.end
    piece(at, last, low, high)


def _build_trims(
    f: Furnisher,
    room: Room,
    wall: Wall,
    skirt: Material,
    skirt_height: float,
    ceiling: Material,
    moulding: float,
) -> None:
    if skirt_height:
        at = 0.0
        for opening in sorted(wall.openings, key=lambda o: o.start):
            if opening.bottom < 0.2:
                f.of(skirt, labels.WALL).on_wall(
                    wall, at, opening.start - 0.07, 0, 0.012, 0, skirt_height
                )
                at = opening.end + 0.07
        f.of(skirt, labels.WALL).on_wall(wall, at, wall.length, 0, 0.012, 0, skirt_height)
    if moulding:
        f.of(ceiling, labels.CEILING).on_wall(
            wall, 0, wall.length, 0, moulding * 0.8, room.height - moulding, room.height
        )


def add_beams(
    f: Furnisher, room: Room, material: Material, count: int, wide: float, deep: float
) -> None:
    """Beams under the ceiling, across the shorter way."""
    axis = int(room.size[1] > room.size[0])
    for i in range(count):
        middle = room.low[axis] + room.size[axis] * (i + 1) / (count + 1)
        low, high = list(map(float, room.low)), list(map(float, room.high))
        low[axis], high[axis] = middle - wide / 2, middle + wide / 2
        under = room.lowest_ceiling
        top = under + 0.3 * (room.slope != (0, 0))
        (x0, y0), (x1, y1) = low, high
        f.of(material, labels.CEILING).block(x0, y0, under - deep, x1, y1, top)


def add_pillars(f: Furnisher, room: Room, material: Material, spacing: float, width: float) -> None:
    """Square pillars on a grid, where nothing stands yet."""
    counts = [max(1, int(s / spacing)) for s in room.size]
    for i in range(1, counts[0]):
        for j in range(1, counts[1]):
            x, y = (float(room.low[k] + room.size[k] * n / counts[k]) for k, n in ((0, i), (1, j)))
            half = width / 2
            box = (x - half, y - half, 0.0, x + half, y + half, room.ceiling(x, y) - 0.03)
            if f.fits(room, box, 0.2):
                x0, y0, z0, x1, y1, _ = box
                f.of(material, labels.WALL).block(x0, y0, z0, x1, y1, room.highest_ceiling)
                f.scene.take(box)
