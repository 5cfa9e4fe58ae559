"""Poses of the people that `anny_people` makes: what each limb does, in degrees."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

SIDES = ("L", "R")


@dataclass
class Pose:
    """How somebody stands or sits, facing -y.

    limbs: upperarm, lowerarm, upperleg or lowerleg with .L or .R -> (forward, outward): how far
    it is swung from hanging straight down. trunk: (lean forward, lean to the left, twist to the
    left); head: (nod, tilt, turn to the left); heels: how far each heel is lifted.
    """

    role: str
    limbs: dict[str, tuple[float, float]]
    trunk: tuple[float, float, float] = (0.0, 0.0, 0.0)
    head: tuple[float, float, float] = (0.0, 0.0, 0.0)
    heels: dict[str, float] = field(default_factory=dict)
    upright: bool = True  # legs below the hips: a skirt hangs


def standing(rng: random.Random) -> Pose:
    """At ease, arms hanging, on the hips, at a telephone or folded."""
    limbs: dict[str, tuple[float, float]] = {}
    for side in SIDES:
        limbs |= _arm(side, rng.gauss(4, 5), rng.uniform(8, 14), rng.uniform(10, 28))
        limbs |= _leg(side, rng.gauss(1, 3), rng.uniform(1, 6), rng.uniform(0, 5))
    side = rng.choice(SIDES)
    other = "R" if side == "L" else "L"
    what = rng.choice(("hang", "hang", "hips", "phone", "folded", "hold"))
    if what == "hips":
        limbs |= {f"upperarm.{side}": (-22, 36), f"lowerarm.{side}": (25, -38)}
    elif what == "phone":
        limbs |= {f"upperarm.{side}": (28, 14), f"lowerarm.{side}": (148, -8)}
    elif what == "folded":
        limbs |= {f"upperarm.{side}": (26, 8), f"lowerarm.{side}": (78, -62)}
        limbs |= {f"upperarm.{other}": (32, 8), f"lowerarm.{other}": (92, -58)}
    elif what == "hold":
        for s in SIDES:
            limbs |= {f"upperarm.{s}": (14, 8), f"lowerarm.{s}": (rng.uniform(80, 100), -14)}
    return Pose("person", limbs, (rng.gauss(2, 2), rng.gauss(0, 1.5), rng.gauss(0, 4)), _look(rng))


def walking(rng: random.Random) -> Pose:
    """In mid-stride, the arms against the legs."""
    fore, back = rng.sample(SIDES, 2)
    stride, swing = rng.uniform(16, 27), rng.uniform(12, 28)
    lift = rng.uniform(18, 38)
    limbs = {
        f"upperleg.{fore}": (stride, 1.0),
        f"lowerleg.{fore}": (stride - rng.uniform(3, 10), 1.0),
        f"upperleg.{back}": (-0.55 * stride, 1.0),
        f"lowerleg.{back}": (-0.55 * stride - lift, 1.0),
    }
    limbs |= _arm(fore, -swing, 9, 12) | _arm(back, swing, 9, rng.uniform(15, 40))
    turn = 5.0 if fore == "L" else -5.0
    trunk = (rng.uniform(2, 6), 0.0, turn)
    return Pose("person", limbs, trunk, _look(rng), {back: 0.8 * lift, fore: -rng.uniform(2, 10)})


def reaching(rng: random.Random) -> Pose:
    """One arm or both towards something before them."""
    pose = standing(rng)
    up = rng.uniform(45, 125)
    for side in SIDES if rng.random() < 0.4 else (rng.choice(SIDES),):
        turn = rng.uniform(-4, 12)
        pose.limbs[f"upperarm.{side}"] = (up, turn)
        pose.limbs[f"lowerarm.{side}"] = (up + rng.uniform(8, 35), turn - 6)
    pose.trunk = (rng.uniform(3, 16), 0.0, rng.gauss(0, 5))
    return pose


def bending(rng: random.Random) -> Pose:
    """Forward over something low."""
    lean = rng.uniform(35, 62)
    limbs: dict[str, tuple[float, float]] = {}
    for side in SIDES:
        limbs |= _leg(side, rng.uniform(10, 22), rng.uniform(2, 8), rng.uniform(20, 40))
        reach = rng.uniform(20, 55)
        limbs |= {f"upperarm.{side}": (reach, 6), f"lowerarm.{side}": (reach + 20, -4)}
    return Pose("person", limbs, (lean, 0.0, rng.gauss(0, 6)), (-18, 0, 0), upright=False)


def crouching(rng: random.Random) -> Pose:
    """Down on both feet, the heels lifted."""
    bend, spread = rng.uniform(84, 98), rng.uniform(10, 20)
    limbs: dict[str, tuple[float, float]] = {}
    for side in SIDES:
        limbs |= {f"upperleg.{side}": (bend, spread), f"lowerleg.{side}": (bend - 134, 4)}
        reach = rng.uniform(35, 60)
        limbs |= {f"upperarm.{side}": (reach, 6), f"lowerarm.{side}": (reach + 30, -8)}
    heels = dict.fromkeys(SIDES, rng.uniform(18, 30))
    trunk = (rng.uniform(22, 36), 0.0, rng.gauss(0, 4))
    return Pose("person", limbs, trunk, (-15, 0, rng.gauss(0, 12)), heels, upright=False)


def sitting(rng: random.Random) -> Pose:
    """On a chair, the hands on the thighs, at a table or on a telephone."""
    limbs: dict[str, tuple[float, float]] = {}
    table = rng.random() < 0.4
    for side in SIDES:
        limbs |= {
            f"upperleg.{side}": (rng.uniform(84, 89), rng.uniform(4, 13)),
            f"lowerleg.{side}": (rng.uniform(-14, 18), rng.uniform(-3, 4)),
        }
        limbs |= (
            {f"upperarm.{side}": (42, 14), f"lowerarm.{side}": (92, -24)}
            if table
            else {f"upperarm.{side}": (16, 9), f"lowerarm.{side}": (rng.uniform(58, 70), -10)}
        )
    trunk = (rng.uniform(-9, 8), 0.0, rng.gauss(0, 4))
    return Pose("seatedperson", limbs, trunk, _look(rng), upright=False)


# How often each is taken.
POSES: dict[Callable[[random.Random], Pose], int] = {
    standing: 34,
    walking: 28,
    sitting: 20,
    reaching: 8,
    bending: 4,
    crouching: 6,
}


def _arm(side: str, forward: float, outward: float, bend: float) -> dict[str, tuple[float, float]]:
    return {
        f"upperarm.{side}": (forward, outward),
        f"lowerarm.{side}": (forward + bend, outward - 5),
    }


def _leg(side: str, forward: float, outward: float, bend: float) -> dict[str, tuple[float, float]]:
    return {
        f"upperleg.{side}": (forward + bend / 2, outward),
        f"lowerleg.{side}": (forward - bend / 2, outward),
    }


def _look(rng: random.Random) -> tuple[float, float, float]:
    return (rng.gauss(5, 8), rng.gauss(0, 3), rng.gauss(0, 18))
