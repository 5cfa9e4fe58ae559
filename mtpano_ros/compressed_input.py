"""JPEG and PNG images -> panoramas. What is damaged or too large is found before it is decoded.

OpenCV's decoder gives a truncated JPEG a grey rest without a word, and allocates whatever size a
header claims; so the headers are read here (JPEG: ITU-T T.81, annex B; PNG: RFC 2083, chapter 3).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np
from sensor_msgs.msg import CompressedImage

from mtpano_ros.image_input import (
    SINGLE_CHANNEL,
    BadImage,
    Panorama,
    check_size,
    quoted,
    single_channel,
)

Size = tuple[int, int]

_JPEG_START = b"\xff\xd8"
_JPEG_END = b"\xff\xd9"
_PNG_START = b"\x89PNG\r\n\x1a\n"
# Every start-of-frame marker: 0xC0..0xCF but DHT, JPG and DAC.
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_SCAN = 0xDA
_REDUCED = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}


class _Header(NamedTuple):
    size: Size
    is_jpeg: bool


def read_compressed(
    message: CompressedImage,
    allow_non_2to1: bool = False,
    needed: Callable[[Size], Size] | None = None,
) -> Panorama:
    """The panorama in a sensor_msgs/CompressedImage, or BadImage.

    needed: the least (H, W) that is of use, given the image's own; a JPEG is then decoded at 1/2,
    1/4 or 1/8 of its size where that is enough, which is several times faster.
    """
    encoding = message.format.split(";")[0].strip()
    if encoding in SINGLE_CHANNEL:
        raise single_channel(encoding)
    data = bytes(message.data)
    header = _read_header(data, message.format)
    check_size(header.size, allow_non_2to1)
    least = needed(header.size) if needed is not None and header.is_jpeg else header.size
    # The pixels as stored: a camera that writes EXIF means its own mounting, which tf knows.
    flags = _REDUCED[_reduction(header.size, least)] | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise _corrupt(data, message.format, "the decoder refuses it") from error
    if pixels is None:
        raise _corrupt(data, message.format, "the decoder refuses it")
    return Panorama(np.asarray(pixels, np.uint8), "bgr", header.size)


def _reduction(size: Size, least: Size) -> int:
    """The largest of 1, 2, 4, 8 by which `size` may be divided and still cover `least`."""
    covers = (n for n in _REDUCED if size[0] // n >= least[0] and size[1] // n >= least[1])
    return max(covers, default=1)


def _read_header(data: bytes, form: str) -> _Header:
    if data.startswith(_JPEG_START):
        return _Header(_jpeg_size(data, form), True)
    if data.startswith(_PNG_START):
        return _Header(_png_size(data, form), False)
    raise BadImage(
        "compressed",
        f"{len(data)} bytes of format {quoted(form)} begin like no picture, expected a JPEG or PNG",
    )


def _jpeg_size(data: bytes, form: str) -> Size:
    size = None
    position = 2
    while position + 9 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xFF:  # fill byte
            position += 1
            continue
        (length,) = struct.unpack_from(">H", data, position + 2)
        if marker in _JPEG_FRAMES:
            size = struct.unpack_from(">HH", data, position + 5)
        position += 2 + length
        if marker == _JPEG_SCAN:
            break
    else:
        raise _corrupt(data, form, "its header is broken")
    if size is None:
        raise _corrupt(data, form, "its header names no size")
    # Within the scans 0xFF is escaped, so this can only be the end; some cameras pad after it.
    if data.find(_JPEG_END, position) < 0:
        raise _corrupt(data, form, "it is cut off")
    return size


def _png_size(data: bytes, form: str) -> Size:
    if len(data) < 26 or data[12:16] != b"IHDR":
        raise _corrupt(data, form, "its header is broken")
    width, height, bits, color_type = struct.unpack_from(">IIBB", data, 16)
    if bits == 16 and color_type == 0:
        raise single_channel("mono16")
    if b"IEND" not in data[-64:]:
        raise _corrupt(data, form, "it is cut off")
    return height, width


def _corrupt(data: bytes, form: str, reason: str) -> BadImage:
    return BadImage(
        "compressed",
        f"{len(data)} bytes of format {quoted(form)} cannot be decoded ({reason}), expected a "
        "whole JPEG or PNG",
    )
