"""The kinds of places, by name: how to plan one and how to fill it."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from mtpano_model.worlds.furnish import Furnisher
from mtpano_model.worlds.kinds import (
    classroom,
    corridor,
    courtyard,
    hall,
    home,
    office,
    public,
    shop,
    works,
)
from mtpano_model.worlds.plan import Plan


@dataclass(frozen=True)
class Kind:
    """plan: rooms from random numbers; build: shell, furniture and lamps into the scene."""

    plan: Callable[[random.Random], Plan]
    build: Callable[[Furnisher, float], None]


KINDS: dict[str, Kind] = {
    "home": Kind(home.plan, home.build),
    "office": Kind(office.plan_office, office.build_office),
    "meeting": Kind(office.plan_meeting, office.build_meeting),
    "classroom": Kind(classroom.plan_classroom, classroom.build_classroom),
    "canteen": Kind(public.plan_canteen, public.build_canteen),
    "lobby": Kind(public.plan_lobby, public.build_lobby),
    "corridor": Kind(corridor.plan_corridor, corridor.build_corridor),
    "shop": Kind(shop.plan_shop, shop.build_shop),
    "hall": Kind(hall.plan_hall, hall.build_hall),
    "workshop": Kind(works.plan_workshop, works.build_workshop),
    "warehouse": Kind(works.plan_warehouse, works.build_warehouse),
    "garage": Kind(works.plan_garage, works.build_garage),
    "courtyard": Kind(courtyard.plan, courtyard.build),
}
