"""sensor_msgs Image and CompressedImage -> pictures, for live topics and for bags, without ROS.

A message is any object with the fields of its type: rclpy's, or that of the library `rosbags`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from mtpano_model.pictures.decode import (
    decode_panorama,
    decode_picture,
    decode_stored,
    single_channel,
)
from mtpano_model.pictures.header import VIDEO_START, read_header
from mtpano_model.pictures.panorama import as_panorama, refuse_shape
from mtpano_model.pictures.picture import BadPicture, Picture, quoted
from mtpano_model.pictures.shape import check_pixels
from mtpano_model.pictures.size import Size

FFMPEG = "ffmpeg_image_transport_msgs/msg/FFMPEGPacket"
FOXGLOVE = "foxglove_msgs/msg/CompressedVideo"
# The types that a camera's pictures may come as, in the order in which they are taken where a topic
# has several. `mtpano_model.video.messages` reads the last two.
PICTURE_TYPES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage", FFMPEG, FOXGLOVE)


class _Encoding(NamedTuple):
    """pixel_bytes: of a row's pixel. value_bytes: of one number. order: of what comes out.
    conversion: OpenCV's, to three channels; None where there are three already."""

    pixel_bytes: int
    value_bytes: int
    order: Literal["rgb", "bgr"]
    conversion: int | None


# ROS names a Bayer pattern by its first row, OpenCV by its second row's last two; hence the
# crossed names.
_BAYER = {
    "rggb": cv2.COLOR_BayerBG2RGB,
    "bggr": cv2.COLOR_BayerRG2RGB,
    "gbrg": cv2.COLOR_BayerGR2RGB,
    "grbg": cv2.COLOR_BayerGB2RGB,
}
_ENCODINGS = {
    "rgb8": _Encoding(3, 1, "rgb", None),
    "bgr8": _Encoding(3, 1, "bgr", None),
    "8UC3": _Encoding(3, 1, "bgr", None),
    "rgba8": _Encoding(4, 1, "rgb", cv2.COLOR_RGBA2RGB),
    "bgra8": _Encoding(4, 1, "bgr", cv2.COLOR_BGRA2BGR),
    "8UC4": _Encoding(4, 1, "bgr", cv2.COLOR_BGRA2BGR),
    "mono8": _Encoding(1, 1, "rgb", cv2.COLOR_GRAY2RGB),
    "8UC1": _Encoding(1, 1, "rgb", cv2.COLOR_GRAY2RGB),
    "rgb16": _Encoding(6, 2, "rgb", None),
    "bgr16": _Encoding(6, 2, "bgr", None),
    "rgba16": _Encoding(8, 2, "rgb", cv2.COLOR_RGBA2RGB),
    "bgra16": _Encoding(8, 2, "bgr", cv2.COLOR_BGRA2BGR),
    "yuv422": _Encoding(2, 1, "rgb", cv2.COLOR_YUV2RGB_UYVY),
    "uyvy": _Encoding(2, 1, "rgb", cv2.COLOR_YUV2RGB_UYVY),
    "yuv422_yuy2": _Encoding(2, 1, "rgb", cv2.COLOR_YUV2RGB_YUY2),
    "yuyv": _Encoding(2, 1, "rgb", cv2.COLOR_YUV2RGB_YUY2),
    **{f"bayer_{name}8": _Encoding(1, 1, "rgb", code) for name, code in _BAYER.items()},
    **{f"bayer_{name}16": _Encoding(2, 2, "rgb", code) for name, code in _BAYER.items()},
}
# Half as many rows of colour follow the rows of brightness.
_PLANAR = {
    "nv12": cv2.COLOR_YUV2RGB_NV12,
    "nv21": cv2.COLOR_YUV2RGB_NV21,
    "i420": cv2.COLOR_YUV2RGB_I420,
    "yuv420": cv2.COLOR_YUV2RGB_I420,
}
_PLANES_APART = ("i420", "yuv420")
# Not in the standard, but drivers put their encoded pictures into an Image all the same.
_ENCODED = ("jpeg", "jpg", "mjpeg", "mjpg", "png")
SINGLE_CHANNEL = ("mono16", "16UC1", "16SC1", "32SC1", "32FC1", "64FC1")
COLOR_ENCODINGS = (*_ENCODINGS, *_PLANAR)
_SPELLINGS = {name.lower(): name for name in (*COLOR_ENCODINGS, *_ENCODED, *SINGLE_CHANNEL)}
_VIDEO_FORMATS = ("h264", "h265", "hevc", "av1", "vp8", "vp9", "mpeg", "theora", "libx26", "nvenc")


def read_message(
    message: Any, allow_non_2to1: bool = False, needed: Callable[[Size], Size] | None = None
) -> Picture:
    """The panorama in an Image or CompressedImage; BadPicture where there is none.

    rgb8, bgr8 and 8UC3 become views that share the message's memory; every other encoding is
    converted, 16 bits keep their upper byte. needed: as for `decode_panorama`.
    """
    if not _is_encoded(message):
        refuse_shape((message.height, message.width), allow_non_2to1)
    return _read(
        message,
        lambda data: decode_panorama(data, allow_non_2to1, needed),
        lambda picture: as_panorama(picture, allow_non_2to1),
    )


def read_lens(message: Any) -> Picture:
    """The picture in an Image or CompressedImage, of any shape: of one lens, or of several."""
    return _read(message, decode_picture, lambda picture: picture)


def unusable(message: Any) -> str:
    """Why no message of this topic can be a panorama, going by its encoding; "" where it may be."""
    try:
        if hasattr(message, "format"):
            _check_format(message.format, bytes(message.data[:5]))
        elif not _is_encoded(message):
            _check_encoding(message.encoding)
    except BadPicture as error:
        return str(error)
    return ""


def _spelt(encoding: str) -> str:
    """An encoding as the standard spells it: neither case nor spaces around it tell two apart."""
    name = encoding.strip()
    return _SPELLINGS.get(name.lower(), name)


# --- compressed ----------------------------------------------------------------------------------


def _is_encoded(message: Any) -> bool:
    return hasattr(message, "format") or _spelt(message.encoding) in _ENCODED


def _read(
    message: Any, decode: Callable[[bytes], Picture], finish: Callable[[Picture], Picture]
) -> Picture:
    """decode: bytes of a picture -> what is wanted; finish: pixels of any shape -> the same."""
    if not _is_encoded(message):
        return finish(_read_raw(message))
    data = bytes(message.data)
    form = message.format if hasattr(message, "format") else message.encoding
    if hasattr(message, "format"):
        _check_format(form, data[:5])
    before, _, after = form.partition(";")
    before = _spelt(before)
    is_mosaic = before in _ENCODINGS and before.startswith("bayer_")
    try:
        # Where a mosaic's picture has colours, its publisher made them.
        if is_mosaic and after.split()[-1:] != ["mono8"] and read_header(data).channels == 1:
            return finish(_demosaiced(data, before))
        return decode(data)
    except BadPicture as error:
        raise _told(error, data, form) from error


def _demosaiced(data: bytes, encoding: str) -> Picture:
    """A mosaic that was compressed as it is."""
    mosaic = decode_stored(data)
    values = mosaic if mosaic.dtype == np.uint8 else (mosaic >> 8).astype(np.uint8)
    pixels = np.asarray(cv2.cvtColor(values, _BAYER[encoding[6:10]]), np.uint8)
    return Picture(pixels, "rgb", (pixels.shape[0], pixels.shape[1]))


def _told(error: BadPicture, data: bytes, form: str) -> BadPicture:
    if error.reason != "compressed":
        return error
    return BadPicture(
        "compressed", f"{len(data)} bytes of format {quoted(form)} cannot be decoded: {error}"
    )


def video_format(form: str) -> str:
    """The word in a CompressedImage's format that names a video codec, empty where none does."""
    words = form.lower().replace(".", "").replace(";", " ").split()
    return next((word for word in words if word.startswith(_VIDEO_FORMATS)), "")


def _check_format(form: str, start: bytes) -> None:
    """BadPicture where a CompressedImage's format, or how its data begin, is no colour picture."""
    encoding = _spelt(form.split(";")[0])
    if encoding in SINGLE_CHANNEL or "compresseddepth" in form.lower():
        raise single_channel(encoding)
    if video_format(form) or re.match(VIDEO_START, start, re.DOTALL):
        raise BadPicture(
            "encoding",
            f"format {quoted(form)} is a video stream, expected single pictures: decode it first "
            "(ros2 run image_transport republish), or let the driver publish JPEG",
        )


# --- raw -----------------------------------------------------------------------------------------


def _check_encoding(spelling: str) -> str:
    """The encoding as the standard spells it; BadPicture where it is no colour picture's."""
    encoding = _spelt(spelling)
    if encoding in SINGLE_CHANNEL:
        raise single_channel(encoding)
    if encoding not in _ENCODINGS and encoding not in _PLANAR:
        raise BadPicture(
            "encoding",
            f"encoding {quoted(encoding)} is unknown, expected one of "
            f"{', '.join(COLOR_ENCODINGS)}: let the driver publish rgb8",
        )
    return encoding


def _read_raw(message: Any) -> Picture:
    encoding, size = _check_encoding(message.encoding), (message.height, message.width)
    check_pixels(size)
    if encoding in _PLANAR:
        return Picture(_planar(message, encoding), "rgb", size)
    kind = _ENCODINGS[encoding]
    rows, step = _rows(message, message.width * kind.pixel_bytes, message.height)
    channels = kind.pixel_bytes // kind.value_bytes
    # Of 16 bits the upper byte is taken where it lies.
    offset = 1 if kind.value_bytes == 2 and not message.is_bigendian else 0
    strides = (step, kind.pixel_bytes, kind.value_bytes)
    pixels = np.ndarray((*size, channels), np.uint8, rows, offset, strides)
    if kind.value_bytes == 2:
        pixels = np.ascontiguousarray(pixels)
    if kind.conversion is not None:
        pixels = _converted(pixels, kind.conversion, message)
    return Picture(pixels, kind.order, size)


def _planar(message: Any, encoding: str) -> NDArray[np.uint8]:
    height, width = message.height, message.width
    if height % 2 or width % 2:
        raise BadPicture(
            "size",
            f"an image of {height}x{width} (rows x columns) in encoding '{message.encoding}' "
            "cannot be, expected even numbers",
        )
    rows, step = _rows(message, width, height * 3 // 2)
    lines = rows.reshape(-1, step)
    luma, chroma = lines[:height, :width], lines[height:]
    if encoding in _PLANES_APART:
        # Their rows are half as wide, and so is the padding.
        if step % 2:
            raise BadPicture("step", f"step is {step}, expected an even number of bytes")
        chroma = chroma.reshape(-1, step // 2)[:, : width // 2].reshape(-1, width)
    stacked = np.concatenate([luma, chroma[:, :width]])
    return _converted(stacked, _PLANAR[encoding], message)


def _converted(pixels: NDArray[np.uint8], conversion: int, message: Any) -> NDArray[np.uint8]:
    try:
        return np.asarray(cv2.cvtColor(pixels, conversion), np.uint8)
    except cv2.error as error:  # of an odd number of columns, or of too few rows
        raise BadPicture(
            "encoding",
            f"an image of {message.height}x{message.width} (rows x columns) in encoding "
            f"'{message.encoding}' cannot be converted, expected even numbers of both: let the "
            "driver publish rgb8",
        ) from error


def _rows(message: Any, row_bytes: int, rows: int) -> tuple[NDArray[np.uint8], int]:
    """The bytes of so many rows, and how far apart rows are, once both are known to be right.

    A step of 0 stands for rows without padding, where the number of bytes says the same.
    """
    data = np.frombuffer(message.data, np.uint8)
    step = message.step
    if step == 0 and len(data) == rows * row_bytes:
        step = row_bytes
    if step < row_bytes:
        raise BadPicture(
            "step",
            f"step is {step}, expected at least {row_bytes} bytes for {message.width} pixels of "
            f"{message.encoding}",
        )
    if len(data) < rows * step:
        encoded = ": they begin like a JPEG" if data[:3].tobytes() == b"\xff\xd8\xff" else ""
        raise BadPicture(
            "data",
            f"the image has {len(data)} bytes, expected {rows * step} for {rows} rows of "
            f"{step}{encoded}",
        )
    return data[: rows * step], step
