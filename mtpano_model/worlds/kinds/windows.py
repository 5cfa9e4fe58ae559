"""Windows and doors towards the outside, where no other room lies behind the wall."""

from __future__ import annotations

from mtpano_model.worlds.furnish import Furnisher
from mtpano_model.worlds.plan import Leaf, Opening, Room, Wall


def faces_outside(f: Furnisher, room: Room, wall: Wall, start: float, end: float) -> bool:
    """Whether no other room is within four metres behind that stretch."""
    return not any(
        other is not room and other.contains(*map(float, wall.point(u, -off)))
        for u in (start, (start + end) / 2, end)
        for off in (0.5, 1.5, 3.0)
        for other in f.plan.rooms
    )


def add_windows(
    f: Furnisher,
    room: Room,
    wanted: int,
    bottom: float | None = None,
    top: float | None = None,
    width: tuple[float, float] = (0.6, 2.4),
) -> None:
    """Up to `wanted` windows in the outer walls; heights are a home's unless given."""
    rng = f.rng
    for _ in range(wanted * 4):
        if wanted <= 0:
            return
        wall = room.any_wall(rng)
        if wall.length < 0.9:
            continue
        w = min(rng.uniform(*width), wall.length - 0.3)
        start = rng.uniform(0.12, wall.length - w - 0.12)
        low = (
            bottom
            if bottom is not None
            else (1.3 if room.theme in ("bath", "toilet") else rng.choice((0.05, 0.4, 0.85, 0.95)))
        )
        high = min(room.lowest_ceiling - 0.12, rng.uniform(2.0, 2.5) if top is None else top)
        if (
            high - low > 0.3
            and wall.has_room_for(start, start + w)
            and faces_outside(f, room, wall, start, start + w)
        ):
            wall.openings.append(Opening("window", start, start + w, low, high))
            wall.thickness = max(wall.thickness, 0.2)
            wanted -= 1


def add_doors_outside(
    f: Furnisher,
    room: Room,
    wanted: int,
    leaf: Leaf = "closed",
    width: tuple[float, ...] = (0.8, 0.9, 0.9, 1.4),
    top: float = 2.05,
) -> None:
    """Closed doors in walls that lead nowhere else."""
    rng = f.rng
    for _ in range(wanted * 5):
        if wanted <= 0:
            return
        wall = room.any_wall(rng)
        w = rng.choice(width)
        if wall.length < w + 0.3:
            continue
        start = rng.uniform(0.12, wall.length - w - 0.12)
        if wall.has_room_for(start, start + w) and faces_outside(f, room, wall, start, start + w):
            wall.openings.append(
                Opening("door", start, start + w, 0.0, min(top, room.lowest_ceiling - 0.08), leaf)
            )
            wanted -= 1


def glass_front(f: Furnisher, wall: Wall, top: float, door: bool = True) -> None:
    """A wall of windows from floor to `top`, with a glass door in it."""
    if wall.openings or wall.length < 2.5:
        return
    middle = f.rng.uniform(1.2, wall.length - 1.2)
    if door:
        half = 0.95
        if middle - half > 0.6:
            wall.openings.append(Opening("window", 0.15, middle - half - 0.1, 0.0, top))
        wall.openings.append(
            Opening("door", middle - half, middle + half, 0.0, min(top, 2.3), "glass")
        )
        if wall.length - middle - half > 0.6:
            wall.openings.append(
                Opening("window", middle + half + 0.1, wall.length - 0.15, 0.0, top)
            )
    else:
        wall.openings.append(
            Opening("window", 0.15, wall.length - 0.15, f.rng.choice((0.0, 0.05, 0.4)), top)
        )
