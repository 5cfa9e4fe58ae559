"""The view of one lens: which pixels of a panorama it shows, and their distance to its edge."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mtpano_model.geometry import sphere
from mtpano_model.pictures.size import Size
from mtpano_model.rig.rig import Lens

Floats = NDArray[np.float64]
NOWHERE = -16.0  # a place outside of any picture, where remap takes the filling


@dataclass(frozen=True, eq=False)
class View:
    """The places of a panorama's pixels [H, W] in one lens's picture.

    columns, rows: pixels of its part of the picture as delivered (centres at integers).
    margin: degrees to the edge of the visible part, 0 or less outside of it.
    """

    columns: Floats
    rows: Floats
    margin: Floats


def view(lens: Lens, size: Size, picture: Size, distance: float) -> View:
    """The view of a lens for a panorama of `size` (H, W).

    picture: (h, w) of its part of the picture. distance: assumed metres to the surroundings.
    MtpanoError if the calibration does not fit the picture.
    """
    assert lens.camera is not None
    upright = picture if lens.turn in (0, 180) else picture[::-1]
    camera = lens.camera.scaled_to(upright)
    rays = sphere.rays(*size).astype(np.float64)
    if math.isfinite(distance):
        rays = rays * distance - lens.position
    rays = rays @ lens.rotation  # the transpose turns into the lens's frame
    columns, rows, seen = camera.project(rays)
    degrees = math.degrees(1 / camera.pixels_per_radian)
    angle = np.degrees(np.arctan2(np.hypot(rays[..., 0], rays[..., 1]), rays[..., 2]))
    height, width = upright
    with np.errstate(invalid="ignore"):
        border = np.minimum(
            np.minimum(columns + 0.5, width - 0.5 - columns),
            np.minimum(rows + 0.5, height - 0.5 - rows),
        )
    margin = np.minimum(math.degrees(camera.largest_angle) - angle, border * degrees)
    if lens.mask is not None:
        free = _free_pixels(lens.mask, upright)
        x, y = (np.nan_to_num(np.asarray(a, np.float32), nan=NOWHERE) for a in (columns, rows))
        margin = np.minimum(margin, cv2.remap(free, x, y, cv2.INTER_LINEAR) * degrees)
    return View(*_delivered(columns, rows, upright, lens.turn), np.where(seen, margin, 0.0))


def _delivered(columns: Floats, rows: Floats, upright: Size, turn: int) -> tuple[Floats, Floats]:
    """Pixels of the calibrated picture -> pixels of the picture before it was turned clockwise."""
    height, width = upright
    if turn == 90:
        return rows, width - 1 - columns
    if turn == 180:
        return width - 1 - columns, height - 1 - rows
    if turn == 270:
        return height - 1 - rows, columns
    return columns, rows


def _free_pixels(mask: NDArray[np.bool_], size: Size) -> NDArray[np.float32]:
    """Pixels to the nearest masked one, [h, w]."""
    resized = cv2.resize(mask.astype(np.uint8), size[::-1], interpolation=cv2.INTER_NEAREST)
    return np.asarray(cv2.distanceTransform(1 - resized, cv2.DIST_L2, 5), np.float32)
