"""One main room with smaller rooms beside it, seen through doors."""

from __future__ import annotations

import random

import numpy as np

from mtpano_model.worlds.outline import cut_corner, l_shape, rectangle, t_shape
from mtpano_model.worlds.plan import Leaf, Plan, Point, Room, connect

_GAP = 0.16  # metres between two rooms


def main_room(
    rng: random.Random,
    theme: str,
    width: tuple[float, float],
    depth: tuple[float, float],
    height: tuple[float, float] | float,
    shapes: tuple[float, float, float] = (0.7, 0.2, 0.1),
) -> Room:
    """A rectangle, an L or a T (by the given weights), now and then with a corner cut off.

    width, depth, height: ranges in metres; a height may be fixed.
    """
    wide, deep = rng.uniform(*width), rng.uniform(*depth)
    high = rng.uniform(*height) if isinstance(height, tuple) else height
    shape = rng.choices(("box", "l", "t"), shapes)[0]
    arm = max(1.5, 0.35 * min(wide, deep))
    outline: list[Point]
    if shape == "box" or min(wide, deep) < 2 * arm + 0.9:
        outline = rectangle(wide, deep)
        if rng.random() < 0.12:
            outline = cut_corner(rng, outline)
    elif shape == "l":
        outline = l_shape(rng, wide, deep, arm)
    else:
        outline = t_shape(rng, wide, deep, arm)
    return Room(outline, theme, high, 0.25)


def add_annexes(
    rng: random.Random,
    plan: Plan,
    count: int,
    themes: tuple[str, ...],
    leaves: tuple[Leaf, ...] = ("none", "ajar", "glass"),
    size: tuple[float, float] = (2.2, 5.5),
) -> None:
    """Up to `count` rectangular rooms outside the main one, each behind a doorway."""
    main = plan.rooms[0]
    for _ in range(count * 3):
        if count <= 0:
            return
        wall = main.any_wall(rng)
        wide, deep = rng.uniform(*size), rng.uniform(*size)
        if wall.length < 2.0:
            continue
        at = rng.uniform(0.9, wall.length - 0.9)
        start = at - rng.uniform(0.2, 0.8) * wide
        corners = [
            wall.point(start, -_GAP),
            wall.point(start, -_GAP - deep),
            wall.point(start + wide, -_GAP - deep),
            wall.point(start + wide, -_GAP),
        ]
        height = min(main.lowest_ceiling, rng.uniform(2.3, 2.9))
        annex = Room(
            [(float(x), float(y)) for x, y in corners], rng.choice(themes), height, _GAP / 2
        )
        if any(_clash(annex, room) for room in plan.rooms):
            continue
        leaf = rng.choice(leaves)
        width = (
            rng.choice((0.8, 0.9, 1.0))
            if leaf != "none"
            else rng.choice((0.9, 1.0, rng.uniform(1.2, 2.2)))
        )
        swing = rng.choice((rng.uniform(0.2, 0.8), rng.uniform(1.2, 2.6)))
        if connect(main, annex, width, min(2.1, height - 0.1), rng.random(), leaf, swing):
            plan.rooms.append(annex)
            count -= 1


def _clash(a: Room, b: Room) -> bool:
    """Whether two rooms come nearer than a wall's thickness: by points along both outlines."""
    grown = 0.05
    for one, other in ((a, b), (b, a)):
        for wall in one.walls:
            for u in np.linspace(0, wall.length, max(3, int(wall.length / 0.5))):
                x, y = wall.point(float(u), -grown)
                if other.contains(float(x), float(y)):
                    return True
    return bool(a.contains(*map(float, b.middle)) or b.contains(*map(float, a.middle)))
