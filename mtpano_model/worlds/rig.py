"""The camera's carrier, as far as it sees it: a tripod, a mast on a base, a walking robot."""

from __future__ import annotations

import math
import random
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtpano_model.worlds import labels
from mtpano_model.worlds.scene import Material, Scene
from mtpano_model.worlds.solids import Solids

_SHARE = 0.3  # of the views show their carrier


def draw_rig(
    rng: random.Random,
    height: float,
    world_from_camera: NDArray[np.float64],
    position: tuple[float, float, float],
) -> tuple[dict[str, Any], ...]:
    """Meshes of the carrier in the world, as the renderer takes them; none in most views.

    It is rigid with the camera: where the camera tilts, the carrier does.
    """
    if rng.random() > _SHARE or height < 0.3:
        return ()
    scene = Scene()
    color = rng.choice(((0.02, 0.02, 0.02), (0.7, 0.7, 0.7), (0.6, 0.35, 0.02), (0.05, 0.1, 0.3)))
    skin = Solids(scene, Material("paint", color, 0.4), labels.OWN_BODY)
    dark = Solids(scene, Material("paint", (0.03, 0.03, 0.03), 0.5), labels.OWN_BODY)
    if height > 0.9 and rng.random() < 0.5:
        _tripod(rng, height, dark)
    elif rng.random() < 0.5:
        _mast_on_base(rng, height, skin, dark)
    else:
        _walker(rng, height, skin, dark)
    # Built with x forward, y left, z up around the camera; its columns are right, down, forward.
    right, down, forward = world_from_camera.T
    axes = np.stack((forward, -right, -down))
    return tuple(_as_json(group, axes, position) for group in scene.groups.values())


def _as_json(
    group: Any, axes: NDArray[np.float64], position: tuple[float, float, float]
) -> dict[str, Any]:
    return {
        "v": (np.array(group.vertices) @ axes + position).tolist(),
        "l": [i for face in group.faces for i in face],
        "n": [len(face) for face in group.faces],
        "material": asdict(group.material),
        "label": group.label,
        "smooth": group.smooth,
    }


def _tripod(rng: random.Random, height: float, legs: Solids) -> None:
    joint, spread = -rng.uniform(0.1, 0.35), rng.uniform(0.2, 0.4) * height
    legs.pipe((0, 0, -0.05), (0, 0, joint - 0.1), 0.02)
    turn = rng.uniform(0, 6.28)
    for k in range(3):
        a = turn + k * 2 * math.pi / 3
        foot = (spread * math.cos(a), spread * math.sin(a), -height + 0.01)
        legs.pipe((0, 0, joint), foot, 0.014)


def _mast_on_base(rng: random.Random, height: float, base: Solids, mast: Solids) -> None:
    radius, top = rng.uniform(0.15, 0.3), -height + min(0.6 * height, rng.uniform(0.15, 0.5))
    mast.pipe((0, 0, -0.05), (0, 0, top), rng.uniform(0.012, 0.03))
    profile = [(radius, -height + 0.02), (radius, top - 0.03), (radius * 0.9, top), (0.001, top)]
    base.profile((0, 0, 0), profile, 28, smooth=False)


def _walker(rng: random.Random, height: float, body: Solids, legs: Solids) -> None:
    """A box with four legs, the camera above its front or middle."""
    long, wide, deep = rng.uniform(0.45, 0.9), rng.uniform(0.2, 0.5), 0.14
    top = -min(0.6 * height, rng.uniform(0.08, 0.25))
    back = -rng.uniform(0.4, 0.75) * long
    body.block(back, -wide / 2, top - deep, back + long, wide / 2, top)
    legs.pipe((0, 0, -0.05), (0, 0, top), 0.02)
    for x in (back + 0.08, back + long - 0.08):
        for y in (-wide / 2 - 0.03, wide / 2 + 0.03):
            legs.pipe((x, y, top - deep / 2), (x - 0.05, y, -height + 0.02), 0.03)
