"""Arrays out of the messages that the node publishes; views where the layout allows it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtpano_model.errors import MtpanoError

# encoding -> (numpy type of a value, values a pixel)
ENCODINGS = {
    "32FC1": ("f4", 1),
    "32FC3": ("f4", 3),
    "16UC1": ("u2", 1),
    "mono8": ("u1", 1),
    "mono16": ("u2", 1),
    "rgb8": ("u1", 3),
}
# PointField.datatype -> numpy type
FIELD_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 8: "f8"}


def image_array(message: Any) -> NDArray[Any]:
    """[H, W] or [H, W, 3] of an Image in one of ENCODINGS, in the machine's byte order."""
    if message.encoding not in ENCODINGS:
        raise MtpanoError(
            f"encoding '{message.encoding}': expected one of {', '.join(ENCODINGS)} "
            "from a topic of the node"
        )
    kind, channels = ENCODINGS[message.encoding]
    order = ">" if message.is_bigendian else "<"
    dtype = np.dtype(order + kind)
    rows = np.frombuffer(message.data, np.uint8)[: message.height * message.step]
    rows = rows.reshape(message.height, message.step)[
        :, : message.width * channels * dtype.itemsize
    ]
    pixels = np.ascontiguousarray(rows).view(dtype)
    shape = (message.height, message.width, channels)[: 2 if channels == 1 else 3]
    return pixels.reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def depth_metres(message: Any) -> NDArray[np.float32]:
    """Depth [H, W] in metres of a 32FC1 image, or of 16UC1 millimetres, where 0 means NaN."""
    values = image_array(message)
    if message.encoding != "16UC1":
        return values
    metres = values * np.float32(1e-3)
    metres[values == 0] = np.nan
    return metres


def cloud_array(message: Any) -> NDArray[Any]:
    """Structured array [height, width] of a PointCloud2, a field of it for each of its fields."""
    order = ">" if message.is_bigendian else "<"
    point = np.dtype(
        {
            "names": [field.name for field in message.fields],
            "formats": [order + FIELD_TYPES[field.datatype] for field in message.fields],
            "offsets": [field.offset for field in message.fields],
            "itemsize": message.point_step,
        }
    )
    rows = np.frombuffer(message.data, np.uint8)[: message.height * message.row_step]
    rows = rows.reshape(message.height, message.row_step)[:, : message.width * message.point_step]
    return np.ascontiguousarray(rows).view(point).reshape(message.height, message.width)
