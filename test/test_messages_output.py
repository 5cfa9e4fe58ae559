"""Arrays -> messages: what a consumer reads is what was meant."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from types import ModuleType

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: source ROS 2 or install extra 'ros'")

from std_msgs.msg import Header

from mtpano_model.classes import load_class_set
from mtpano_ros.outputs import messages
from mtpano_ros.outputs.camera_info import camera_info
from mtpano_ros.outputs.label_info import label_info
from mtpano_ros.outputs.serialized import Buffer


def test_camera_info_of_a_sphere_is_no_pinhole_for_anybody():
    info = camera_info(Header(frame_id="cam"), (32, 64))
    assert (info.width, info.height, info.distortion_model) == (64, 32, "equirectangular")
    assert list(info.d) == []
    # nvblox reads k[0], k[4]; RViz divides by p[0], p[5]; ROS calls k[0] == 0 uncalibrated.
    for matrix in (info.k, info.r, info.p):
        assert not np.any(matrix)


def test_an_image_message_tells_the_layout_of_its_buffer():
    buffer = Buffer()
    buffer.view((4, 8), np.float32)
    message = messages.image_message(Header(frame_id="cam"), "32FC1", (4, 8), buffer)
    assert (message.height, message.width, message.step) == (4, 8, 32)
    assert (message.header.frame_id, message.encoding) == ("cam", "32FC1")


def test_cloud_messages_tell_the_layout_of_their_points():
    message = messages.cloud_message(Header(), (4, 8))
    assert (message.height, message.width, message.is_dense) == (4, 8, False)
    assert (message.point_step, message.row_step) == (32, 256)
    points = np.full((5, 8), 1.5, np.float32)
    dense = messages.dense_cloud_message(Header(), points)
    assert (dense.height, dense.width, dense.row_step, dense.is_dense) == (1, 5, 160, True)
    assert bytes(dense.data) == points.tobytes()


def test_a_buffer_keeps_its_memory_until_the_size_changes():
    buffer = Buffer()
    first = buffer.view((4, 8), np.float32)
    first[...] = 1
    assert (buffer.view((8, 4), np.float32) == 1).all()
    assert buffer.view((2, 2, 3), np.uint8).shape == (2, 2, 3)
    assert buffer.size == 12


def test_label_info_names_every_class(monkeypatch):
    @dataclass
    class VisionClass:
        class_id: int
        class_name: str

    @dataclass
    class LabelInfo:
        header: Header
        class_map: list
        threshold: float

    package, module = ModuleType("vision_msgs"), ModuleType("vision_msgs.msg")
    module.VisionClass, module.LabelInfo = VisionClass, LabelInfo
    monkeypatch.setitem(sys.modules, "vision_msgs", package)
    monkeypatch.setitem(sys.modules, "vision_msgs.msg", module)
    classes = load_class_set("indoor18")
    info = label_info(Header(), classes)
    assert {one.class_id: one.class_name for one in info.class_map} == dict(
        enumerate(classes.names)
    )
