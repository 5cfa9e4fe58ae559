"""Combines the masks of pixels to leave out: the robot's own body, and rows around the poles."""

from __future__ import annotations

import numpy as np

from mtpano_model.geometry.sphere import latitudes
from mtpano_model.pictures.body_mask import Mask
from mtpano_model.pictures.resize import resize_nearest


def combined(
    size: tuple[int, int],
    body: Mask | None,
    zenith_degrees: float,
    nadir_degrees: float,
) -> Mask | None:
    """Mask [H, W] of all that is hidden at `size`, None where nothing is.

    zenith_degrees, nadir_degrees: rows whose centres lie nearer to straight up or down.
    """
    if body is None and not zenith_degrees and not nadir_degrees:
        return None
    hidden = np.zeros(size, bool)
    if body is not None:
        hidden |= resize_nearest(body.view(np.uint8), size).view(bool)
    latitude = np.degrees(latitudes(size[0]))
    hidden[(latitude > 90 - zenith_degrees) | (latitude < nadir_degrees - 90)] = True
    return hidden
