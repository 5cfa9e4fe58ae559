"""Where the picture shows no room: the robot's own body, and the rows around the poles."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mtpano_model.errors import MtpanoError
from mtpano_model.geometry.sphere import latitudes
from mtpano_model.inference.resize import resize_nearest

Mask = NDArray[np.bool_]


def load_mask(path: str) -> Mask:
    """The picture at `path`, [h, w], True where it is white (the robot itself)."""
    file = Path(path).expanduser()
    if not file.is_file():
        raise MtpanoError(f"body_mask '{path}' does not exist: give the path of a PNG or JPEG")
    return _read(str(file), file.stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _read(path: str, _modified: int) -> Mask:
    picture = cv2.imread(path, cv2.IMREAD_GRAYSCALE)
    if picture is None:
        raise MtpanoError(f"body_mask '{path}' is not a picture: give a PNG or JPEG")
    height, width = picture.shape
    if width != 2 * height:
        raise MtpanoError(
            f"body_mask '{path}' is {width}x{height}, expected 2:1 like the panorama it covers"
        )
    mask = picture >= 128
    mask.flags.writeable = False
    return mask


def combined(
    size: tuple[int, int], body: Mask | None, zenith_degrees: float, nadir_degrees: float
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
