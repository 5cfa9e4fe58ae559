"""Hair, brows and what people wear on their heads."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mtpano_model.worlds.anny_bodies import Body
from mtpano_model.worlds.anny_cloth import (
    Part,
    ball,
    compact,
    cut,
    fitted_turn,
    folds,
    hanging,
    layer,
    normals,
)
from mtpano_model.worlds.anny_outfits import Outfit

# The hairline: how high on the head (chin 0, crown 1) from the face (0) to the back (1).
_FROM_FACE = (0.0, 0.2, 0.42, 0.55, 0.62, 0.8, 1.0)
_LINE = (0.84, 0.81, 0.72, 0.62, 0.5, 0.24, 0.14)
_THICKNESS = {"bald": 0.009, "bun": 0.012, "cap": 0.018}  # metres


def cover_head(body: Body, outfit: Outfit) -> tuple[list[Part], NDArray[np.bool_]]:
    """Hair, cap or scarf; and which corners [n] lie below it."""
    head = body.part == "head"
    low, high = body.rest[head].min(0), body.rest[head].max(0)
    back, up = ((body.rest[:, k] - low[k]) / (high[k] - low[k]) for k in (1, 2))
    value = up - np.interp(back, _FROM_FACE, _LINE)
    if outfit.hair == "bald":
        value = np.minimum(value, np.minimum(0.74 - up, 3 * (back - 0.5)))
    value[~head] = np.minimum(value[~head], -0.01)
    uneven = folds(body, 0.005, outfit.phase) if outfit.hair not in ("cap", "scarf") else 0.0
    # Thin at its edge, so that it grows out of the skin.
    thick = _THICKNESS.get(outfit.hair, 0.02) * np.clip(value / 0.1 + 0.3, 0.3, 1.0) + uneven
    material = "cap" if outfit.hair in ("cap", "scarf") else "hair"
    surface = layer(body, value > -0.05, thick, 8)
    parts = [compact(material, *cut(surface, body.faces, value))]
    turn, shift = fitted_turn(body.rest[head], body.posed[head])
    size = high[2] - low[2]
    if outfit.hair in ("long", "scarf"):
        around = np.isin(body.part, ("head", "neck", "torso"))
        around &= np.abs(body.rest[:, 0]) < 0.55 * size
        # From where the head is widest, its upper edge below the hair.
        levels = np.linspace(low[2] + 0.72 * size, low[2] - 0.3 * size, 18)
        half = np.radians(125 if outfit.hair == "scarf" else 108)
        spare = np.linspace(0.006, 0.02, 18)
        veil = hanging(material, body.rest[around], levels, spare, 0.03, half, 0.97)
        parts.append(Part(material, veil.vertices @ turn.T + shift, veil.faces))
    elif outfit.hair == "bun":
        middle = np.array((0.0, high[1] + 0.012, low[2] + 0.68 * size))
        parts.append(ball("hair", turn @ middle + shift, 0.15 * size))
    elif outfit.hair == "cap":
        parts.append(_peak(low, high, turn, shift))
    return parts, value > 0


def brows(body: Body, faces: NDArray[np.bool_]) -> list[Part]:
    """A thin arch of hair above each eye; faces: [m] those of the skin that is seen."""
    size = np.ptp(body.rest[body.part == "head", 2])
    eyes = body.rest[np.unique(body.faces[body.eyes])]
    x, y, z = body.rest.T
    middle = np.abs(eyes[:, 0]).mean(), eyes[:, 2].mean() + 0.09 * size
    arch = ((np.abs(x) - middle[0]) / (0.09 * size)) ** 2
    value = 1 - arch - ((z - middle[1] + 0.015 * size * arch) / (0.016 * size)) ** 2
    value[y > eyes[:, 1].max()] = -1.0
    surface = body.posed + 0.002 * normals(body.posed, body.faces)
    table, cut_faces = cut(surface, body.faces[faces], value)
    return [compact("hair", table, cut_faces)] if len(cut_faces) else []


def _peak(low: NDArray, high: NDArray, turn: NDArray, shift: NDArray) -> Part:
    """The peak of a cap: half a disc before the brow."""
    angles = np.linspace(np.pi, 2 * np.pi, 13)
    wide, z = 0.5 * (high[0] - low[0]), low[2] + 0.87 * (high[2] - low[2])
    out = np.abs(np.sin(angles))
    rim = np.stack((wide * np.cos(angles), low[1] + 0.04 - 1.05 * wide * out, z - 0.03 * out), 1)
    vertices = np.vstack(((0.0, low[1] + 0.04, z), rim))
    faces = np.array([(0, k, k + 1) for k in range(1, len(rim))])
    return Part("cap", vertices @ turn.T + shift, faces)
