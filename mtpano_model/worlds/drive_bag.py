"""A rendered drive as an MCAP bag: pictures, depth, exact odometry and transforms."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtpano_model.errors import needed_module
from mtpano_model.geometry.sphere import about_axis
from mtpano_model.pictures.files import read_stored
from mtpano_model.robot.transforms import quaternion_of
from mtpano_model.worlds.drive import RATE_HZ
from mtpano_model.worlds.output import writable

PICTURES, DEPTH, ODOMETRY = "/image_raw/compressed", "/truth/depth", "/odom"
WORLD_FRAME, BASE_FRAME, CAMERA_FRAME = "odom", "base_link", "camera_optical_frame"
_START_NS = 1_700_000_000 * 10**9  # any fixed time: stamps of zero mean "none" to many programs


def write_drive_bag(folder: Path, entries: list[dict[str, Any]], target: Path) -> None:
    """Write the frames of one drive, in order, as a rosbag2 folder `target` with one MCAP file.

    entries: index lines with `camera_position_m`, `world_from_camera` and `base_xy_heading`.
    Odometry is that of base_link, on the floor below the camera, in odom, which is the world; its
    twist is in base_link, by central differences. The camera's pose on the robot follows from
    both, so it goes to /tf. /truth/depth is 16UC1, millimetres along the ray. MtpanoError if
    the library `rosbags` is missing or the disk refuses.
    """
    rosbag2 = needed_module("rosbags.rosbag2", "writing a bag")
    types = needed_module("rosbags.typesys", "writing a bag")
    store = types.get_typestore(types.Stores.ROS2_HUMBLE)
    make = _Messages(store)
    twists = _twists(np.array([e["base_xy_heading"] for e in entries]))
    plugin = rosbag2.StoragePlugin.MCAP
    half_done = target.with_name(f".{target.name}")
    shutil.rmtree(half_done, ignore_errors=True)
    with writable(folder):
        with rosbag2.Writer(half_done, version=9, storage_plugin=plugin) as writer:
            names = {
                PICTURES: "sensor_msgs/msg/CompressedImage",
                DEPTH: "sensor_msgs/msg/Image",
                ODOMETRY: "nav_msgs/msg/Odometry",
                "/tf": "tf2_msgs/msg/TFMessage",
            }
            connections = {
                topic: writer.add_connection(topic, kind, typestore=store)
                for topic, kind in names.items()
            }
            for number, (entry, twist) in enumerate(zip(entries, twists, strict=True)):
                stamp = _START_NS + round(number * 1e9 / RATE_HZ)
                messages = {
                    PICTURES: make.picture(folder / f"{entry['name']}.jpg", stamp),
                    DEPTH: make.depth(folder / f"{entry['name']}_depth.png", stamp),
                    ODOMETRY: make.odometry(entry, twist, stamp),
                    "/tf": make.transforms(entry, stamp),
                }
                for topic, message in messages.items():
                    data = store.serialize_cdr(message, names[topic])
                    writer.write(connections[topic], stamp, data)
        if target.exists():
            shutil.rmtree(target)
        (half_done / f"{half_done.name}.mcap").rename(half_done / f"{target.name}.mcap")
        metadata = half_done / "metadata.yaml"
        text = metadata.read_text(encoding="utf-8").replace(half_done.name, target.name)
        metadata.write_text(text, encoding="utf-8")
        half_done.rename(target)


class _Messages:
    """ROS messages of a drive, built with one type store."""

    def __init__(self, store: Any):
        self._types = store.types

    def _new(self, name: str, *values: Any) -> Any:
        package, kind = name.split("/")
        return self._types[f"{package}/msg/{kind}"](*values)

    def _header(self, stamp: int, frame: str) -> Any:
        time = self._types["builtin_interfaces/msg/Time"](stamp // 10**9, stamp % 10**9)
        return self._new("std_msgs/Header", time, frame)

    def _quaternion(self, rotation: NDArray[np.float64]) -> Any:
        return self._new("geometry_msgs/Quaternion", *quaternion_of(rotation).tolist())

    def picture(self, path: Path, stamp: int) -> Any:
        data = np.frombuffer(path.read_bytes(), np.uint8)
        return self._new(
            "sensor_msgs/CompressedImage", self._header(stamp, CAMERA_FRAME), "jpeg", data
        )

    def depth(self, path: Path, stamp: int) -> Any:
        depth = read_stored(path)
        height, width = depth.shape
        data = depth.astype("<u2").view(np.uint8).reshape(-1)
        header = self._header(stamp, CAMERA_FRAME)
        return self._new("sensor_msgs/Image", header, height, width, "16UC1", 0, 2 * width, data)

    def odometry(self, entry: dict[str, Any], twist: NDArray[np.float64], stamp: int) -> Any:
        x, y, heading = entry["base_xy_heading"]
        point = self._new("geometry_msgs/Point", x, y, 0.0)
        pose = self._new("geometry_msgs/Pose", point, self._quaternion(about_axis(2, heading)))
        linear = self._new("geometry_msgs/Vector3", float(twist[0]), float(twist[1]), 0.0)
        angular = self._new("geometry_msgs/Vector3", 0.0, 0.0, float(twist[2]))
        exact = np.zeros(36)
        return self._new(
            "nav_msgs/Odometry",
            self._header(stamp, WORLD_FRAME),
            BASE_FRAME,
            self._new("geometry_msgs/PoseWithCovariance", pose, exact),
            self._new(
                "geometry_msgs/TwistWithCovariance",
                self._new("geometry_msgs/Twist", linear, angular),
                exact,
            ),
        )

    def transforms(self, entry: dict[str, Any], stamp: int) -> Any:
        """odom -> base_link -> camera_optical_frame."""
        x, y, heading = entry["base_xy_heading"]
        base = about_axis(2, heading)
        offset = base.T @ (np.array(entry["camera_position_m"]) - (x, y, 0.0))
        camera = base.T @ np.array(entry["world_from_camera"])
        parts = (
            (WORLD_FRAME, BASE_FRAME, (x, y, 0.0), base),
            (BASE_FRAME, CAMERA_FRAME, offset, camera),
        )
        return self._new(
            "tf2_msgs/TFMessage",
            [
                self._new(
                    "geometry_msgs/TransformStamped",
                    self._header(stamp, parent),
                    child,
                    self._new(
                        "geometry_msgs/Transform",
                        self._new("geometry_msgs/Vector3", *map(float, place)),
                        self._quaternion(rotation),
                    ),
                )
                for parent, child, place, rotation in parts
            ],
        )


def _twists(base: NDArray[np.float64]) -> NDArray[np.float64]:
    """Forward, leftward and turning speeds of x, y, heading at 10 Hz, [n, 3]."""
    if len(base) < 2:
        return np.zeros((len(base), 3))
    rates = np.gradient(base, 1 / RATE_HZ, axis=0)
    c, s = np.cos(base[:, 2]), np.sin(base[:, 2])
    return np.stack(
        (c * rates[:, 0] + s * rates[:, 1], -s * rates[:, 0] + c * rates[:, 1], rates[:, 2]), 1
    )
