"""A picture of where the robot itself is seen."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mtpano_model.addresses import refuse_address
from mtpano_model.errors import MtpanoError
from mtpano_model.pictures.decode import decode_mask, decode_picture
from mtpano_model.pictures.files import read_bytes
from mtpano_model.pictures.folders import readable
from mtpano_model.pictures.picture import BadPicture
from mtpano_model.pictures.shape import is_panoramic
from mtpano_model.pictures.size import size_text

Mask = NDArray[np.bool_]


def load_mask(path: str | Path, allow_non_2to1: bool = False) -> Mask:
    """The picture at `path`, [h, w], True where it is white (grey 128 or more): the robot itself.

    MtpanoError where it is missing, no picture or, unless that is allowed, not 2:1.
    """
    name = readable(path)
    try:
        file = Path(path).expanduser()
        mask = _read(file, file.stat().st_mtime_ns, allow_non_2to1)
    except FileNotFoundError:
        refuse_address(str(path))
        raise MtpanoError(f"mask '{name}' does not exist: give the path of a PNG or JPEG") from None
    except (
        OSError,
        RuntimeError,
        ValueError,
    ) as error:  # unknown user, long path
        reason = getattr(error, "strerror", None) or error
        raise MtpanoError(f"mask '{name}' cannot be looked at: {reason}") from error
    if not is_panoramic(mask.shape) and not allow_non_2to1:
        raise MtpanoError(
            f"mask '{name}' is {size_text(mask.shape)}, expected 2:1 like the panorama it covers"
        )
    return mask


@lru_cache(maxsize=4)
def _read(file: Path, _modified: int, any_shape: bool) -> Mask:
    try:
        picture = (decode_picture if any_shape else decode_mask)(read_bytes(file))
    except BadPicture as error:
        raise MtpanoError(
            f"mask '{readable(file)}' is not a picture ({error}): give a PNG or JPEG"
        ) from error
    mask = cv2.cvtColor(picture.pixels, cv2.COLOR_BGR2GRAY) >= 128
    mask.flags.writeable = False
    return mask
