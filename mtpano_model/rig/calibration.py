"""Calibrates a dual fisheye from points that both lenses see.

Both lenses see only a ring, at about 90 degrees from their axes. It determines the lenses'
rotation, their centres and the radius there, but hardly how the radius grows inside the ring. So
every value has a prior at its old value, as tight as such values are usually known (Gauss-Newton
with priors).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from mtpano_model.errors import MtpanoError
from mtpano_model.rig.overlaps import Overlap, find_overlaps
from mtpano_model.rig.rig import Lens, Rig

Floats = NDArray[np.float64]
Pictures = Mapping[str, NDArray[np.uint8]]
_ROUNDS = 4  # of matching again
_STEPS = 15  # of Gauss-Newton a round
_FEWEST = 40  # matches
_WORTHWHILE = 0.9  # of the disagreement before a round; where more is left it was the last
_NOISE = np.radians(0.1)  # of a match
# What the values may be off by: centre (shares of the width), focal length (share), k1, k2, and the
# rotation (radians).
_PRIOR = np.array([0.01, 0.01, 0.01, 0.01, 0.005])
_ROTATION_PRIOR = np.array([0.07, 0.07, 0.07])


@dataclass(frozen=True)
class Refined:
    """The better rig, and the median disagreement before and after, in degrees."""

    rig: Rig
    before: float
    after: float
    matches: int


def refine(rig: Rig, moments: Sequence[Pictures]) -> Refined:
    """A dual fisheye rig whose lenses agree better; moments: the pictures of each, by topic.

    Of both lenses it estimates the centre, the focal length (the circle's radius) and, for the
    equidistant model, k1 and k2; and the second lens's rotation. MtpanoError if the rig does not
    have two lenses, or too few points are seen by both.
    """
    if len(rig.lenses) != 2 or rig.uncalibrated:
        raise MtpanoError(
            f"the rig has {len(rig.lenses)} calibrated lenses, expected the two of a dual fisheye: "
            "calibrate other rigs with Kalibr"
        )
    before, count = _disagreement(rig, moments)
    best, after = rig, before
    current = rig
    for _ in range(_ROUNDS):
        overlaps = [one for moment in moments for one in find_overlaps(current, moment)]
        current = _solved(rig, current, overlaps)
        now, count = _disagreement(current, moments)
        if now > _WORTHWHILE * after:
            break
        best, after = current, now
    return Refined(best, before, after, count)


def _disagreement(rig: Rig, moments: Sequence[Pictures]) -> tuple[float, int]:
    degrees = [one.degrees for moment in moments for one in find_overlaps(rig, moment)]
    every = np.concatenate(degrees) if degrees else np.empty(0)
    if len(every) < _FEWEST:
        raise MtpanoError(
            f"only {len(every)} points are seen by both lenses, expected {_FEWEST} or more: give "
            "pictures with more detail to the sides, or a larger field_of_view"
        )
    return float(np.median(every)), len(every)


def _solved(start: Rig, current: Rig, overlaps: list[Overlap]) -> Rig:
    """Gauss-Newton from `current`, held near `start`."""
    first, second = current.lenses
    assert first.camera is not None
    assert second.camera is not None
    pixels = []
    for lens, rays in (
        (first, np.concatenate([one.first_rays for one in overlaps])),
        (second, np.concatenate([one.second_rays for one in overlaps])),
    ):
        assert lens.camera is not None
        columns, rows, _ = lens.camera.project(_into(lens, rays, current.distance))
        pixels.append((columns, rows))
    prior = np.concatenate([_prior(start.lenses[0]), _prior(start.lenses[1]), _ROTATION_PRIOR])
    origin = _values(start, start)
    values = _values(start, current)

    def residuals(at: Floats) -> Floats:
        rig = _with_values(start, at)
        directions = []
        for lens, (columns, rows) in zip(rig.lenses, pixels, strict=True):
            assert lens.camera is not None
            free = replace(lens.camera, field_of_view=None)
            directions.append(_outward(lens, free.unproject(columns, rows)[0], rig.distance))
        return (directions[0] - directions[1]) / _NOISE

    for _ in range(_STEPS):
        error = residuals(values)
        jacobian = np.empty((*error.shape, len(values)))
        for number, width in enumerate(1e-4 * prior):
            step = values.copy()
            step[number] += width
            jacobian[..., number] = (residuals(step) - error) / width
        usable = np.isfinite(error).all(1) & np.isfinite(jacobian).all((1, 2))
        size = np.linalg.norm(error[usable], axis=1)
        # Geman and McClure's weights, with a scale that shrinks as the lenses come together.
        scale = max(1.0, 1.5 * float(np.median(size)))
        weight = (1 + (size / scale) ** 2) ** -2 / scale**2
        slopes = jacobian[usable]
        normal = np.einsum("n,nij,nik->jk", weight, slopes, slopes) + np.diag(prior**-2)
        pull = np.einsum("n,nij,ni->j", weight, slopes, error[usable])
        change = np.linalg.solve(normal, pull + (values - origin) / prior**2)
        values = values - np.clip(change, -prior, prior)
        if np.abs(change / prior).max() < 1e-4:
            break
    return _with_values(start, values)


def _into(lens: Lens, rays: Floats, distance: float) -> Floats:
    points = rays * distance - lens.position if np.isfinite(distance) else rays
    return points @ lens.rotation


def _outward(lens: Lens, rays: Floats, distance: float) -> Floats:
    """A lens's rays -> unit rays from the panorama's centre, to surroundings at `distance`."""
    rays = rays @ lens.rotation.T
    if not np.isfinite(distance):
        return rays
    along = rays @ lens.position
    square = float(lens.position @ lens.position)
    reach = np.sqrt(along**2 - square + distance**2) - along
    return (lens.position + rays * reach[:, None]) / distance


# --- the values ----------------------------------------------------------------------------------


def _prior(lens: Lens) -> Floats:
    assert lens.camera is not None
    width = lens.camera.size[1]
    scales = np.array([width, width, lens.camera.focal[0], 1.0, 1.0])
    return _PRIOR * scales


def _values(start: Rig, rig: Rig) -> Floats:
    """cx, cy, focal, k1, k2 of both lenses; the second's turn since `start`, as a vector."""
    values: list[float] = []
    for lens in rig.lenses:
        camera = lens.camera
        assert camera is not None
        terms = (*camera.distortion, 0.0, 0.0)[:2] if camera.model == "equidistant" else (0, 0)
        values += [*camera.center, camera.focal[0], *terms]
    turn = cv2.Rodrigues(rig.lenses[1].rotation @ start.lenses[1].rotation.T)[0].ravel()
    return np.array([*values, *turn], np.float64)


def _with_values(rig: Rig, values: Floats) -> Rig:
    lenses = []
    for number, lens in enumerate(rig.lenses):
        camera = lens.camera
        assert camera is not None
        cx, cy, focal, k1, k2 = (float(v) for v in values[5 * number : 5 * number + 5])
        distortion = camera.distortion
        if camera.model == "equidistant":
            distortion = (k1, k2, *((*distortion, 0.0, 0.0, 0.0, 0.0)[2:4]))
        aspect = camera.focal[1] / camera.focal[0]
        lenses.append(
            replace(
                lens,
                camera=replace(
                    camera,
                    center=(cx, cy),
                    focal=(focal, focal * aspect),
                    distortion=distortion,
                ),
            )
        )
    turn = np.asarray(cv2.Rodrigues(values[10:13])[0], np.float64)
    lenses[1] = replace(lenses[1], rotation=turn @ lenses[1].rotation)
    return replace(rig, lenses=tuple(lenses))
