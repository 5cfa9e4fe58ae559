"""Arrays -> messages. Large data stay in a buffer, from which serialized.py sends them."""

from __future__ import annotations

import array
import math
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header

from mtpano_model.classes import ClassSet
from mtpano_ros.point_cloud import FIELDS, POINT_STEP
from mtpano_ros.serialized import Buffer

BIG_ENDIAN = sys.byteorder == "big"
# Since Jazzy a message copies an array.array that it is given, unless it checks its fields. Humble
# always checks and has no such argument.
_BY_REFERENCE = {"check_fields": True} if "_check_fields" in Image.__slots__ else {}


def image_message(header: Header, encoding: str, size: tuple[int, int], buffer: Buffer) -> Image:
    """An Image of `size` (H, W) whose data are in a buffer."""
    message = Image(header=header, encoding=encoding, is_bigendian=BIG_ENDIAN)
    message.height, message.width = size
    message.step = buffer.size // size[0]
    return message


def cloud_message(header: Header, size: tuple[int, int]) -> PointCloud2:
    """An organised PointCloud2 of `size` (rows, columns) whose points are in a buffer."""
    message = PointCloud2(header=header, fields=FIELDS, is_bigendian=BIG_ENDIAN, **_BY_REFERENCE)
    message.height, message.width = size
    message.point_step = POINT_STEP
    message.row_step = POINT_STEP * size[1]
    message.is_dense = False
    return message


def dense_cloud_message(header: Header, points: NDArray[np.float32]) -> PointCloud2:
    """A PointCloud2 that carries points [n, 8] of which none is NaN."""
    message = cloud_message(header, (1, len(points)))
    message.is_dense = True
    # A numpy array or bytes would be copied value by value.
    message.data = array.array("B", points.tobytes())
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
