"""Doors and windows: frames, leaves, panes, blinds and curtains."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

from mtpano_model.worlds import labels
from mtpano_model.worlds.furnish import Furnisher
from mtpano_model.worlds.plan import Opening, Room, Wall
from mtpano_model.worlds.scene import Material

_LEAF = 0.04  # metres thick


def build_window(f: Furnisher, room: Room, wall: Wall, o: Opening, trim: Material) -> None:
    """Frame, mullions, mostly a pane, a sill, and what hangs before it."""
    rng = f.rng
    out0 = -wall.thickness * 0.75
    out1 = out0 + 0.05
    wide = rng.uniform(0.035, 0.06)

    def bar(u0: float, u1: float, z0: float, z1: float, inset: float = 0.0) -> None:
        f.of(trim, labels.WINDOW).on_wall(wall, u0, u1, out0 + inset, out1 - inset, z0, z1)

    bar(o.start, o.start + wide, o.bottom, o.top)
    bar(o.end - wide, o.end, o.bottom, o.top)
    bar(o.start, o.end, o.bottom, o.bottom + wide)
    bar(o.start, o.end, o.top - wide, o.top)
    for i in range(1, panes := max(1, round((o.end - o.start) / rng.uniform(0.6, 1.4)))):
        u = o.start + (o.end - o.start) * i / panes
        bar(u - 0.03, u + 0.03, o.bottom + wide, o.top - wide, 0.002)
    if f.chance(0.3) or o.top - o.bottom > 2.6:
        for z in np.arange(o.bottom + rng.uniform(0.7, 1.4), o.top - 0.4, rng.uniform(1.2, 2.0)):
            bar(o.start + wide, o.end - wide, z - 0.015, z + 0.015, 0.004)
    if f.chance(0.85):
        f.of(f.finishes.glass(), labels.WINDOW).on_wall(
            wall,
            o.start + wide,
            o.end - wide,
            out0 + 0.02,
            out0 + 0.026,
            o.bottom + wide,
            o.top - wide,
        )
    if o.bottom > 0.3:
        f.of(trim, labels.WINDOW).on_wall(
            wall,
            o.start - 0.05,
            o.end + 0.05,
            0,
            rng.uniform(0.04, 0.18),
            o.bottom - 0.035,
            o.bottom,
        )
    kind = rng.random()
    if kind < 0.4 and room.theme in ("living", "bedroom", "study", "kitchen", "office"):
        _add_curtains(f, room, wall, o)
    elif kind < 0.6 and o.top - o.bottom < 2.6:
        _add_blind(f, wall, o, out1)


def _add_curtains(f: Furnisher, room: Room, wall: Wall, o: Opening) -> None:
    rng = f.rng
    cloth = f.finishes.textured(["cloth"], (0.8, 0.95), on_mesh=True)
    top = min(room.lowest_ceiling - 0.05, o.top + rng.uniform(0.08, 0.25))
    bottom = 0.02 if f.chance(0.7) else max(0.02, o.bottom - 0.15)
    left, right = (
        max(0.02, o.start - rng.uniform(0.1, 0.3)),
        min(wall.length - 0.02, o.end + rng.uniform(0.1, 0.3)),
    )
    width = min(rng.uniform(0.2, 0.55), 0.3 * (right - left))
    for u0, u1 in ((left, left + width), (right - width, right)):
        if not any(p is not o and u0 < p.end and u1 > p.start for p in wall.openings):
            _add_curtain(f, wall, u0, u1, bottom, top, cloth)
            f.scene.take(wall.box(u0, u1, 0.0, 0.15, 0.0, top))
    f.of(f.finishes.wood(), labels.CURTAIN).on_wall(wall, left, right, 0.08, 0.1, top, top + 0.02)


def _add_curtain(
    f: Furnisher, wall: Wall, u0: float, u1: float, z0: float, z1: float, cloth: Material
) -> None:
    count = int((u1 - u0) / 0.02) + 2
    fold, deep, phase = f.rng.uniform(0.07, 0.13), f.rng.uniform(0.015, 0.03), f.rng.uniform(0, 6)
    u = np.linspace(u0, u1, count)
    off = (
        0.09
        + deep * np.sin(2 * np.pi * u / fold + phase)
        + 0.3 * deep * np.sin(14 * u / fold * 0.37)
    )
    vertices, uv = [], []
    for z in (z0, z1):
        for along, away in zip(u, off, strict=True):
            x, y = wall.point(along, away)
            vertices.append((x, y, z))
            uv.append(((along - u0) * 1.6, z))
    faces = [(i, i + 1, count + i + 1, count + i) for i in range(count - 1)]
    f.scene.mesh(vertices, faces, cloth, labels.CURTAIN, uv, smooth=True)


def _add_blind(f: Furnisher, wall: Wall, o: Opening, off: float) -> None:
    """Slats or a roller blind, let down some way."""
    rng = f.rng
    cloth = f.of(f.finishes.white() if f.chance(0.7) else f.finishes.painted(), labels.BLINDS)
    drop = rng.uniform(0.2, 1.0) * (o.top - o.bottom)
    u0, u1, off = o.start + 0.01, o.end - 0.01, off + 0.01
    cloth.on_wall(wall, u0, u1, off, off + 0.04, o.top - 0.04, o.top - 0.001)
    if f.chance(0.5):
        for z in np.arange(o.top - 0.05, max(o.top - drop, o.bottom + 0.03), -0.04):
            cloth.on_wall(wall, u0, u1, off + 0.005, off + 0.03, z - 0.006, z - 0.002)
    else:
        cloth.on_wall(wall, u0, u1, off + 0.015, off + 0.018, o.top - drop + 0.02, o.top - 0.04)


def build_door(f: Furnisher, wall: Wall, o: Opening, trim: Material, wall_skin: Material) -> None:
    """Frame and leaf; the space that people need before it is kept clear."""
    rng = f.rng
    wide = rng.uniform(0.04, 0.08)
    if o.leaf != "roller":
        for u0, u1, z0, z1 in (
            (o.start - wide, o.start, 0.0, o.top + wide),
            (o.end, o.end + wide, 0.0, o.top + wide),
            (o.start, o.end, o.top, o.top + wide),
        ):
            f.of(trim, labels.DOOR).on_wall(wall, u0, u1, 0.0, 0.015, z0, z1)
    f.scene.keep_clear.append(wall.box(o.start, o.end, 0.0, 0.95 if o.inside else 0.7, 0.0, 1.9))
    # A plain door the colour of its wall is what a robot meets in every corridor.
    color = (
        wall_skin
        if f.chance(0.2)
        else f.rng.choice((f.finishes.wood, f.finishes.white, f.finishes.painted))()
    )
    if not o.inside and o.leaf in ("closed", "lift", "roller"):  # no daylight through its gaps
        back = -wall.thickness
        f.of(f.finishes.dark(), labels.DOOR).on_wall(
            wall, o.start, o.end, back - 0.01, back, 0, o.top
        )
    if o.leaf == "closed":
        _leaf(f, wall, o.start, o.end, o.top, -wall.thickness * 0.5, 0.0, color)
    elif o.leaf == "ajar":
        _leaf(f, wall, o.start, o.end, o.top, 0.03, o.swing, color)
        reach = o.end - o.start + 0.05
        f.scene.take(wall.box(o.start - 0.35, o.start + 0.25, 0.0, reach, 0.0, o.top))
    elif o.leaf == "glass":
        _glass_leaf(f, wall, o)
    elif o.leaf == "roller":
        _roller(f, wall, o, color)
    elif o.leaf == "lift":
        steel = f.finishes.steel()
        middle = (o.start + o.end) / 2
        for u0, u1 in ((o.start, middle - 0.004), (middle + 0.004, o.end)):
            f.of(steel, labels.DOOR).on_wall(wall, u0, u1, -0.12, -0.08, 0.005, o.top)


def _leaf(
    f: Furnisher,
    wall: Wall,
    u0: float,
    u1: float,
    top: float,
    off: float,
    swing: float,
    color: Material,
) -> None:
    """A door leaf hinged at u0, with panels or a window and handles."""
    rng = f.rng
    pairs = [(u0, 1)] if u1 - u0 < 1.25 else [(u0, 1), (u1, -1)]
    width = (u1 - u0) / len(pairs) - 0.01
    steel, panels = f.finishes.steel(), rng.choice((0, 0, 2, 3))
    for hinge, way in pairs:
        x, y = wall.point(hinge + 0.005 * way, off)
        angle = math.atan2(wall.along[1], wall.along[0]) + (swing if way > 0 else math.pi - swing)

        def part(
            at: float,
            aside: float,
            z: float,
            w: float,
            d: float,
            h: float,
            skin: Material,
            x: float = x,
            y: float = y,
            angle: float = angle,
        ) -> None:
            c, s = math.cos(angle), math.sin(angle)
            place = (x + at * c - aside * s, y + at * s + aside * c, z)
            f.of(skin, labels.DOOR).turned(place, (w, d, h), angle)

        part(width / 2, 0, 0.008, width, _LEAF, top - 0.013, color)
        heights = np.linspace(0.12, top - 0.12, panels + 1 if panels else 0)
        for side in (-1, 1):
            for z0, z1 in pairwise(heights):
                part(
                    width / 2,
                    side * (_LEAF / 2 + 0.004),
                    z0 + 0.04,
                    width - 0.25,
                    0.008,
                    z1 - z0 - 0.08,
                    color,
                )
            part(width - 0.1, side * (_LEAF / 2 + 0.022), 1.0, 0.1, 0.02, 0.025, steel)


def _glass_leaf(f: Furnisher, wall: Wall, o: Opening) -> None:
    """Glass doors with steel stiles."""
    glass, steel = f.finishes.glass(), f.of(f.finishes.steel(), labels.DOOR)
    count = max(1, round((o.end - o.start) / 0.95))
    for i in range(count):
        u0, u1 = (o.start + (o.end - o.start) * k / count for k in (i, i + 1))
        for a, b in ((u0, u0 + 0.04), (u1 - 0.04, u1)):
            steel.on_wall(wall, a, b, -0.1, -0.06, 0.0, o.top)
        for a, b in ((0.0, 0.08), (o.top - 0.05, o.top)):
            steel.on_wall(wall, u0 + 0.04, u1 - 0.04, -0.1, -0.06, a, b)
        f.of(glass, labels.DOOR).on_wall(
            wall, u0 + 0.04, u1 - 0.04, -0.085, -0.075, 0.08, o.top - 0.05
        )
        steel.on_wall(wall, u1 - 0.1, u1 - 0.07, -0.06, -0.02, 0.9, 1.3)


def _roller(f: Furnisher, wall: Wall, o: Opening, color: Material) -> None:
    """A roller or sectional door, with its guides."""
    steel, step = f.of(f.finishes.steel(), labels.DOOR), f.rng.choice((0.09, 0.12, 0.5))
    for z in np.arange(0.0, o.top - 0.02, step):
        high = min(step - 0.012, o.top - z)
        f.of(color, labels.DOOR).on_wall(wall, o.start, o.end, -0.1, -0.06, z, z + high)
    f.of(color, labels.DOOR).on_wall(wall, o.start, o.end, -0.1, -0.075, 0.0, o.top)
    for u in (o.start - 0.05, o.end):
        steel.on_wall(wall, u, u + 0.05, 0.0, 0.06, 0.0, o.top + 0.1)
    steel.on_wall(wall, o.start - 0.05, o.end + 0.05, 0.0, 0.3, o.top, o.top + 0.35)
