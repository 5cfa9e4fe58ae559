"""Arrays -> messages, written straight into the memory that the messages carry.

rclpy sends an `array.array('B')` as it is; a numpy array or bytes would be copied value by value.
"""

from __future__ import annotations

import array
import math
import sys
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header

from mtpano_model.classes import ClassSet
from mtpano_ros.point_cloud import FIELDS, POINT_STEP

BIG_ENDIAN = sys.byteorder == "big"
# Since Jazzy a message copies an array.array that it is given, unless it checks its fields. Humble
# always checks and has no such argument.
_BY_REFERENCE = {"check_fields": True} if "_check_fields" in Image.__slots__ else {}


class Buffer:
    """Memory that a message can carry and numpy can write; kept while the size stays the same."""

    def __init__(self) -> None:
        self.bytes = array.array("B")

    def view(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """The whole buffer as an array of this shape and type; its old content is void."""
        size = math.prod(shape) * np.dtype(dtype).itemsize
        if len(self.bytes) != size:
            self.bytes = array.array("B", [0]) * size
        return np.frombuffer(self.bytes, dtype).reshape(shape)


def image_message(header: Header, encoding: str, size: tuple[int, int], buffer: Buffer) -> Image:
    """An Image of `size` (H, W) around a filled buffer, without a copy."""
    message = Image(**_BY_REFERENCE)
    message.header, message.encoding = header, encoding
    message.height, message.width = size
    message.is_bigendian = BIG_ENDIAN
    message.step = len(buffer.bytes) // size[0]
    message.data = buffer.bytes
    return message


def cloud_message(
    header: Header, size: tuple[int, int], data: array.array[int], dense: bool
) -> PointCloud2:
    """A PointCloud2 of `size` (rows, columns) around packed points; dense: none of them is NaN."""
    message = PointCloud2(**_BY_REFERENCE)
    message.header, message.fields = header, FIELDS
    message.height, message.width = size
    message.is_bigendian = BIG_ENDIAN
    message.point_step = POINT_STEP
    message.row_step = POINT_STEP * size[1]
    message.is_dense = dense
    message.data = data
    return message


def camera_info(header: Header, size: tuple[int, int]) -> CameraInfo:
    """The sphere as a camera: K holds pixels per radian of longitude and latitude.

    column = fx lon + cx and row = cy - fy lat, where integer + 0.5 is a pixel's centre. D is empty
    and P zero, since no pinhole model holds.
    """
    height, width = size
    fx, fy = width / (2 * math.pi), height / math.pi
    return CameraInfo(
        header=header,
        height=height,
        width=width,
        distortion_model="equirectangular",
        d=[],
        k=[fx, 0.0, width / 2, 0.0, fy, height / 2, 0.0, 0.0, 1.0],
        r=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
    )


def label_info(header: Header, classes: ClassSet) -> Any:
    """A vision_msgs/LabelInfo: id -> name. Call only where vision_msgs is installed."""
    from vision_msgs.msg import LabelInfo, VisionClass

    return LabelInfo(
        header=header,
        class_map=[
            VisionClass(class_id=index, class_name=name) for index, name in enumerate(classes.names)
        ],
        threshold=0.0,
    )


def millimetres(depth: NDArray[np.float32], out: NDArray[np.uint16]) -> None:
    """Metres -> REP-118's 16UC1: rounded, 0 where unknown, not finite or beyond 65.535 m."""
    scaled = depth * np.float32(1000)
    np.rint(scaled, out=scaled)
    scaled[~((scaled >= 0) & (scaled <= 65535))] = 0
    np.copyto(out, scaled, casting="unsafe")
