"""A picture of where the robot itself is seen."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mtpano_model.errors import MtpanoError
from mtpano_model.inference.picture_files import decode_picture

Mask = NDArray[np.bool_]


def load_mask(path: str | Path, allow_non_2to1: bool = False) -> Mask:
    """The picture at `path`, [h, w], True where it is white (grey 128 or more): the robot itself.

    MtpanoError where it is missing, no picture or, unless that is allowed, not 2:1.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise MtpanoError(f"mask '{path}' does not exist: give the path of a PNG or JPEG")
    mask = _read(file, file.stat().st_mtime_ns)
    height, width = mask.shape
    if width != 2 * height and not allow_non_2to1:
        raise MtpanoError(
            f"mask '{path}' is {width}x{height}, expected 2:1 like the panorama it covers"
        )
    return mask


@lru_cache(maxsize=4)
def _read(file: Path, _modified: int) -> Mask:
    try:
        picture = decode_picture(file.read_bytes())
    except OSError as error:
        raise MtpanoError(f"cannot read mask '{file}': {error.strerror}") from error
    except ValueError as error:
        raise MtpanoError(
            f"mask '{file}' is not a picture ({error}): give a PNG or JPEG"
        ) from error
    mask = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) >= 128
    mask.flags.writeable = False
    return mask
