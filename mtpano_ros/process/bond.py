"""The bond with Nav2's lifecycle manager, where the package bond is installed.

A bond is a topic on which both sides say every so often that they live: bond/msg/Status, with the
name of the bond (for Nav2 the node's own), an id of the side, and `active`. The manager waits for a
node's first word after activation, and takes the node for dead when it is silent for
heartbeat_timeout seconds. What the manager says of itself is answered once, when it ends the bond.
"""

from __future__ import annotations

import uuid
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import QoSProfile

from mtpano_ros.topics import publisher_events, subscription_events

try:
    from bond.msg import Status
except ImportError:
    Status = None

TOPIC = "bond"
_PERIOD = 0.1  # seconds, as Nav2's own nodes have it
_TIMEOUT = 4.0
_DEPTH = 100


class Bond:
    """From activate to deactivate; nothing where bond is not installed."""

    def __init__(self, node: Node) -> None:
        self._node, self._id = node, str(uuid.uuid4())
        self._active = True
        self._publisher: Any = None
        if Status is None:
            return
        group, qos = MutuallyExclusiveCallbackGroup(), QoSProfile(depth=_DEPTH)
        self._publisher = node.create_publisher(
            Status, TOPIC, qos, event_callbacks=publisher_events()
        )
        self._subscription = node.create_subscription(
            Status, TOPIC, self._hear, qos, callback_group=group,
            event_callbacks=subscription_events(),
        )  # fmt: skip
        # Of the steady clock: under use_sim_time the node's own may stand still.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = node.create_timer(_PERIOD, self._live, group, clock=steady)

    def close(self) -> None:
        """Say that this side ends the bond."""
        if self._publisher is None:
            return
        self._node.destroy_timer(self._timer)
        self._active = False
        self._say()
        self._node.destroy_subscription(self._subscription)
        self._node.destroy_publisher(self._publisher)
        self._publisher = None

    def _hear(self, message: Any) -> None:
        ours = message.id == self._node.get_name() and message.instance_id != self._id
        if ours and not message.active and self._active:
            self._active = False
            self._say()

    def _live(self) -> None:
        if self._active:
            self._say()

    def _say(self) -> None:
        message = Status(
            id=self._node.get_name(),
            instance_id=self._id,
            active=self._active,
            heartbeat_timeout=_TIMEOUT,
            heartbeat_period=_PERIOD,
        )
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(message)
