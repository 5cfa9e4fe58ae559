"""Whether a 2:1 picture looks like two raw fisheye pictures side by side."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mtpano_model.pictures.picture import Note

_DARK, _LIGHT = 12, 40


def fisheye_note(pixels: NDArray[np.uint8]) -> tuple[Note, ...]:
    """A sentence where [h, w, 3] shows two circles of light on black, else nothing.

    Looked at are a few pixels alone: the corners of both halves, which a circle leaves black, and
    the halves' middles and the middles of their upper and lower edges, which it lights.
    """
    height, width = pixels.shape[:2]
    if height < 32:
        return ()
    edge = np.array([0.01, 0.03, 0.97, 0.99]) * height
    corners = np.array([0.01, 0.02, 0.48, 0.49, 0.51, 0.52, 0.98, 0.99]) * width
    if _brightest(pixels, edge, corners) > _DARK:
        return ()
    middles = np.array([0.25, 0.75]) * width
    if _brightest(pixels, np.array([0.5 * height]), middles) < _LIGHT:
        return ()
    for row in (0.12 * height, 0.88 * height):
        if _brightest(pixels, np.array([row]), middles) <= _DARK:
            return ()
    text = (
        "it looks like two raw fisheye pictures side by side, expected an equirectangular "
        "panorama: describe the lenses in a rig file (mtpano rig template), or let the camera's "
        "software stitch it"
    )
    return (Note("fisheye", text),)


def _brightest(
    pixels: NDArray[np.uint8], rows: NDArray[np.float64], columns: NDArray[np.float64]
) -> int:
    return int(pixels[np.ix_(rows.astype(int), columns.astype(int))].max())
