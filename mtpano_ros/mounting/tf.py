"""TF by tf2_ros if it is installed, or else by a small buffer that needs only tf2_msgs."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from geometry_msgs.msg import TransformStamped
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from rclpy.time import Time as ClockTime

from mtpano_model.errors import on_one_line
from mtpano_model.robot.transforms import (
    NotYet,
    Transform,
    TransformBuffer,
    TransformError,
    make_transform,
)
from mtpano_ros.mounting.ros_time import seconds_of, time_of
from mtpano_ros.topics import Topic

try:
    import tf2_ros
except ImportError:
    tf2_ros = None
try:
    from tf2_msgs.msg import TFMessage
except ImportError:
    TFMessage = None

_ABSENT = (
    "no transform can be looked up, since neither tf2_ros nor tf2_msgs is installed: apt install "
    "ros-$ROS_DISTRO-tf2-ros-py"
)


class Listener(Protocol):
    """The interface of a TF listener."""

    def look_up(self, target: str, source: str, stamp: float | None) -> tuple[Transform, float]:
        """As TransformBuffer.look_up."""

    def close(self) -> None:
        """Destroy the subscriptions."""


def tf_topics() -> tuple[Topic, Topic]:
    """/tf and /tf_static; only where tf2_msgs is installed.

    Every publisher of static ones sends one message, so that a subscriber has to keep many.
    """
    return (
        Topic("/tf", TFMessage, depth=100),
        Topic("/tf_static", TFMessage, depth=100, latched=True),
    )


def listen(node: Node) -> Listener:
    """The TF listener of this installation; it is subscribed from now on."""
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
        try:
            moment = ClockTime() if stamp is None else ClockTime.from_msg(time_of(stamp))
        except ValueError:  # rclpy has no times before 1970
            raise TransformError(
                f"TF has no transform for the stamp {stamp:.3f} s, before 1970: check the "
                "camera's clock"
            ) from None
        try:
            found = self._buffer.lookup_transform(target, source, moment)
        except tf2_ros.ExtrapolationException as error:
            past = "into the past" in str(error)
            raise (TransformError if past else NotYet)(on_one_line(str(error))) from None
        except tf2_ros.TransformException as error:
            raise NotYet(on_one_line(str(error))) from None
        # Of static ones alone the newest has the time 0.
        return transform_of(found), seconds_of(found.header.stamp) or float("inf")

    def close(self) -> None:
        self._listener.unregister()


class _SmallBuffer:
    def __init__(self, node: Node) -> None:
        self._node, self._buffer = node, TransformBuffer()
        group = ReentrantCallbackGroup()
        self._subscriptions = [
            topic.subscription(node, self._taker(topic.latched), group) for topic in tf_topics()
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
    """TransformError if its rotation is none."""
    rotation, translation = message.transform.rotation, message.transform.translation
    return make_transform(
        np.array([rotation.x, rotation.y, rotation.z, rotation.w]),
        np.array([translation.x, translation.y, translation.z]),
    )
