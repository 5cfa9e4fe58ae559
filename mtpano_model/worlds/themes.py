"""What stands in the rooms of a home."""

from __future__ import annotations

from collections.abc import Callable

from mtpano_model.worlds.decor import hang
from mtpano_model.worlds.furnish import Furnisher
from mtpano_model.worlds.groups import (
    bathroom,
    bed_group,
    clutter,
    desk,
    dining,
    sofa_group,
    storage,
    television,
)
from mtpano_model.worlds.kitchen import furnish_kitchen
from mtpano_model.worlds.plan import Room


def _living(f: Furnisher, room: Room, many: Callable[[float, float], int]) -> None:
    for _ in range(1 if room.area < 30 else 2):
        sofa_group(f, room)
    television(f, room)
    if room.area > 12 and f.chance(0.6):
        dining(f, room)
    storage(f, room, ("bookcase", "shelves", "cabinet", "dresser", "bookcase"), many(3, 18))
    if f.chance(0.25):
        f.against_wall(room, f.pick(f.rng.choice(("hearth", "piano"))))
    clutter(f, room, many(6, 18))


def _bedroom(f: Furnisher, room: Room, many: Callable[[float, float], int]) -> None:
    bed_group(f, room)
    if f.chance(0.15):
        f.against_wall(room, f.pick("kidbed"))
    storage(f, room, ("wardrobe", "wardrobe", "dresser", "shelves", "bookcase"), many(3.5, 14))
    if f.chance(0.5):
        desk(f, room)
    if f.chance(0.3):
        television(f, room)
    clutter(f, room, many(5, 14))


def _kitchen(f: Furnisher, room: Room, many: Callable[[float, float], int]) -> None:
    furnish_kitchen(f, room)
    if room.area > 8:
        dining(f, room)
    storage(f, room, ("cabinet", "shelves", "dresser"), many(1, 14))
    clutter(f, room, many(3, 14))


def _study(f: Furnisher, room: Room, many: Callable[[float, float], int]) -> None:
    for _ in range(many(1.6, 12)):
        desk(f, room)
    storage(f, room, ("bookcase", "shelves", "cabinet", "bookcase", "safe"), many(2, 16))
    f.against_wall(room, f.pick("whiteboard")) if f.chance(0.4) else None
    clutter(f, room, many(4, 16))


def _passage(f: Furnisher, room: Room, many: Callable[[float, float], int]) -> None:
    storage(f, room, ("shelves", "dresser", "cabinet"), f.rng.randint(0, 2))
    clutter(f, room, f.rng.randint(0, 4))


def _closet(f: Furnisher, room: Room, many: Callable[[float, float], int]) -> None:
    storage(f, room, ("shelves", "wardrobe", "cabinet"), f.rng.randint(0, 2))
    for role in f.rng.choices(
        ("box", "bag", "floorsmall", "clothes", "washer"), k=f.rng.randint(1, 4)
    ):
        f.somewhere(room, f.pick(role))


_THEMES: dict[str, Callable[[Furnisher, Room, Callable[[float, float], int]], None]] = {
    "living": _living,
    "bedroom": _bedroom,
    "kitchen": _kitchen,
    "study": _study,
    "passage": _passage,
    "closet": _closet,
    "storeroom": _closet,
    "bath": lambda f, room, many: bathroom(f, room),
    "toilet": lambda f, room, many: bathroom(f, room),
}


def furnish_home_room(f: Furnisher, room: Room) -> None:
    """Fill one room of a home by its theme."""
    rng = f.rng

    def many(usual: float, for_area: float) -> int:
        """A number of things: usual in a room of that area, more or fewer by size and chance."""
        scale = rng.choice((0.6, 0.9, 1.2, 1.5)) * min(3.0, max(0.7, room.area / for_area))
        return max(1, round(usual * scale))

    _THEMES[room.theme](f, room, many)
    wet = room.theme in ("bath", "toilet", "closet", "storeroom")
    for _ in range(0 if wet else rng.randint(1, 4)):
        hang(f, room)
    if not wet and f.chance(0.3):
        hang(f, room, middle=1.2, size=(rng.uniform(0.4, 0.7), rng.choice((1.5, 0.8))), mirror=True)
    for wall in room.walls:
        for o in wall.openings:
            if o.kind == "window" and o.bottom > 0.75 and f.chance(0.4):
                f.against_wall(
                    room,
                    f.pick("radiator", highest=o.bottom - 0.1),
                    wall,
                    (o.start + o.end) / 2,
                    0.08,
                )
    if not wet and f.chance(0.25):
        f.somewhere(room, f.pick("mat"))
