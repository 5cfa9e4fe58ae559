"""Makes messages without their large data, which stay in a buffer; serialized.py sends both."""

from __future__ import annotations

import array
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import Image, PointCloud2, PointField
from std_msgs.msg import Header

from mtpano_ros.outputs.point_cloud import FIELDS
from mtpano_ros.outputs.serialized import Buffer

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


def label_encoding(kind: np.dtype[Any]) -> str:
    """The encoding of an image of class ids."""
    return "mono8" if kind.itemsize == 1 else "mono16"


def cloud_message(
    header: Header, size: tuple[int, int], fields: list[PointField] = FIELDS
) -> PointCloud2:
    """An organised PointCloud2 of `size` (rows, columns) whose points are in a buffer.

    fields: of four bytes each, side by side.
    """
    message = PointCloud2(header=header, fields=fields, is_bigendian=BIG_ENDIAN, **_BY_REFERENCE)
    message.height, message.width = size
    message.point_step = 4 * len(fields)
    message.row_step = message.point_step * size[1]
    message.is_dense = False
    return message


def dense_cloud_message(
    header: Header, points: NDArray[np.float32], fields: list[PointField] = FIELDS
) -> PointCloud2:
    """A PointCloud2 that carries points [n, fields] of which none is NaN."""
    message = cloud_message(header, (1, len(points)), fields)
    message.is_dense = True
    # A numpy array or bytes would be copied value by value.
    message.data = array.array("B", points.tobytes())
    return message
