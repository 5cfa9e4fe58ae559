"""Pallet racks and pallets."""

from __future__ import annotations

import math

import numpy as np

from mtpano_model.worlds import labels
from mtpano_model.worlds.furnish import Furnisher
from mtpano_model.worlds.plan import Room
from mtpano_model.worlds.scene import Material, Placed, footprint


def rack(
    f: Furnisher,
    x: float,
    y: float,
    bays: int,
    height: float,
    along_x: bool,
    skins: tuple[Material, Material],
    fill: float = 0.75,
) -> Placed:
    """A pallet rack: uprights, beams, pallets with cartons. x, y: its middle."""
    rng, scene = f.rng, f.scene
    bay, deep, step = 2.7, 1.1, rng.uniform(1.3, 1.9)
    length, angle = bays * bay, 0.0 if along_x else math.pi / 2
    place = footprint(x, y, angle, (length, deep, height), labels.SHELVES)
    upright, beam = skins

    def piece(
        dx: float, dy: float, z: float, w: float, d: float, h: float, skin: Material, label: int
    ) -> None:
        f.of(skin, label).turned((*place.at(dx, dy), z), (w, d, h), angle)

    for i in range(bays + 1):
        dx = -length / 2 + i * bay
        for dy in (-deep / 2, deep / 2):
            piece(dx, dy, 0, 0.09, 0.08, height, upright, labels.SHELVES)
        for z in np.arange(0.4, height - 0.2, 0.9):
            piece(dx, 0, z, 0.03, deep, 0.04, upright, labels.SHELVES)
    for z in np.arange(step, height - 0.3, step):
        for dy in (-deep / 2, deep / 2):
            piece(0, dy, z - 0.12, length, 0.05, 0.12, beam, labels.SHELVES)
    carton = [f.finishes.paint((0.5 * k, 0.36 * k, 0.22 * k), 0.8) for k in (0.8, 1.0, 1.2)]
    others = [f.finishes.painted((0, 0.7), (0.1, 0.8)) for _ in range(3)]
    wood = f.finishes.wood()
    for z in (0.0, *np.arange(step, height - 0.3, step)):
        for i in range(bays):
            for slot in (-0.65, 0.65):
                if f.chance(1 - fill):
                    continue
                dx = -length / 2 + (i + 0.5) * bay + slot
                piece(dx, 0, z, 1.15, 0.95, 0.14, wood, labels.BOX)
                high = rng.uniform(0.4, step - 0.45) if step > 0.9 else 0.4
                skin = rng.choice(carton if f.chance(0.75) else others)
                if f.chance(0.5):
                    piece(dx, 0, z + 0.14, 1.05, 0.9, high, skin, labels.BOX)
                else:
                    for k in (-0.26, 0.26):
                        for m in (-0.22, 0.22):
                            tall = high * rng.choice((1.0, 1.0, 0.5))
                            piece(
                                dx + k, m, z + 0.14, 0.5, 0.42, tall, rng.choice(carton), labels.BOX
                            )
    scene.take(place.box)
    return place


def pallet_stack(f: Furnisher, room: Room) -> None:
    """A pallet with goods, or some empty ones, somewhere on the floor."""
    rng = f.rng
    high = rng.uniform(0.15, 1.6)
    size = (1.2, 0.8, high + 0.14)
    for _ in range(10):
        x, y = room.anywhere(rng)
        angle = rng.choice((0, math.pi / 2)) + rng.gauss(0, 0.06)
        place = footprint(x, y, angle, size, labels.BOX)
        if f.fits(room, place.box, 0.1):
            wood = f.of(f.finishes.wood(), labels.BOX)
            wood.turned((x, y, 0), (1.2, 0.8, 0.14), angle)
            if f.chance(0.25):
                for k in range(1, int(high / 0.15) + 1):
                    wood.turned((x, y, k * 0.15), (1.2, 0.8, 0.14), angle + rng.gauss(0, 0.03))
            else:
                skin = (
                    f.finishes.paint((0.5, 0.36, 0.22), 0.8)
                    if f.chance(0.7)
                    else f.finishes.painted()
                )
                f.of(skin, labels.BOX).turned((x, y, 0.14), (1.1, 0.75, high), angle)
            f.scene.take(place.box)
            return
