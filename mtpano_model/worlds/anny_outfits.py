"""What people wear: garments and colours, drawn at random."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from mtpano_model.worlds.anny_poses import Pose

_SKIN = [
    "f1d3c0",
    "ecc4ac",
    "e3b596",
    "d9a47f",
    "c98f69",
    "b67c56",
    "9a6644",
    "7d5033",
    "5f3b26",
    "472b1d",
]
_HAIR = ["16120f", "1f1612", "2c1e16", "3d291c", "533824", "6b4a2c", "8f6b3f", "b58f57", "7a3b1e"]
_GREY = ["b9b6b1", "d6d4d0", "8b8884", "6f6c69"]
_TOPS = [
    "f2f1ee",
    "e4e0d6",
    "c9d6df",
    "9db4c8",
    "5b7fa6",
    "2f4d78",
    "1f2a40",
    "17181b",
    "3a3d42",
    "6a6e73",
    "a3a6a8",
    "7d2f33",
    "b5433c",
    "d8b04a",
    "4c6b4a",
    "7a8a5f",
    "2f5d57",
    "8d6a9f",
    "c78fa0",
    "d9886a",
    "8a6d52",
    "5c4433",
]
_LEGS = [
    "23304a",
    "2f4468",
    "4a6389",
    "6f87a6",
    "15161a",
    "2b2d31",
    "4d5054",
    "7b766c",
    "b4a68a",
    "8c7a5b",
    "4f4636",
    "3c4a3a",
]
_SHOES = ["141312", "2a211b", "4b3423", "6e4c31", "e9e7e2", "8d8f92", "27364f", "9a3d35"]


@dataclass
class Outfit:
    """Garments by size (shares of a limb that they cover) and colours by material, RRGGBB."""

    sleeve: float
    leg: float
    hem: float  # how far the top hangs below the hips, shares of the trunk
    skirt: float = 0.0  # share of the leg that a skirt or coat covers; 0: none
    coat: bool = False
    open_front: bool = False
    stripes: float = 0.0  # metres from one to the next; 0: none
    hair: str = "short"  # short, long, bun, bald, cap, scarf
    looseness: float = 0.012  # metres
    phase: float = 0.0
    colours: dict[str, str] = field(default_factory=dict)

    @property
    def has_tights(self) -> bool:
        """Whether what covers the legs below a skirt lies close to them."""
        return self.skirt > 0 and not self.coat and self.leg > 0


def choose_outfit(rng: random.Random, age: float, is_female: bool, pose: Pose) -> Outfit:
    """Something that somebody of this age may wear in this pose."""
    warm = rng.random() < 0.45
    outfit = Outfit(
        sleeve=0.97 if warm or rng.random() < 0.25 else rng.choice((0.22, 0.3, 0.36, 0.55)),
        leg=rng.choice((0.42, 0.5)) if not warm and rng.random() < 0.3 else 0.975,
        hem=rng.uniform(-0.02, 0.2),
        looseness=rng.uniform(0.008, 0.014) + (0.012 if warm else 0.0),
        phase=rng.uniform(0, 6.28),
    )
    if pose.upright and is_female and rng.random() < 0.4:
        outfit.skirt, outfit.leg = rng.uniform(0.35, 0.85), 0.0
        if rng.random() < 0.3:
            outfit.leg = 0.975  # tights
    elif pose.upright and warm and age > 12 and rng.random() < 0.35:
        outfit.skirt, outfit.coat = rng.uniform(0.2, 0.5), True
    if warm and not outfit.coat and age > 8 and rng.random() < 0.5:
        outfit.open_front = True
    elif not outfit.coat and rng.random() < 0.15:
        outfit.stripes = rng.uniform(0.07, 0.22)
    outfit.hair = _hair(rng, age, is_female)
    outfit.colours = _colours(rng, age, outfit)
    return outfit


def _hair(rng: random.Random, age: float, is_female: bool) -> str:
    if rng.random() < 0.08:
        return "cap"
    if is_female:
        return rng.choices(("long", "bun", "short", "scarf"), (50, 25, 18, 7))[0]
    return rng.choices(("short", "bald", "long"), (84, 14 if age > 35 else 2, 4))[0]


def _colours(rng: random.Random, age: float, outfit: Outfit) -> dict[str, str]:
    skin = rng.randrange(len(_SKIN))
    dark_hair = _HAIR[:4] if skin > 4 else _HAIR
    grey = rng.random() < (age - 38) / 30
    top, legs = rng.choice(_TOPS), rng.choice(_LEGS)
    if outfit.skirt and not outfit.coat:
        legs = top if rng.random() < 0.45 else rng.choice(_LEGS + _TOPS)
    return {
        "skin": _SKIN[skin],
        "hair": rng.choice(_GREY if grey else dark_hair),
        "eyes": "3a2a20",
        "top": top,
        "under": rng.choice(_TOPS[:4] + _TOPS[-6:]),
        "legs": rng.choice(("1b1b1f", "2b2422", "4a4a52")) if outfit.has_tights else legs,
        "skirt": top if outfit.coat else legs,
        "shoes": rng.choice(_SHOES),
        "soles": rng.choice(("1a1a1a", "d9d6cf", "4a3a2c")),
        "cap": rng.choice(_TOPS),
    }
