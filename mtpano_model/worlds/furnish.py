"""Putting models where they belong: against walls, free in a room, on and around each other."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from mtpano_model.worlds.catalogue import Catalogue, Model
from mtpano_model.worlds.finishes import Finishes
from mtpano_model.worlds.labels import BATH, FRIDGE, PERSON, PROP, SINK, TELEVISION, TOILET
from mtpano_model.worlds.plan import Box, Plan, Room, Wall
from mtpano_model.worlds.scene import Material, Placed, Scene, footprint, overlaps
from mtpano_model.worlds.solids import Solids

QUARTERS = (0.0, math.pi / 2, math.pi, -math.pi / 2)
# What keeps the colours it came with: people, plants, screens, white goods.
_UNTINTED = frozenset({PERSON, PROP, TELEVISION, TOILET, SINK, BATH, FRIDGE})


class Furnisher:
    """A world being filled: its scene, its random numbers and where things may come from."""

    def __init__(
        self, plan: Plan, scene: Scene, rng: random.Random, catalogue: Catalogue, finishes: Finishes
    ):
        self.plan, self.scene, self.rng = plan, scene, rng
        self.catalogue, self.finishes = catalogue, finishes
        self._tints: dict[str, tuple[float, float, float] | None] = {}
        self.lamps_over: list[tuple[Room, float, float]] = []

    # --- choosing ------------------------------------------------------------------------------

    def pick(
        self, role: str, widest: float = 99.0, deepest: float = 99.0, highest: float = 99.0
    ) -> Model | None:
        """Any model of the role that fits, or None."""
        fitting = self.catalogue.of(role, widest, deepest, highest)
        return self.rng.choice(fitting) if fitting else None

    def chance(self, share: float) -> bool:
        return self.rng.random() < share

    def of(self, material: Material, label: int) -> Solids:
        """Bodies of this material and class, to be added to the scene."""
        return Solids(self.scene, material, label)

    # --- placing -------------------------------------------------------------------------------

    def put(
        self,
        model: Model,
        x: float,
        y: float,
        z: float,
        angle: float,
        takes: bool = True,
        scale: float = 1.0,
    ) -> Placed:
        """Place it, whatever is there; takes: it fills its box."""
        if model.key not in self._tints:
            self._tints[model.key] = self._tint(model)
        w, d, h = (s * scale for s in model.size)
        placed = Placed(model.key, x, y, z, angle, (w, d, h), model.label, self._tints[model.key])
        self.scene.models.append(placed)
        if takes:
            self.scene.take(placed.box)
        return placed

    def _tint(self, model: Model) -> tuple[float, float, float] | None:
        if model.label in _UNTINTED or not self.chance(0.4):
            return None
        return (self.rng.random(), self.rng.uniform(0.6, 1.05), self.rng.uniform(0.6, 1.25))

    def fits(self, room: Room, box: Box, margin: float = 0.03) -> bool:
        """Whether the box lies in the room, below its ceiling, and nothing stands there."""
        return (
            box[5] < min(room.ceiling(box[i], box[j]) for i in (0, 3) for j in (1, 4)) - 0.02
            and self.scene.is_free(box, margin)
            and room.holds(box[0], box[1], box[3], box[4])
        )

    def against_wall(
        self,
        room: Room,
        model: Model | None,
        wall: Wall | None = None,
        at: float | None = None,
        z: float = 0.0,
        gap: float | None = None,
        front: float = 0.0,
        tries: int = 25,
    ) -> Placed | None:
        """Back to a wall; at: its middle along the wall; front: free metres before it."""
        if model is None:
            return None
        w, d, h = model.size
        fixed = wall is not None and at is not None
        for _ in range(1 if fixed else tries):
            side = (
                wall
                or self.rng.choices(room.walls, [max(0.01, q.length - w) for q in room.walls])[0]
            )
            if side.length < w + 0.04:
                continue
            middle = at if at is not None else self._along(side, w)
            if not side.is_bare(middle - w / 2, middle + w / 2, z, z + h):
                continue
            behind = self.rng.uniform(0.015, 0.06) if gap is None else gap
            box = side.box(middle - w / 2, middle + w / 2, behind, behind + d + front, z, z + h)
            if not self.fits(room, box):
                continue
            x, y = side.point(middle, behind + d / 2)
            return self.put(model, float(x), float(y), z, side.angle)
        return None

    def _along(self, wall: Wall, width: float) -> float:
        """Somewhere along a wall, often in its corners."""
        low, high = width / 2 + 0.02, wall.length - width / 2 - 0.02
        return (
            self.rng.uniform(low, high)
            if self.chance(0.75)
            else self.rng.choice((low + 0.01, high - 0.01))
        )

    def somewhere(
        self,
        room: Room,
        model: Model | None,
        angle: float | None = None,
        margin: float = 0.06,
        tries: int = 25,
    ) -> Placed | None:
        """Free on the floor, small things turned anyhow, large ones along the axes."""
        if model is None:
            return None
        for _ in range(tries):
            small = max(model.size[:2]) < 0.9
            any_turn = self.rng.uniform(0, 2 * math.pi) if small else self.rng.choice(QUARTERS)
            turn = any_turn if angle is None else angle
            x, y = room.anywhere(self.rng)
            box = footprint(x, y, turn, model.size).box
            if self.fits(room, box, margin):
                return self.put(model, x, y, 0.0, turn)
        return None

    def on_top(
        self,
        under: Placed | None,
        role: str,
        count: int = 1,
        spread: float = 0.76,
    ) -> list[Placed]:
        """Things of a role on a level part of the upper side, in the upper half of its height."""
        done: list[Placed] = []
        if under is None:
            return done
        model_under = self.catalogue.models().get(under.key)
        for _ in range(count):
            model = self.pick(role)
            if model is None or model_under is None:
                continue
            reach = max(model.size[:2]) * 0.85
            for _ in range(8):
                dx, dy = ((self.rng.random() - 0.5) * s * spread for s in under.size[:2])
                z = model_under.shape().level_at(dx, dy, reach, reach, under.size)
                if z is None or z < 0.5 * under.size[2]:
                    continue
                x, y = under.at(dx, dy)
                z += under.z
                box = (
                    x - reach / 2,
                    y - reach / 2,
                    z,
                    x + reach / 2,
                    y + reach / 2,
                    z + model.size[2],
                )
                if any(overlaps(box, o) and o[2] >= z - 0.03 for o in self.scene.occupied):
                    continue
                facing = under.angle + self.rng.uniform(-0.35, 0.35)
                turn = facing if role in ("desktop", "tv", "walltv") else self.rng.uniform(0, 6.28)
                done.append(self.put(model, x, y, z, turn, takes=False))
                self.scene.take(box)
                break
        return done

    def around(
        self, room: Room, table: Placed, model: Model | None, share: float, overlap: float = 0.3
    ) -> list[Placed]:
        """Chairs around a table, each with the given chance, pushed under by `overlap`."""
        done: list[Placed] = []
        if model is None:
            return done
        w, d, _ = model.size
        wide, deep, _ = table.size
        off = d / 2 - overlap * d
        count = max(1, int(wide / (w + 0.12)))
        along = [((i + 0.5) / count - 0.5) * wide for i in range(count)]
        seats = [(x, deep / 2 + off, 0.0) for x in along] + [
            (x, -deep / 2 - off, math.pi) for x in along
        ]
        seats += [(wide / 2 + off, 0.0, -math.pi / 2), (-wide / 2 - off, 0.0, math.pi / 2)]
        for dx, dy, turn in seats:
            if self.chance(share):
                x, y = table.at(dx, dy)
                chair = self.seat(
                    room, model, x, y, table.angle + turn + self.rng.uniform(-0.2, 0.2), [table]
                )
                done += [] if chair is None else [chair]
        return done

    def seat(
        self,
        room: Room,
        model: Model,
        x: float,
        y: float,
        angle: float,
        touching: Sequence[Placed] = (),
    ) -> Placed | None:
        """A chair that may reach under what it touches."""
        box = footprint(x, y, angle, model.size).box
        allowed = [t.box for t in touching]
        clear = not any(
            overlaps(box, o, 0.01)
            for o in (*self.scene.occupied, *self.scene.keep_clear)
            if o not in allowed
        )
        if clear and room.holds(box[0], box[1], box[3], box[4]):
            return self.put(model, x, y, 0.0, angle)
        return None
