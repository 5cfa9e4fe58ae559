"""Checks a rig: each lens's share of the panorama, and fields of view that are set too large."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mtpano_model.geometry import sphere
from mtpano_model.rig.look_up import LookUp, look_up
from mtpano_model.rig.rig import Lens, Rig

Picture = NDArray[np.uint8]
_COLORS = np.array(
    [(230, 80, 70), (70, 130, 230), (80, 190, 90), (230, 180, 50), (170, 90, 210), (60, 190, 200)]
)
_DARK = 10  # of 255: what lies outside an image circle
_STEP = 0.5  # degrees between the rings that are looked at
_DIRECTIONS = 180


def draw_shares(rig: Rig, panorama: Picture, pictures: Mapping[str, Picture]) -> Picture:
    """The panorama [H, W, 3], tinted with the colour of each pixel's lens, or grey."""
    maps = _maps(rig, (panorama.shape[0], panorama.shape[1]), pictures)
    tint = np.where(maps.seen[..., None], _COLORS[maps.best], 128)
    drawn = np.where(maps.seen[..., None], panorama // 2 + tint // 2, tint)
    return drawn.astype(np.uint8)


def solid_shares(
    rig: Rig, size: tuple[int, int], pictures: Mapping[str, Picture]
) -> tuple[list[float], float]:
    """The share of the sphere that each lens fills, and the share that none sees; 0 to 1."""
    maps = _maps(rig, size, pictures)
    areas = np.broadcast_to(sphere.solid_angles(*size), size) / (4 * math.pi)
    shares = [float(areas[maps.best == number].sum()) for number in range(len(rig.lenses))]
    return shares, float(areas[~maps.seen].sum())


def dark_rims(rig: Rig, pictures: Mapping[str, Picture]) -> list[str]:
    """A warning for every lens whose picture is dark inside its configured field of view."""
    told = []
    for lens in rig.lenses:
        if lens.topic not in pictures or lens.camera is None or not lens.camera.field_of_view:
            continue
        seen = _lit_field(lens, lens.part(pictures[lens.topic]))
        if seen < lens.camera.field_of_view - 2 * _STEP:
            told.append(
                f"lens '{lens.name}' has a field_of_view of {lens.camera.field_of_view:g} "
                f"degrees, but its picture is dark beyond {seen:g}: set field_of_view to "
                f"{seen:g}, or correct its centre or focal length"
            )
    return told


def _lit_field(lens: Lens, part: Picture) -> float:
    """Degrees of the cone in which a picture is lit; the field of view if all of it is dark.

    A ring counts as dark where nine tenths of the directions that lie in the picture are.
    """
    assert lens.camera is not None
    assert lens.camera.field_of_view is not None
    upright = np.rot90(part, -lens.turn // 90)
    camera = lens.camera.scaled_to((upright.shape[0], upright.shape[1]))
    turn = np.linspace(0, 2 * np.pi, _DIRECTIONS, endpoint=False)
    claimed = lens.camera.field_of_view
    for field in np.arange(claimed, 0, -2 * _STEP):
        angle = math.radians(min(field / 2, math.degrees(camera.largest_angle))) * (1 - 1e-9)
        ray = np.stack(
            [
                math.sin(angle) * np.cos(turn),
                math.sin(angle) * np.sin(turn),
                np.full_like(turn, math.cos(angle)),
            ],
            -1,
        )
        columns, rows, inside = camera.project(ray)
        if not inside.any():
            continue
        pixels = upright[
            np.rint(rows[inside]).astype(int).clip(0, upright.shape[0] - 1),
            np.rint(columns[inside]).astype(int).clip(0, upright.shape[1] - 1),
        ]
        if (pixels.max(-1) > _DARK).mean() > 0.1:
            return float(field)
    return float(claimed)


def _maps(rig: Rig, size: tuple[int, int], pictures: Mapping[str, Picture]) -> LookUp:
    parts = {n: lens.part(pictures[lens.topic]).shape for n, lens in enumerate(rig.lenses)}
    return look_up(rig, size, {number: (shape[0], shape[1]) for number, shape in parts.items()})
