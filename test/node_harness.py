"""A PanoNode in a context of its own, and a robot around it that talks to it over real DDS."""

from __future__ import annotations

import array
import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rcl_interfaces.msg import Log
from rclpy.context import Context
from rclpy.executors import MultiThreadedExecutor, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import CompressedImage, Image

from mtpano_ros.node import PanoNode
from mtpano_ros.outputs.table import IMAGE_TOPICS

DISCOVERY = 30.0  # seconds; DDS repeats what a busy machine lost every 3 s
WARNING = 30  # rcl_interfaces/Log: WARN; a byte in some distributions, a number in others
_NUMBERS = itertools.count()
LOG_QOS = QoSProfile(depth=1000, durability=DurabilityPolicy.TRANSIENT_LOCAL)  # of /rosout
TYPES = {name: topic.type for name, topic in IMAGE_TOPICS.items()}


def parameters(**values: Any) -> list[Parameter]:
    """Overrides as a launch file gives them; the dots in their names are written `__` here."""
    return [Parameter(name.replace("__", "."), value=value) for name, value in values.items()]


def wait_until(condition: Callable[[], Any], timeout: float = 10.0, what: str = "") -> Any:
    """The condition's value once it is true; AssertionError after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {timeout} s: {what or condition}"
        time.sleep(0.005)
    return value


def image(
    rgb: np.ndarray | None = None, stamp: int = 0, encoding: str = "rgb8", **changes: Any
) -> Image:
    """An Image of `rgb` (a small gradient by default); `changes` overwrite its fields."""
    pixels = gradient() if rgb is None else rgb
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    message = Image(height=pixels.shape[0], width=pixels.shape[1], encoding=encoding)
    message.step = pixels.shape[1] * channels * pixels.itemsize
    message.data = array.array("B", pixels.tobytes())
    return stamped(message, stamp, **changes)


def compressed(
    data: bytes | None = None, stamp: int = 0, form: str = "rgb8; jpeg compressed bgr8"
) -> CompressedImage:
    """A CompressedImage, of the gradient as JPEG by default."""
    content = jpeg(gradient()) if data is None else data
    return stamped(CompressedImage(format=form, data=array.array("B", content)), stamp)


def stamped(message: Any, stamp: int, **changes: Any) -> Any:
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp or time.time_ns(), 10**9)
    message.header.frame_id = "camera_optical_frame"
    for name, value in changes.items():
        setattr(message, name, value)
    return message


def gradient(height: int = 64) -> np.ndarray:
    """RGB [height, 2 height, 3]: smooth, and different in every direction."""
    rows, columns = np.mgrid[:height, : 2 * height]
    planes = [columns * 127 // height, rows * 255 // height, (rows + columns) * 85 // height]
    return np.stack(planes, axis=-1).astype(np.uint8)


def jpeg(rgb: np.ndarray, quality: int = 95) -> bytes:
    found, data = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert found
    return data.tobytes()


class Robot:
    """The world around one node: publishes images, collects outputs and diagnostics."""

    def __init__(self, node: PanoNode, world: Node) -> None:
        self.node, self.world = node, world
        self.received: dict[str, list[Any]] = {}
        self.diagnostics: list[DiagnosticArray] = []
        self.logs: list[Log] = []
        world.create_subscription(DiagnosticArray, "/diagnostics", self.diagnostics.append, 10)
        world.create_subscription(Log, "/rosout", self.logs.append, LOG_QOS)
        self._cameras: dict[type, Any] = {}

    def activate(self) -> None:
        """Configure and activate, both of which must succeed."""
        assert self.node.trigger_configure().name == "SUCCESS"
        assert self.node.trigger_activate().name == "SUCCESS"

    def listen(self, *names: str, qos: QoSProfile | int = 10, matched: bool = True) -> Any:
        """Subscribe to outputs; returns the last subscription, once it is matched."""
        subscription = None
        for name in names or TYPES:
            kept = self.received.setdefault(name, [])
            subscription = self.world.create_subscription(TYPES[name], name, kept.append, qos)
            if matched:
                topic = subscription.topic_name
                found = subscription.get_publisher_count
                wait_until(lambda t=topic: self._subscribers(t), DISCOVERY, f"a match on {topic}")
                wait_until(found, DISCOVERY, f"the writer of {topic}")
        return subscription

    def _subscribers(self, topic: str) -> int:
        found = [p for p in self.node.publishers if p.topic_name == topic]
        return sum(p.get_subscription_count() for p in found)

    def send(self, message: Any) -> None:
        """Publish an image once the node listens."""
        kind = type(message)
        if kind not in self._cameras:
            name = "image" if kind is Image else "image/compressed"
            self._cameras[kind] = self.world.create_publisher(kind, name, qos_profile_sensor_data)
        camera = self._cameras[kind]
        wait_until(camera.get_subscription_count, DISCOVERY, "the node listens")
        # The camera may know the node's reader before that knows the camera, and best effort loses
        # what comes in between.
        wait_until(self._cameras_found, DISCOVERY, "the node has found the cameras")
        camera.publish(message)

    def _cameras_found(self) -> bool:
        subscription = self.subscription
        if subscription is None:
            return False
        topics = [publisher.topic_name for publisher in self.world.publishers]
        return subscription.get_publisher_count() >= topics.count(subscription.topic_name)

    @property
    def subscription(self) -> Any:
        """The node's to the camera; None while nobody listens to an output."""
        listening = self.node._listening
        return listening.intake.subscription if listening and listening.intake else None

    def count(self, name: str) -> int:
        """A count of /diagnostics, read where it is kept."""
        return self.node._statistics.counts()[name]

    def outputs(self, name: str, number: int, timeout: float = 10.0) -> list[Any]:
        """The messages of an output, once there are `number` of them."""
        kept = self.received[name]
        wait_until(lambda: len(kept) >= number, timeout, f"{number} x {name}, got {len(kept)}")
        return kept

    def process(self, message: Any) -> None:
        """Send one image and wait until it has gone through or been refused."""
        done = self._done()
        self.send(message)
        wait_until(lambda: self._done() > done, what="the image is dealt with")

    def _done(self) -> int:
        counts = self.node._statistics.counts()
        return counts["received"] - counts["pending"]

    def said(self, text: str) -> list[str]:
        """The warnings and errors so far that contain `text`."""
        return [log.msg for log in self.logs if log.level >= WARNING and text in log.msg]

    def values(self, subject: str) -> dict[str, str]:
        """Keys and values of the latest diagnostics of `engine`, `frames`, `latency` or
        `geometry`."""
        return {value.key: value.value for value in self._status(subject).values}

    def level(self, subject: str) -> bytes:
        """The level of the same."""
        return self._status(subject).level

    def message(self, subject: str) -> str:
        """The message of the same."""
        return self._status(subject).message

    def _status(self, subject: str) -> DiagnosticStatus:
        wait_until(lambda: self.diagnostics, what="the first diagnostics")
        return next(s for s in self.diagnostics[-1].status if s.name.endswith(f": {subject}"))


@contextlib.contextmanager
def spinning(node: Node, executor: Any) -> Iterator[None]:
    executor.add_node(node)
    stop = threading.Event()

    def spin() -> None:
        while not stop.is_set():
            executor.spin_once(timeout_sec=0.05)

    thread = threading.Thread(target=spin, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        executor.shutdown()


@contextlib.contextmanager
def robot(
    model: Path | str, name: str = "", namespace: str = "/mtpano", **values: Any
) -> Iterator[Robot]:
    """A node with these parameters, spinning, autostart off unless asked for."""
    # rcl keeps one /rosout publisher a name, even across contexts.
    name = name or f"pano_node_{next(_NUMBERS)}"
    inside, outside = Context(), Context()
    rclpy.init(context=inside)
    rclpy.init(context=outside)
    given = {"model": str(model), "autostart": False, **values}
    node = PanoNode(
        name, context=inside, namespace=namespace, parameter_overrides=parameters(**given)
    )
    world = Node("world", context=outside, namespace=namespace)
    try:
        with (
            spinning(node, MultiThreadedExecutor(4, context=inside)),
            spinning(world, SingleThreadedExecutor(context=outside)),
        ):
            try:
                yield Robot(node, world)
            finally:
                node.close()
    finally:
        for one, context in ((node, inside), (world, outside)):
            one.destroy_node()
            rclpy.shutdown(context=context)
