"""A room from above, cut at one height: bowed walls and points in the air are seen at once."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mtpano_model.classes import ClassSet
from mtpano_model.drawing.canvas import Rgb
from mtpano_model.geometry.sphere import rays, surface_points
from mtpano_model.metrics.evaluation import Maps

ABOVE_FLOOR = 1.2  # metres
_STEP = 1.3  # neighbours whose depths differ by this factor in truth are not of one surface
_SHOWN = 0.98  # of the true points
_PAPER, _GRID, _TRUTH, _GUESS = (255, 255, 255), (226, 226, 226), (60, 60, 60), (214, 39, 40)

Floats = NDArray[np.floating]


def slice_picture(
    depth: Floats, truth: Maps, classes: ClassSet, down: Floats, size: tuple[int, int]
) -> Rgb | None:
    """Truth in grey and the prediction in red, cut 1.2 m above the floor, seen from above.

    A line a metre, the camera at the cross, ahead is up. At the camera's height where no floor is
    seen; None where nothing is cut.

    depth: [H, W], predicted. down: unit vector, optical frame. size: of the picture, (rows,
    columns).
    """
    if truth.depth is None:
        return None
    exact = np.where(truth.depth > 0, truth.depth, np.nan)
    level = _floor(exact, truth, classes, down) - ABOVE_FLOOR
    wall, guess = cut(exact, level, down, _STEP), cut(depth, level, down)
    if not len(wall):
        return None
    low, high = np.quantile(wall, [(1 - _SHOWN) / 2, (1 + _SHOWN) / 2], axis=0)
    low, high = np.minimum(low, 0) - 0.3, np.maximum(high, 0) + 0.3
    rows, columns = size
    scale = min(columns / (high[0] - low[0]), rows / (high[1] - low[1]))  # pixels a metre
    middle = (low + high) / 2
    picture = np.full((rows, columns, 3), _PAPER, np.uint8)

    def place(points: Floats) -> NDArray[np.int64]:
        off = (points - middle) * (scale, -scale) + (columns / 2, rows / 2)
        return np.clip(np.rint(off), -9, 9999).astype(np.int64)

    for metre in range(int(min(low)) - 1, int(max(high)) + 2):
        x, y = place(np.array([metre, metre]))
        picture[:, x : x + 1] = _GRID if x >= 0 else picture[:, x : x + 1]
        picture[y : y + 1] = _GRID if y >= 0 else picture[y : y + 1]
    for points, color, radius in ((wall, _TRUTH, 1), (guess, _GUESS, 0)):
        for x, y in place(points).tolist():
            cv2.circle(picture, (x, y), radius, color, -1)
    x, y = place(np.zeros(2)).tolist()
    cv2.drawMarker(picture, (x, y), _TRUTH, cv2.MARKER_CROSS, 9)
    return picture


def cut(depth: Floats, level: float, down: Floats, step: float = np.inf) -> Floats:
    """Where surfaces pass a height, metres to the right of and ahead of the camera, [N, 2].

    depth: [H, W] metres along the ray, NaN unknown. level: metres below the camera. Between
    neighbours on either side of it, unless their depths differ by the factor `step` or more.
    """
    points = surface_points(depth.astype(np.float64))
    below = points @ down - level
    aside = np.cross(down, (0.0, 0.0, 1.0))
    aside /= np.linalg.norm(aside)
    ground = np.stack([points @ aside, points @ np.cross(aside, down)], -1)
    found = []
    with np.errstate(invalid="ignore", divide="ignore"):
        for axis in (0, 1):
            after = np.roll(below, -1, axis)
            passed = (below < 0) != (after < 0)
            ratio = np.roll(depth, -1, axis) / depth
            passed &= np.isfinite(below) & np.isfinite(after) & (ratio < step) & (ratio > 1 / step)
            if axis == 0:
                passed[-1] = False
            share = (below / (below - after))[passed][:, None]
            here, there = ground[passed], np.roll(ground, -1, axis)[passed]
            found.append(here + share * (there - here))
    return np.concatenate(found)


def _floor(exact: Floats, truth: Maps, classes: ClassSet, down: Floats) -> float:
    """How far the floor is below the camera, metres; ABOVE_FLOOR where none is seen."""
    if truth.labels is None or "floor" not in classes.names:
        return ABOVE_FLOOR
    seen = (truth.labels == classes.names.index("floor")) & np.isfinite(exact)
    if not seen.any():
        return ABOVE_FLOOR
    return float(np.median((rays(*exact.shape)[seen] @ down) * exact[seen]))
