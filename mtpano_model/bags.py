"""Images out of a rosbag2 recording (sqlite3 or MCAP, raw or compressed), without ROS or torch.

The container is read with the library `rosbags`; pixels are decoded here because rows may be
padded (`step`) and because a robot's bag must never fail on one damaged picture.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mtpano_model.errors import MtpanoError

log = logging.getLogger(__name__)

RAW_TYPE = "sensor_msgs/msg/Image"
COMPRESSED_TYPE = "sensor_msgs/msg/CompressedImage"

# encoding -> (bytes a pixel, bytes a channel value, OpenCV conversion to RGB). ROS names a Bayer
# pattern by its first row, OpenCV by its second row's last two; hence the crossed names.
_ENCODINGS: dict[str, tuple[int, int, int | None]] = {
    "rgb8": (3, 1, None),
    "bgr8": (3, 1, cv2.COLOR_BGR2RGB),
    "8UC3": (3, 1, cv2.COLOR_BGR2RGB),
    "rgba8": (4, 1, cv2.COLOR_RGBA2RGB),
    "bgra8": (4, 1, cv2.COLOR_BGRA2RGB),
    "8UC4": (4, 1, cv2.COLOR_BGRA2RGB),
    "mono8": (1, 1, cv2.COLOR_GRAY2RGB),
    "8UC1": (1, 1, cv2.COLOR_GRAY2RGB),
    "rgb16": (6, 2, None),
    "bgr16": (6, 2, cv2.COLOR_BGR2RGB),
    "rgba16": (8, 2, cv2.COLOR_RGBA2RGB),
    "bgra16": (8, 2, cv2.COLOR_BGRA2RGB),
    "mono16": (2, 2, cv2.COLOR_GRAY2RGB),
    "yuv422": (2, 1, cv2.COLOR_YUV2RGB_UYVY),
    "uyvy": (2, 1, cv2.COLOR_YUV2RGB_UYVY),
    "yuv422_yuy2": (2, 1, cv2.COLOR_YUV2RGB_YUY2),
    "yuyv": (2, 1, cv2.COLOR_YUV2RGB_YUY2),
    "bayer_rggb8": (1, 1, cv2.COLOR_BayerBG2RGB),
    "bayer_bggr8": (1, 1, cv2.COLOR_BayerRG2RGB),
    "bayer_gbrg8": (1, 1, cv2.COLOR_BayerGR2RGB),
    "bayer_grbg8": (1, 1, cv2.COLOR_BayerGB2RGB),
    "bayer_rggb16": (2, 2, cv2.COLOR_BayerBG2RGB),
    "bayer_bggr16": (2, 2, cv2.COLOR_BayerRG2RGB),
    "bayer_gbrg16": (2, 2, cv2.COLOR_BayerGR2RGB),
    "bayer_grbg16": (2, 2, cv2.COLOR_BayerGB2RGB),
}


@dataclass(frozen=True)
class BagImages:
    """One image topic: its name, recorded messages (damaged ones included), the bag's seconds."""

    topic: str
    count: int
    seconds: float


@dataclass(frozen=True)
class BagPicture:
    """One recorded message.

    stamp: nanoseconds, the header's, or the time of recording where the header has none or is
        damaged.
    decode: gives RGB uint8 [H, W, 3]; ValueError where it is damaged (its neighbours may be fine),
        MtpanoError for an encoding that is no picture.
    """

    stamp: int
    decode: Callable[[], NDArray[np.uint8]]


def find_images(bag_path: str | Path, topic: str | None = None) -> BagImages:
    """The pictures of one topic: the given one, or the bag's only one.

    A `<name>/compressed` twin of a raw topic does not count as a second one. MtpanoError names the
    topics the bag has.
    """
    with _opened(bag_path) as reader:
        name = _choose_topic(reader, bag_path, topic)
        count = sum(c.msgcount for c in reader.connections if c.topic == name)
        return BagImages(name, count, reader.duration * 1e-9)


def read_images(
    bag_path: str | Path, topic: str | None = None
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Yield (stamp in nanoseconds, RGB uint8 [H, W, 3]) of one topic in recorded order.

    bag_path: the bag's folder (with metadata.yaml) or a single .mcap / .db3 file.
    topic: image topic; None takes the only one (see `find_images`).

    A picture that cannot be decoded is skipped with a warning. Raises MtpanoError for an unreadable
    bag, a missing topic or an encoding that is no picture.
    """
    topic = find_images(bag_path, topic).topic
    for picture in read_pictures(bag_path, topic):
        try:
            rgb = picture.decode()
        except ValueError as damage:
            log.warning("%s: skipped a picture of %s at %d ns: %s", bag_path, topic, picture.stamp,
                        damage)  # fmt: skip
            continue
        yield picture.stamp, rgb


def read_pictures(bag_path: str | Path, topic: str | None = None) -> Iterator[BagPicture]:
    """Every recorded message of one topic, still encoded; arguments and errors as `read_images`."""
    from rosbags.typesys import Stores, get_typestore  # seconds of import, only when a bag is read

    store = get_typestore(Stores.ROS2_HUMBLE)
    with _opened(bag_path) as reader:
        name = _choose_topic(reader, bag_path, topic)
        connections = [c for c in reader.connections if c.topic == name]
        messages = reader.messages(connections)
        while True:
            with _readable(bag_path):
                item = next(messages, None)
            if item is None:
                return
            connection, recorded, raw = item
            try:
                with _decodable():
                    message: Any = store.deserialize_cdr(raw, connection.msgtype)
            except ValueError as damage:
                yield BagPicture(recorded, partial(_fail, damage))
                continue
            stamp = message.header.stamp
            stamp_ns = stamp.sec * 1_000_000_000 + stamp.nanosec
            yield BagPicture(stamp_ns or recorded, partial(_decode, message))


def _fail(damage: ValueError) -> NDArray[np.uint8]:
    raise damage


def _decode(message: Any) -> NDArray[np.uint8]:
    with _decodable():
        return decode_image(message)


def decode_image(message: Any) -> NDArray[np.uint8]:
    """RGB uint8 [H, W, 3] of a sensor_msgs Image or CompressedImage (any object with its fields).

    16-bit pictures keep their upper byte. MtpanoError names an unknown encoding; ValueError says
    that the data are damaged.
    """
    data = np.frombuffer(message.data, np.uint8)
    if hasattr(message, "format"):
        try:
            bgr = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
        except cv2.error as error:  # of a header that promises more than 2^30 pixels
            raise ValueError(f"the decoder refuses it ({error.err})") from error
        if bgr is None:
            raise ValueError(f"{data.size} bytes of format '{message.format}' are no picture")
        return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)  # type: ignore[return-value]
    if message.encoding not in _ENCODINGS:
        raise MtpanoError(
            f"image encoding '{message.encoding}' is not supported: "
            f"expected one of {', '.join(_ENCODINGS)}"
        )
    pixel_bytes, value_bytes, conversion = _ENCODINGS[message.encoding]
    height, width = message.height, message.width
    row = width * pixel_bytes
    step = message.step or row
    if not height or not width or step < row or data.size < height * step:
        raise ValueError(f"{data.size} bytes do not hold {height} rows of {step} bytes")
    pixels = data[: height * step].reshape(height, step)[:, :row]
    if value_bytes == 2:
        pixels = pixels[:, (0 if message.is_bigendian else 1) :: 2]
    channels = pixel_bytes // value_bytes
    pixels = np.ascontiguousarray(pixels).reshape(height, width, channels)
    return pixels if conversion is None else cv2.cvtColor(pixels, conversion)  # type: ignore


def _image_topics(reader: Any) -> dict[str, str]:
    return {
        c.topic: c.msgtype for c in reader.connections if c.msgtype in (RAW_TYPE, COMPRESSED_TYPE)
    }


def _choose_topic(reader: Any, bag_path: str | Path, topic: str | None) -> str:
    images = _image_topics(reader)
    listing = ", ".join(f"{name} ({kind})" for name, kind in sorted(images.items()))
    if not images:
        have = ", ".join(sorted({c.topic for c in reader.connections})) or "none at all"
        raise MtpanoError(
            f"bag {bag_path} has no image topic (its topics: {have}): record one, for example "
            "with `ros2 bag record /image_raw/compressed`"
        )
    if topic is None:
        single = [t for t in images if t.removesuffix("/compressed") == t
                  or t.removesuffix("/compressed") not in images]  # fmt: skip
        if len(single) > 1:
            raise MtpanoError(
                f"bag {bag_path} has several image topics: name one with --topic: {listing}"
            )
        return single[0]
    if topic not in images:
        raise MtpanoError(f"bag {bag_path} has no image topic '{topic}': its own are {listing}")
    return topic


@contextmanager
def _opened(bag_path: str | Path) -> Iterator[Any]:
    try:
        from rosbags.rosbag2 import Reader
    except ImportError:
        raise MtpanoError(
            "reading a bag needs the library 'rosbags': install it with `pip install rosbags`"
        ) from None
    path = Path(bag_path)
    if not path.exists():
        raise MtpanoError(f"bag '{bag_path}' does not exist: give a rosbag2 folder or .mcap file")
    with _readable(path):
        reader = Reader(path)
        reader.open()
    try:
        yield reader
    finally:
        reader.close()


@contextmanager
def _readable(path: str | Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        # rosbags lets through whatever sqlite3, zstd, lz4, struct and yaml raise on damaged files.
        raise MtpanoError(
            f"bag '{path}' cannot be read ({type(error).__name__}: {error}): if its recording was "
            "cut off, mend it with `ros2 bag reindex` or `mcap recover`"
        ) from error


@contextmanager
def _decodable() -> Iterator[None]:
    try:
        yield
    except (MtpanoError, ValueError):
        raise
    except Exception as error:
        # The CDR reader raises anything from IndexError to struct.error on damaged bytes.
        raise ValueError(f"{type(error).__name__}: {error}") from error
