"""Pictures from and to files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
from numpy.typing import NDArray

from mtpano_model.errors import MtpanoError
from mtpano_model.pictures.decode import decode_panorama, decode_picture, decode_stored
from mtpano_model.pictures.folders import readable
from mtpano_model.pictures.picture import BadPicture, Picture
from mtpano_model.whole_files import write_whole


def read_picture(path: Path) -> Picture:
    """The picture at `path`, of any shape; MtpanoError names the file and what is wrong."""
    try:
        return decode_picture(read_bytes(path))
    except BadPicture as error:
        raise MtpanoError(f"cannot read {readable(path)} as a picture: {error}") from error


def read_panorama(path: Path, allow_non_2to1: bool = False) -> Picture:
    """The panorama at `path`, as `decode_panorama`; MtpanoError as `read_picture`."""
    try:
        return decode_panorama(read_bytes(path), allow_non_2to1)
    except BadPicture as error:
        raise MtpanoError(f"cannot read {readable(path)} as a panorama: {error}") from error


def read_stored(path: Path) -> NDArray[Any]:
    """The values of a label picture, as `decode_stored`; MtpanoError as `read_picture`."""
    try:
        return decode_stored(read_bytes(path))
    except BadPicture as error:
        raise MtpanoError(f"cannot read {readable(path)} as a picture: {error}") from error


def read_bytes(path: Path) -> bytes:
    """A file's bytes; MtpanoError where it is none or cannot be read."""
    try:
        if not path.is_file() and path.exists():  # reading a pipe would wait for ever
            raise MtpanoError(f"cannot read {readable(path)}: it is no regular file")
        return path.read_bytes()
    except OSError as error:
        raise MtpanoError(f"cannot read {readable(path)}: {error.strerror}") from error


def write_picture(path: Path, picture: NDArray[Any]) -> None:
    """Write RGB [h, w, 3] uint8 or grey [h, w] of 8 or 16 bits, whole or not at all; OSError."""
    if picture.ndim == 3:
        picture = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode(path.suffix, picture)
    if not done:
        raise OSError(f"cannot encode {readable(path)}")
    write_whole(path, data.data)
