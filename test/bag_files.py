"""Small bags of pictures, written by `rosbags`; tests that need them are skipped without it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

rosbag2 = pytest.importorskip("rosbags.rosbag2")
typesys = pytest.importorskip("rosbags.typesys")

STORE = typesys.get_typestore(typesys.Stores.ROS2_HUMBLE)
T = STORE.types


def header(stamp_ns: int):
    time = T["builtin_interfaces/msg/Time"](stamp_ns // 10**9, stamp_ns % 10**9)
    return T["std_msgs/msg/Header"](time, "camera")


def raw(rgb: np.ndarray, stamp_ns: int = 0, encoding: str = "rgb8", padding: int = 0):
    height, width = rgb.shape[:2]
    pixels = rgb if encoding == "rgb8" else rgb[..., ::-1]
    rows = np.pad(pixels.reshape(height, -1), ((0, 0), (0, padding)))
    return T["sensor_msgs/msg/Image"](
        header(stamp_ns), height, width, encoding, 0, rows.shape[1], rows.ravel()
    )


def compressed(rgb: np.ndarray, stamp_ns: int = 0):
    data = cv2.imencode(".png", rgb[..., ::-1])[1].ravel()
    return T["sensor_msgs/msg/CompressedImage"](header(stamp_ns), "png", data)


def write_bag(
    path: Path, messages: dict[str, list], storage: str = "SQLITE3", as_stamped: bool = False
) -> Path:
    """One message of a topic a second, or as_stamped: each at its stamp."""
    plugin = rosbag2.StoragePlugin[storage]
    with rosbag2.Writer(path, version=9, storage_plugin=plugin) as writer:
        for topic, items in messages.items():
            kind = items[0].__msgtype__
            connection = writer.add_connection(topic, kind, typestore=STORE)
            for i, item in enumerate(items):
                time = (i + 1) * 10**9
                if as_stamped:
                    time = item.header.stamp.sec * 10**9 + item.header.stamp.nanosec
                writer.write(connection, time, STORE.serialize_cdr(item, kind))
    return path
