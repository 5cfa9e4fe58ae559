"""The surfaces of somebody who wears an outfit: garments, shoes and the skin between them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mtpano_model.worlds.anny_bodies import Body
from mtpano_model.worlds.anny_cloth import (
    Part,
    compact,
    cut,
    edges_of,
    fitted_turn,
    folds,
    hanging,
    inside,
    layer,
    normals,
    wrapped,
)
from mtpano_model.worlds.anny_heads import brows, cover_head
from mtpano_model.worlds.anny_outfits import Outfit

_SHOE_TOP = 0.955  # share of the leg
_NECKLINE = 1.03  # share of the trunk


def dress(body: Body, outfit: Outfit) -> list[Part]:
    """The body in its clothes, part by part; skin that they cover is left out."""
    part, share, edges = body.part, body.share, edges_of(body.faces)
    legs, arms = np.isin(part, ("leg", "foot")), np.isin(part, ("arm", "hand"))
    hip, trunk = _hip(body.rest, body), np.ptp(body.rest[part == "torso", 2])
    hem = hip - outfit.hem * trunk
    above_hem = body.rest[:, 2] - hem
    top = np.where(arms, outfit.sleeve - share, np.minimum(above_hem, _NECKLINE - share))
    top[legs] = above_hem[legs]
    trousers = np.where(arms | (part == "head"), -1.0, 0.04 - above_hem)
    trousers[legs] = np.minimum(trousers[legs], outfit.leg - share[legs])
    shoes = legs & (share > _SHOE_TOP)
    creases = folds(body, 0.35 * outfit.looseness, outfit.phase)

    hidden = inside(top > 0, edges, 2) | inside(shoes, edges, 1)
    parts = _top(body, outfit, top, outfit.looseness + 0.004 + creases)
    if outfit.leg:
        # Close to the body below the top, loose towards the feet.
        along = np.clip(share, 0, 1) * legs
        loose = 0.002 if outfit.has_tights else 0.003 + 0.017 * along + creases * (along > 0.1)
        surface = layer(body, trousers > -0.05, loose, 3 if outfit.has_tights else 8)
        parts.append(compact("legs", *cut(surface, body.faces, trousers)))
        hidden |= inside((trousers > 0) | (top > 0), edges, 2)
    if outfit.skirt:
        parts.append(_skirt(body, outfit))
    for side in (body.rest[:, 0] > 0, body.rest[:, 0] <= 0):
        parts += _shoe(body, shoes & side)
    hair, covered = cover_head(body, outfit)
    hidden |= inside(covered, edges, 2)
    seen = ~hidden[body.faces].all(1) & ~body.eyes
    return [
        *parts,
        *hair,
        *brows(body, seen),
        compact("skin", body.posed, body.faces[seen]),
        compact("eyes", body.posed, body.faces[body.eyes]),
    ]


def _hip(points: NDArray, body: Body) -> float:
    """Height of the hips, in metres, at rest or posed."""
    hips = (body.part == "leg") & (np.abs(body.share) < 0.03)
    return float(np.median(points[hips, 2]))


def _top(body: Body, outfit: Outfit, value: NDArray, thickness: NDArray) -> list[Part]:
    """A shirt, plain or striped; with an open front, a jacket over another colour."""
    surface = layer(body, value > -0.05, thickness, 14)
    second = np.full(len(value), -1.0)
    if outfit.open_front:
        ahead = normals(body.rest, body.faces)[:, 1] < 0.2
        second = np.where(ahead, 0.02 + 0.05 * body.share - np.abs(body.rest[:, 0]), -0.1)
        second[np.isin(body.part, ("arm", "hand"))] = -0.1
    elif outfit.stripes:
        second = np.sin(body.rest[:, 2] * (2 * np.pi / outfit.stripes) + outfit.phase) - 0.2
    table, faces = cut(np.column_stack((surface, second)), body.faces, value)
    parts = [
        (name, cut(table, faces, sign * table[:, 3])) for name, sign in (("top", -1), ("under", 1))
    ]
    return [compact(name, t[:, :3], f) for name, (t, f) in parts if len(f)]


def _shoe(body: Body, foot: NDArray[np.bool_]) -> list[Part]:
    """Around a foot [n] and its toes at rest, then posed with it."""
    turn, shift = fitted_turn(body.rest[foot], body.posed[foot])
    corners, faces = wrapped(body.rest[foot], 0.004)
    above_sole = corners[:, 2] - corners[:, 2].min() - 0.022
    posed = corners @ turn.T + shift
    return [
        compact(name, *cut(posed, faces, sign * above_sole))
        for name, sign in (("shoes", 1), ("soles", -1))
    ]


def _skirt(body: Body, outfit: Outfit) -> Part:
    """From the waist down to a share of the legs."""
    points = body.posed[np.isin(body.part, ("torso", "leg"))]
    hip = _hip(body.posed, body)
    ankle = float(body.posed[body.part == "foot", 2].max())
    waist = hip + 0.18 * (float(body.posed[body.part == "torso", 2].max()) - hip)
    levels = np.linspace(waist, hip - outfit.skirt * (hip - ankle), 24)
    least = outfit.looseness + 0.008
    return hanging("skirt", points, levels, np.linspace(least, least + 0.03, 24), 0.05)
