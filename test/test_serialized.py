"""Messages serialized in place are what rclpy makes of them, and what a subscriber reads."""

from __future__ import annotations

import array
from types import SimpleNamespace
from unittest.mock import MagicMock

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: source ROS 2 or install extra 'ros'")

import rclpy
from node_harness import wait_until
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import Image, PointCloud2
from std_msgs.msg import Header

from mtpano_ros.outputs import messages, serialized
from mtpano_ros.outputs.serialized import Buffer


def filled(size: tuple[int, ...] = (6, 8)) -> Buffer:
    buffer = Buffer()
    buffer.view(size, np.float32)[...] = np.random.default_rng(0).random(size, np.float32)
    return buffer


def of_kind(kind: str, frame_id: str, buffer: Buffer) -> Image | PointCloud2:
    header = Header(frame_id=frame_id)
    if kind == "cloud":
        return messages.cloud_message(header, (buffer.size // 64, 2))
    return messages.image_message(header, "32FC1", (6, 8), buffer)


@pytest.mark.parametrize("kind", ["image", "cloud"])
@pytest.mark.parametrize("frame_id", ["", "c", "cam", "front/camera_optical_frame", "\u00fcber"])
def test_rclpy_reads_the_message_that_it_would_have_written(kind, frame_id):
    buffer = filled()
    message = of_kind(kind, frame_id, buffer)
    ours = serialized.serialized(message, buffer)
    assert ours is not None
    message.data = array.array("B", buffer.data.tobytes())
    assert len(ours) == len(serialize_message(message))
    assert deserialize_message(ours.tobytes(), type(message)) == message
    assert np.shares_memory(ours, buffer.data), "nothing was copied"


def test_data_are_aligned_for_vector_instructions():
    for rows in (1, 3, 7):
        assert filled((rows, 5)).data.ctypes.data % 64 == 0


def test_a_name_too_long_for_the_room_is_left_to_rclpy():
    buffer = filled()
    assert serialized.serialized(of_kind("image", "x" * 2000, buffer), buffer) is None


@pytest.mark.parametrize("way", ["in place", "long name", "no rcl", "other serialization"])
def test_a_subscriber_gets_what_was_in_the_buffer(monkeypatch, way):
    if way == "no rcl":
        monkeypatch.setattr(serialized, "_rcl", lambda: None)
    if way == "other serialization":
        monkeypatch.setattr(serialized, "_bytes_behind_data", lambda _: None)
    frame_id = "x" * 2000 if way == "long name" else "cam"
    context = Context()
    context.init()
    node = rclpy.create_node("sender", context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    received = []
    try:
        publisher = node.create_publisher(PointCloud2, "cloud", 3)
        node.create_subscription(PointCloud2, "cloud", received.append, 3)
        wait_until(publisher.get_subscription_count, what="the subscriber is matched")
        buffer = filled()
        for _ in range(3):
            serialized.publish(publisher, of_kind("cloud", frame_id, buffer), buffer)
            executor.spin_once(timeout_sec=5)
        assert len(received) == 3
        for message in received:
            assert message.header.frame_id == frame_id
            assert bytes(message.data) == buffer.data.tobytes()
            assert not message.is_dense
    finally:
        executor.shutdown()
        node.destroy_node()
        context.shutdown()


def test_what_rcl_refuses_is_an_error_that_names_the_topic(monkeypatch):
    refusing = SimpleNamespace(
        rcl_publish_serialized_message=lambda *_: 300, rcutils_reset_error=lambda: None
    )
    monkeypatch.setattr(serialized, "_rcl", lambda: refusing)
    publisher = SimpleNamespace(topic_name="/cloud", handle=MagicMock())
    buffer = filled()
    with pytest.raises(RuntimeError, match="/cloud was not published, rcl's code is 300"):
        serialized.publish(publisher, of_kind("cloud", "cam", buffer), buffer)
