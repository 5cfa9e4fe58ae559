"""Pictures from and to files, and depth as 16-bit millimetres."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mtpano_model.errors import MtpanoError

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
_JPEG_BEGIN, _JPEG_SCAN, _JPEG_END = b"\xff\xd8\xff", b"\xff\xda", b"\xff\xd9"

OPEN_MILLIMETRES = 65535
_FARTHEST_MILLIMETRES = 65534


def decode_picture(data: bytes) -> NDArray[np.uint8]:
    """RGB uint8 [h, w, 3] of an encoded picture; ValueError, with the reason, where it is damaged.

    A JPEG cut short decodes to a picture with a grey rest, so its end is looked for: no scan may
    begin after the last end-of-image marker (ITU-T T.81, B.2.1).
    """
    if data.startswith(_JPEG_BEGIN) and data.rfind(_JPEG_END) < data.rfind(_JPEG_SCAN):
        raise ValueError("the JPEG is cut short")
    try:
        bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    except cv2.error as error:  # of a header that promises more than 2^30 pixels
        raise ValueError(f"the decoder refuses it ({error.err})") from error
    if bgr is None:
        raise ValueError("it is empty" if not data else "it is damaged or of an unknown format")
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB, dst=bgr), np.uint8)


def read_picture(path: Path) -> NDArray[np.uint8]:
    """RGB uint8 [h, w, 3] of the file at `path`; MtpanoError names the file and what is wrong."""
    try:
        return decode_picture(path.read_bytes())
    except OSError as error:
        raise MtpanoError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise MtpanoError(f"cannot read {path} as a picture: {error}") from error


def find_pictures(place: Path) -> list[Path]:
    """The picture itself, or a folder's pictures in order of name."""
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise MtpanoError(f"{place} does not exist: give a picture or a folder of pictures")
    found = sorted(p for p in place.iterdir() if p.suffix.lower() in PICTURE_SUFFIXES)
    if not found:
        raise MtpanoError(
            f"folder {place} holds no picture: expected files ending in "
            f"{', '.join(PICTURE_SUFFIXES)}"
        )
    return found


def write_picture(path: Path, picture: NDArray[Any]) -> None:
    """Write RGB [h, w, 3] uint8 or grey [h, w] of 8 or 16 bits; OSError where that fails."""
    if picture.ndim == 3:
        picture = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode(path.suffix, picture)
    if not done:
        raise OSError(f"cannot encode {path.name}")
    path.write_bytes(data.tobytes())


def depth_millimetres(depth: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Metres [H, W] -> uint16 millimetres along the ray.

    0 unknown (NaN) or nearer than the range (-Inf), 65535 open or beyond it (+Inf); finite depths
    from 65.534 m on are written as 65534.
    """
    millimetres = np.rint(np.nan_to_num(depth, nan=0.0, posinf=0.0, neginf=0.0) * 1000)
    result = np.clip(millimetres, 0, _FARTHEST_MILLIMETRES).astype(np.uint16)
    result[np.isposinf(depth)] = OPEN_MILLIMETRES
    return result
