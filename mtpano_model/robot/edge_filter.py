"""Finds points that hang between foreground and background, as ROS's scan shadow filter does.

At a step in depth, an interpolated pixel lies on neither side. The line from it to its neighbour
then runs almost along the ray. For neighbours at ranges r and s > r, with an angle d between their
rays, the angle between line and ray is atan(r sin d / (s - r cos d)). A pixel is on a slope if this
angle is small on both sides, rising or falling through it. The last pixel of the foreground and the
first of the background are on a slope on one side only, and stay.

A surface that is seen at a small angle, such as a far floor, is such a slope too. It is recognised
by its normal, or by being straight: on a plane 1 / depth is linear in the angle (except for its
cosine), all the way from the pixel to what is nearer. A slope that only spans a step bends before
that. If the normal faces the camera, straightness is chance.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtpano_model.errors import MtpanoError
from mtpano_model.geometry.sphere import latitudes, rays
from mtpano_model.inference.compiled import compiled_loops
from mtpano_model.robot.sampling import Floats, ray_factors

Mask = NDArray[np.bool_]
_LOOP = "mtpano_model.robot.edge_filter_kernel"
# Chosen on rooms that the default model never saw, see docs/integration.md.
DEFAULT_DEGREES = 15.0
# A surface that is seen at up to so many times the limiting angle may be the slope itself.
_SPARED = 1.5
# So may a straight one, unless its normal is farther than this from lying across the ray.
_FACING_DEGREES = 45.0
# How far a plane is followed to what is nearer: farther than the network blurs a step, which is 13
# columns of 1,024 from 10 to 90 %.
_REACH_DEGREES = 7.0
# How much 1 / depth may bend on the way, as a part of how much it changes.
_BEND = 0.25
# Towards the poles columns crowd together until noise between them looks like a slope.
_LEAST_COSINE = 0.3


class Limits(NamedTuple):
    """across [H], down: how many times as far the farther of two neighbours is at the limiting
    angle, along rows and columns. half: pixels to the middle of the way that is followed.
    slanting, facing: sines of the angles between ray and surface that spare a slope, and that keep
    it from being spared. bend: see above."""

    across: Floats
    down: np.float32
    half: int
    slanting: np.float32
    facing: np.float32
    bend: np.float32


class EdgeFilter:
    """degrees: the angle below which a slope is no surface; 0 leaves everything as it is.

    compiled: use numba's loops; None: if numba is there.
    """

    def __init__(self, degrees: float, compiled: bool | None = False) -> None:
        if not 0 <= degrees < 90:
            raise MtpanoError(
                f"edge_filter {degrees:g} degrees makes no sense: expected 0 (off) to below 90"
            )
        self._loops = None if compiled is False else compiled_loops(_LOOP, required=bool(compiled))
        self._degrees = degrees

    def hanging(self, depth: Floats, normals: Floats | None = None) -> Mask:
        """Pixels [H, W] of a panorama's depth that hang.

        normals: [H, W, 3]; without them straightness alone tells surfaces.
        """
        if not self._degrees:
            return np.zeros(depth.shape, bool)
        limits = self._limits(*depth.shape)
        if self._loops is None:
            hanging = _slopes(depth, limits)
            found = np.flatnonzero(hanging)
            hanging.reshape(-1)[found] = _hanging(depth, normals, found, limits)
            return hanging
        hanging = np.empty(depth.shape, bool)
        self._loops.find_slopes(depth, limits.across, limits.down, hanging)
        given = np.empty((0, 0, 3), np.float32) if normals is None else normals
        self._loops.spare(
            depth, given, *ray_factors(depth.shape), np.flatnonzero(hanging), *limits,
            hanging.reshape(-1),
        )  # fmt: skip
        return hanging

    def _limits(self, height: int, width: int) -> Limits:
        crowded = np.maximum(np.cos(latitudes(height)), _LEAST_COSINE)
        slanting = np.float32(np.sin(np.radians(min(_SPARED * self._degrees, 90))))
        return Limits(
            self._ratio(2 * np.pi / width * crowded),
            self._ratio(np.pi / height),
            max(1, round(height * _REACH_DEGREES / 360)),
            slanting,
            max(slanting, np.float32(np.sin(np.radians(_FACING_DEGREES)))),
            np.float32(_BEND),
        )

    def _ratio(self, angle: float | NDArray[np.float64]) -> Any:
        tangent = np.tan(np.radians(self._degrees))
        return (np.cos(angle) + np.sin(angle) / tangent).astype(np.float32)


def _slopes(depth: Floats, limits: Limits) -> Mask:
    """Pixels on a slope, [H, W]."""
    across, down = limits.across[:, None], limits.down
    with np.errstate(invalid="ignore"):
        # One column more on either side, so that the seam is no border.
        wrapped = np.concatenate([depth[:, -1:], depth, depth[:, :1]], 1)
        near, far = wrapped[:, :-1], wrapped[:, 1:]
        rises, falls = far > near * across, near > far * across
        slopes: Mask = (rises[:, :-1] & rises[:, 1:]) | (falls[:, :-1] & falls[:, 1:])
        rises, falls = depth[1:] > depth[:-1] * down, depth[:-1] > depth[1:] * down
        slopes[1:-1] |= (rises[:-1] & rises[1:]) | (falls[:-1] & falls[1:])
    return slopes


def _hanging(
    depth: Floats, normals: Floats | None, found: NDArray[np.intp], limits: Limits
) -> Mask:
    """Which of the slopes `found`, [n] pixels' numbers, are no surfaces."""
    if normals is None:
        return _bent(depth, found, limits)
    ray, normal = (a.reshape(-1, 3)[found] for a in (rays(*depth.shape), normals))
    with np.errstate(invalid="ignore"):
        sine = np.abs(np.einsum("nk,nk->n", ray, normal))
        hanging = ~(sine < limits.slanting)
        unsure = np.flatnonzero(hanging & (sine < limits.facing))
    hanging[unsure] = _bent(depth, found[unsure], limits)
    return hanging


def _bent(depth: Floats, found: NDArray[np.intp], limits: Limits) -> Mask:
    """Which of the slopes `found` are not straight on the way to what is nearer."""
    height, width = depth.shape
    row, column = np.divmod(found, width)
    here, bent = depth.reshape(-1)[found], np.zeros(found.shape, bool)

    def at(down: int, right: int, which: Any = slice(None)) -> Floats:
        """Depth so many pixels down and to the right of those found; NaN beyond the poles."""
        there = row[which] + down
        metres = depth[there.clip(0, height - 1), (column[which] + right) % width]
        return np.where((there >= 0) & (there < height), metres, np.float32(np.nan))

    directions = ((0, -1), (0, 1), (-1, 0), (1, 0))
    beside = {direction: at(*direction) for direction in directions}
    with np.errstate(invalid="ignore", divide="ignore"):
        for down, right in directions:  # of what is nearer
            ratio = limits.across[row] if right else limits.down
            rises = here > beside[down, right] * ratio
            steep = np.flatnonzero(rises & (beside[-down, -right] > here * ratio))
            first, middle, end = (
                1 / at(k * down, k * right, steep) for k in (0, limits.half, 2 * limits.half)
            )
            straight = np.abs(end - 2 * middle + first) <= limits.bend * (end - first)
            bent[steep[~straight]] = True
    return bent
