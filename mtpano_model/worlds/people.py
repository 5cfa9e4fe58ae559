"""People in a world: standing and walking, sitting on chairs, lying on beds; now and then a pet."""

from __future__ import annotations

from mtpano_model.worlds import labels
from mtpano_model.worlds.furnish import Furnisher
from mtpano_model.worlds.plan import Room
from mtpano_model.worlds.scene import Placed

_BACKREST = 0.08  # metres that the back of a chair takes
_SHARE = 0.5  # of worlds that have people at all: a third of the views then show some
_PER_AREA = {"home": 30.0, "warehouse": 250.0, "garage": 150.0, "workshop": 90.0, "hall": 60.0}


def add_people(f: Furnisher) -> None:
    """Add people to half of the worlds, more to larger rooms."""
    if not f.chance(_SHARE):
        return
    area = sum(room.area for room in f.plan.rooms)
    usual = area / _PER_AREA.get(f.plan.kind, 25.0)
    count = max(1, min(30, round(usual * f.rng.uniform(0.3, 1.8))))
    chairs = [m for m in f.scene.models if m.label == labels.CHAIR and 0.4 < m.size[0] < 0.75]
    f.rng.shuffle(chairs)
    rooms, weights = f.plan.rooms, [room.area for room in f.plan.rooms]
    for _ in range(count):
        room = f.rng.choices(rooms, weights)[0]
        if chairs and f.chance(0.4):
            _sit(f, chairs.pop())
        else:
            _stand(f, room)


def _sit(f: Furnisher, chair: Placed) -> None:
    """On a chair, facing as it does, the back against its back."""
    model = f.pick("seatedperson")
    if model is not None:
        x, y = chair.at(0.0, chair.size[1] / 2 - _BACKREST - model.size[1] / 2)
        f.put(model, x, y, 0.0, chair.angle, takes=False)


def _stand(f: Furnisher, room: Room) -> None:
    """Alone or in twos, of slightly different heights."""
    model = f.pick("person", highest=room.lowest_ceiling - 0.1)
    if model is None:
        return
    scale = f.rng.uniform(0.94, 1.06)
    for _ in range(25):
        x, y = room.anywhere(f.rng)
        half = 0.32
        if f.fits(room, (x - half, y - half, 0, x + half, y + half, model.size[2] * scale)):
            f.put(model, x, y, 0.0, f.rng.uniform(0, 6.28), scale=scale)
            return
