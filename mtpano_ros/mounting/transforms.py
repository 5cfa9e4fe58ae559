"""TF, as far as it is installed: look transforms up, and publish those that are ours alone.

tf2_ros where it is there; else, where tf2_msgs is, the small buffer of mtpano_model.robot. Without
either a look-up fails with a sentence, and our own frames are told in the log.
"""

from __future__ import annotations

import threading
import time
from typing import Any, Protocol

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Quaternion, TransformStamped, Vector3
from numpy.typing import NDArray
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.time import Time as ClockTime

from mtpano_model.robot.transforms import (
    NotYet,
    Transform,
    TransformBuffer,
    TransformError,
    make_transform,
    quaternion_of,
)
from mtpano_ros.topics import Topic, publisher_events, subscription_events

try:
    import tf2_ros
except ImportError:
    tf2_ros = None
try:
    from tf2_msgs.msg import TFMessage
except ImportError:
    TFMessage = None

# How long an image waits for its transform, once.
PATIENCE_SECONDS = 0.1
_POLL_SECONDS = 0.005
_ABSENT = (
    "neither tf2_ros nor tf2_msgs is installed, so that no transform is known: "
    "apt install ros-$ROS_DISTRO-tf2-ros-py"
)


def seconds_of(stamp: Time) -> float:
    """A ROS time in seconds."""
    return float(stamp.sec + stamp.nanosec * 1e-9)


def time_of(seconds: float) -> Time:
    """The other way."""
    sec, nanosec = divmod(round(seconds * 1e9), 10**9)
    return Time(sec=sec, nanosec=nanosec)


class Listener(Protocol):
    """What knows transforms."""

    def look_up(self, target: str, source: str, stamp: float | None) -> tuple[Transform, float]:
        """As TransformBuffer.look_up."""

    def close(self) -> None:
        """Listen no more."""


class Transforms:
    """Every method may be called from any thread; it listens from the first look-up on."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._lock = threading.Lock()
        self._listener: Listener | None = None
        self._missing: set[tuple[str, str]] = set()
        self._own: dict[str, TransformStamped] = {}
        self._lies: dict[str, tuple[str, bytes, bytes]] = {}  # what was said of them
        self._publishers: dict[str, Publisher] = {}
        self._told: set[str] = set()

    def look_up(self, target: str, source: str, stamp: float | None) -> tuple[Transform, float]:
        """What takes points of `source` to `target` at `stamp` (s), and for which time it holds.

        stamp: None for the newest. TransformError with a sentence where that is not known, NotYet
        where it may still come.
        """
        with self._lock:
            if self._listener is None:
                self._listener = _listener(self._node)
            listener = self._listener
        return listener.look_up(target, source, stamp)

    def wait_for(self, target: str, source: str, stamp: float) -> Transform:
        """As `look_up`; an image may come before its transform, so this waits a little for it.

        Once it has waited in vain, it does not wait again before the two frames have been joined.
        """
        key = target, source
        deadline = time.monotonic() + (0.0 if key in self._missing else PATIENCE_SECONDS)
        while True:
            try:
                found, _ = self.look_up(target, source, stamp)
            except NotYet:
                if time.monotonic() >= deadline:
                    self._missing.add(key)
                    raise
                time.sleep(_POLL_SECONDS)
            else:
                self._missing.discard(key)
                return found

    def publish(
        self,
        parent: str,
        child: str,
        turn: NDArray[Any],
        stamp: Time,
        static: bool = True,
        offset: NDArray[Any] | None = None,
    ) -> None:
        """Say on /tf_static or /tf how a frame of ours lies in its parent.

        turn: [3, 3], v_parent = turn @ v_child. offset: metres, its origin in the parent; None: the
        parent's own. A static one is sent when it is new or another one.
        """
        lies = parent, turn.tobytes(), b"" if offset is None else offset.tobytes()
        if not parent or (static and self._lies.get(child) == lies):
            return
        x, y, z, w = quaternion_of(turn)
        message = TransformStamped(child_frame_id=child)
        message.header.stamp, message.header.frame_id = stamp, parent
        x_there, y_there, z_there = (0.0, 0.0, 0.0) if offset is None else map(float, offset)
        message.transform.translation = Vector3(x=x_there, y=y_there, z=z_there)
        message.transform.rotation = Quaternion(x=x, y=y, z=z, w=w)
        if static:
            self._own[child], self._lies[child] = message, lies
        if TFMessage is None:
            self._tell_absence(message)
            return
        # A late subscriber gets the last message alone, so that it holds all of them.
        together = list(self._own.values()) if static else [message]
        self._publisher(static).publish(TFMessage(transforms=together))

    def close(self) -> None:
        """Listen and publish no more."""
        with self._lock:
            if self._listener is not None:
                self._listener.close()
            self._listener = None
        for publisher in self._publishers.values():
            self._node.destroy_publisher(publisher)
        self._publishers.clear()
        self._own.clear()
        self._lies.clear()

    def _publisher(self, static: bool) -> Publisher:
        topic = tf_topics()[static]
        if topic.name not in self._publishers:
            self._publishers[topic.name] = self._node.create_publisher(
                topic.type, topic.name, topic.qos, event_callbacks=publisher_events()
            )
        return self._publishers[topic.name]

    def _tell_absence(self, message: TransformStamped) -> None:
        child, turn = message.child_frame_id, message.transform.rotation
        if child not in self._told:
            self._told.add(child)
            self._node.get_logger().info(
                f"frame '{child}' is not published, since tf2_msgs is not installed: it turns "
                f"about the origin of '{message.header.frame_id}' by the quaternion (x y z w) "
                f"{turn.x:g} {turn.y:g} {turn.z:g} {turn.w:g}"
            )


def tf_topics() -> tuple[Topic, Topic]:
    """/tf and /tf_static; only where tf2_msgs is installed.

    Every publisher of static ones sends one message, so that a subscriber has to keep many.
    """
    return (
        Topic("/tf", TFMessage, depth=100),
        Topic("/tf_static", TFMessage, depth=100, latched=True),
    )


def _listener(node: Node) -> Listener:
    if tf2_ros is not None:
        return _Tf2(node)
    return _SmallBuffer(node) if TFMessage is not None else _Nothing()


class _Nothing:
    def look_up(self, target: str, source: str, stamp: float | None) -> tuple[Transform, float]:
        if target.lstrip("/") == source.lstrip("/"):
            return make_transform(np.array([0.0, 0, 0, 1]), np.zeros(3)), stamp or 0.0
        raise TransformError(_ABSENT)

    def close(self) -> None:
        pass


class _Tf2:
    """tf2's own buffer and listener."""

    def __init__(self, node: Node) -> None:
        self._buffer = tf2_ros.Buffer()
        self._listener = tf2_ros.TransformListener(self._buffer, node)

    def look_up(self, target: str, source: str, stamp: float | None) -> tuple[Transform, float]:
        moment = ClockTime() if stamp is None else ClockTime.from_msg(time_of(stamp))
        try:
            found = self._buffer.lookup_transform(target, source, moment)
        except tf2_ros.ExtrapolationException as error:
            past = "into the past" in str(error)
            raise (TransformError if past else NotYet)(str(error)) from None
        except tf2_ros.TransformException as error:
            raise NotYet(str(error)) from None
        # Of static ones alone the newest has the time 0.
        return transform_of(found), seconds_of(found.header.stamp) or float("inf")

    def close(self) -> None:
        self._listener.unregister()


class _SmallBuffer:
    def __init__(self, node: Node) -> None:
        self._node, self._buffer = node, TransformBuffer()
        group = ReentrantCallbackGroup()
        self._subscriptions = [
            node.create_subscription(
                topic.type,
                topic.name,
                self._taker(topic.latched),
                topic.qos,
                callback_group=group,
                event_callbacks=subscription_events(),
            )
            for topic in tf_topics()
        ]

    def look_up(self, target: str, source: str, stamp: float | None) -> tuple[Transform, float]:
        return self._buffer.look_up(target, source, stamp)

    def close(self) -> None:
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)

    def _taker(self, static: bool) -> Any:
        def take(message: Any) -> None:
            for one in message.transforms:
                try:
                    self._buffer.add(
                        one.header.frame_id,
                        one.child_frame_id,
                        transform_of(one),
                        seconds_of(one.header.stamp),
                        static,
                    )
                except TransformError as error:
                    self._node.get_logger().warning(
                        f"{'/tf_static' if static else '/tf'}: {error}", throttle_duration_sec=10.0
                    )

        return take


def transform_of(message: TransformStamped) -> Transform:
    """TransformError where its rotation is none."""
    rotation, translation = message.transform.rotation, message.transform.translation
    return make_transform(
        np.array([rotation.x, rotation.y, rotation.z, rotation.w]),
        np.array([translation.x, translation.y, translation.z]),
    )
