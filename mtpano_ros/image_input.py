"""Camera images -> panoramas, as views of the message wherever its layout allows one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from types import SimpleNamespace
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import Image

from mtpano_model.errors import MtpanoError

MAX_ROWS = 16384

# encoding -> (channels, what to do to get three channels in an order we know)
_VIEWS: dict[str, tuple[int, Literal["rgb", "bgr"], int | None]] = {
    "rgb8": (3, "rgb", None),
    "bgr8": (3, "bgr", None),
    "8UC3": (3, "bgr", None),
    "rgba8": (4, "rgb", cv2.COLOR_RGBA2RGB),
    "bgra8": (4, "bgr", cv2.COLOR_BGRA2BGR),
    "8UC4": (4, "bgr", cv2.COLOR_BGRA2BGR),
    "mono8": (1, "rgb", cv2.COLOR_GRAY2RGB),
}
# encoding -> bytes a pixel, of those that a library converts for us
_CONVERTED = {
    "rgb16": 6,
    "bgr16": 6,
    "rgba16": 8,
    "bgra16": 8,
    "yuv422": 2,
    "yuv422_yuy2": 2,
    "uyvy": 2,
    "yuyv": 2,
    **{f"bayer_{pattern}8": 1 for pattern in ("rggb", "bggr", "gbrg", "grbg")},
    **{f"bayer_{pattern}16": 2 for pattern in ("rggb", "bggr", "gbrg", "grbg")},
}
SINGLE_CHANNEL = ("mono16", "8UC1", "16UC1", "16SC1", "32SC1", "32FC1", "64FC1")
COLOR_ENCODINGS = (*_VIEWS, *_CONVERTED)


class BadImage(MtpanoError):
    """An image that cannot be used; `reason` is one of diagnostics.SKIP_REASONS."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Panorama:
    """A picture of the whole sphere.

    pixels: uint8 [h, w, 3], rows possibly apart in memory. order: of its channels.
    size: (H, W) of the camera's image, larger than `pixels` where a JPEG was decoded smaller.
    """

    pixels: NDArray[np.uint8]
    order: Literal["rgb", "bgr"]
    size: tuple[int, int]


def read_image(message: Image, allow_non_2to1: bool = False) -> Panorama:
    """The panorama in a sensor_msgs/Image, or BadImage.

    rgb8, bgr8 and 8UC3 become views that share the message's memory; the other colour encodings
    are converted.
    """
    encoding = message.encoding
    if encoding in SINGLE_CHANNEL:
        raise single_channel(encoding)
    if encoding not in _VIEWS and encoding not in _CONVERTED:
        raise BadImage(
            "encoding",
            f"encoding {quoted(encoding)} is unknown, expected one of {', '.join(COLOR_ENCODINGS)}",
        )
    size = message.height, message.width
    check_size(size, allow_non_2to1)
    rows = _rows(message)
    if encoding not in _VIEWS:
        return Panorama(_converted(message, rows), "rgb", size)
    channels, order, to_three = _VIEWS[encoding]
    pixels = np.ndarray((*size, channels), np.uint8, rows, strides=(message.step, channels, 1))
    if to_three is not None:
        pixels = np.asarray(cv2.cvtColor(pixels, to_three), np.uint8)
    return Panorama(pixels, order, size)


def quoted(text: str) -> str:
    """Somebody else's string, fit for one line of a log."""
    return repr(text[:40])


def single_channel(encoding: str) -> BadImage:
    """The refusal of a depth or label image."""
    return BadImage(
        "single_channel",
        f"encoding '{encoding}' has a single channel, expected a colour panorama such as rgb8: "
        "is a depth topic wired to image?",
    )


def check_size(size: tuple[int, int], allow_non_2to1: bool) -> None:
    """BadImage unless (H, W) is a size that a panorama can have."""
    height, width = size
    if not height or not width or max(height, width / 2) > MAX_ROWS:
        raise BadImage(
            "size",
            f"the image is {width}x{height}, expected 1 to {MAX_ROWS} rows and twice as many "
            "columns",
        )
    if width != 2 * height and not allow_non_2to1:
        raise BadImage(
            "aspect",
            f"the image is {width}x{height}, expected an equirectangular 2:1 panorama; "
            "allow_non_2to1 takes it all the same",
        )


def _rows(message: Image) -> NDArray[np.uint8]:
    """The message's bytes, once `step` and their number are known to be right."""
    encoding, height, step = message.encoding, message.height, message.step
    pixel_bytes = _VIEWS[encoding][0] if encoding in _VIEWS else _CONVERTED[encoding]
    if step < message.width * pixel_bytes:
        raise BadImage(
            "step",
            f"step is {step}, expected at least {message.width * pixel_bytes} bytes for "
            f"{message.width} pixels of {encoding}",
        )
    data = np.frombuffer(message.data, np.uint8)
    if len(data) < height * step:
        raise BadImage(
            "data",
            f"the image has {len(data)} bytes, expected {height * step} for {height} rows of "
            f"{step}",
        )
    return data[: height * step]


def _converted(message: Image, rows: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """RGB by rosbags-image or cv_bridge, whichever works here, from rows without padding."""
    row_bytes = message.width * _CONVERTED[message.encoding]
    tight = SimpleNamespace(
        encoding=message.encoding,
        height=message.height,
        width=message.width,
        step=row_bytes,
        is_bigendian=message.is_bigendian,
        data=rows.reshape(message.height, message.step)[:, :row_bytes].tobytes(),
    )
    converters = _converters()
    if not converters:
        raise BadImage(
            "encoding",
            f"encoding '{message.encoding}' needs cv_bridge (apt install "
            "ros-$ROS_DISTRO-cv-bridge) or rosbags-image (pip install rosbags-image): install one, "
            "or let the driver publish rgb8",
        )
    for convert in converters:
        try:
            return np.ascontiguousarray(convert(tight), np.uint8)
        except Exception as error:  # each library raises errors of its own, and OpenCV's
            last = str(error).strip().splitlines()[-1:] or [type(error).__name__]
    raise BadImage(
        "encoding",
        f"an image of {message.width}x{message.height} in encoding '{message.encoding}' cannot be "
        f"converted to rgb8 ({last[0]}): let the driver publish rgb8",
    )


@lru_cache(maxsize=1)
def _converters() -> list[Callable[[Any], Any]]:
    """The libraries that are here, the one to be trusted most first."""
    found: list[Callable[[Any], Any]] = []
    try:
        from cv_bridge import CvBridge
    except (ImportError, AttributeError):
        pass
    else:
        bridge = CvBridge()
        found.append(lambda message: bridge.imgmsg_to_cv2(message, "rgb8"))
    try:
        from rosbags.image import image_to_cvimage
    except ImportError:
        pass
    else:
        # A distribution's cv_bridge was built for numpy 1; under numpy 2 it fails at the first
        # image, with an ImportError or a crash.
        first = 0 if np.lib.NumpyVersion(np.__version__) >= "2.0.0" else len(found)
        found.insert(first, lambda message: image_to_cvimage(message, "rgb8"))
    return found
