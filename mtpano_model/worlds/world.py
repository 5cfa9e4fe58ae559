"""Makes one world from its name: everything that is decided before the renderer starts."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass

from mtpano_model.worlds.catalogue import Catalogue
from mtpano_model.worlds.finishes import Finishes
from mtpano_model.worlds.furnish import Furnisher
from mtpano_model.worlds.kinds import KINDS
from mtpano_model.worlds.light import Mood, choose_mood, light_outside
from mtpano_model.worlds.people import add_people
from mtpano_model.worlds.plan import Plan
from mtpano_model.worlds.scene import Scene
from mtpano_model.worlds.split import Split
from mtpano_model.worlds.textures import TexturePool

REVISION = 4  # of what a seed gives; part of every recipe


@dataclass
class World:
    """A planned world. rng: its random numbers, which continue with the views."""

    name: str
    plan: Plan
    scene: Scene
    mood: Mood
    textures: list[str]
    models: list[str]
    rng: random.Random


@dataclass(frozen=True)
class Stock:
    """The ingredients of worlds of one side of the split."""

    split: Split
    catalogue: Catalogue
    textures: TexturePool
    skies: Sequence[str]

    def fingerprint(self) -> str:
        """A digest of the ingredients, which decide what a seed gives."""
        names = [*sorted(self.catalogue.models()), *sorted(self.skies)]
        return hashlib.sha1("\n".join(names).encode()).hexdigest()[:12]


def world_name(kind: str, seed: int, number: int) -> str:
    return f"{kind}-{seed}-{number:05d}"


def make_world(kind: str, seed: int, number: int, stock: Stock) -> World:
    """The number-th world of a kind; the same arguments give the same world."""
    name = world_name(kind, seed, number)
    rng = random.Random(f"{stock.split}:{name}:{REVISION}")
    plan = KINDS[kind].plan(rng)
    scene = Scene()
    finishes = Finishes(rng, stock.textures)
    furnisher = Furnisher(plan, scene, rng, stock.catalogue, finishes)
    mood = choose_mood(rng, plan.outdoors)
    KINDS[kind].build(furnisher, mood.lamps)
    add_people(furnisher)
    light_outside(scene, rng, stock.skies, mood)
    models = sorted({placed.key for placed in scene.models})
    return World(name, plan, scene, mood, sorted(finishes.used), models, rng)
