"""The description of a topic, and the node's topics other than outputs (outputs/table.py)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription
from sensor_msgs.msg import CompressedImage, Image, Imu

try:
    from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import PublisherEventCallbacks, SubscriptionEventCallbacks

# What the shipped Fast DDS profile (a segment of 64 MiB) carries on a busy machine: 8 of 8 messages
# of 50 MiB arrived, of 60 MiB 5 of 8 best effort and 7 of 8 reliable.
MAX_MESSAGE_BYTES = 50 * 2**20


@dataclass(frozen=True)
class Topic:
    """A topic with its type and QoS: the last `depth` messages are kept.

    name: relative, resolved in the node's namespace. best_effort: else reliable.
    latched: a late subscriber gets the last message. display: class of the RViz display that
        rviz/pano.rviz shows it with, empty where it shows none; every output decides.
    """

    name: str
    type: Any
    depth: int = 3
    best_effort: bool = False
    latched: bool = False
    display: str | None = None

    @property
    def qos(self) -> QoSProfile:
        """A profile of its own, since rclpy writes qos_overrides into it."""
        return QoSProfile(
            history=HistoryPolicy.KEEP_LAST,
            depth=self.depth,
            reliability=ReliabilityPolicy.BEST_EFFORT
            if self.best_effort
            else ReliabilityPolicy.RELIABLE,
            durability=DurabilityPolicy.TRANSIENT_LOCAL
            if self.latched
            else DurabilityPolicy.VOLATILE,
        )

    def publisher(self, node: Node, overrides: QoSOverridingOptions | None = None) -> Publisher:
        """A publisher of it; overrides: see `overridable`."""
        return node.create_publisher(
            self.type,
            self.name,
            self.qos,
            event_callbacks=publisher_events(),
            qos_overriding_options=overrides,
        )

    def subscription(
        self, node: Node, take: Callable[[Any], None], group: CallbackGroup
    ) -> Subscription:
        """A subscription to it; `take` is called with each message."""
        return node.create_subscription(
            self.type,
            self.name,
            take,
            self.qos,
            callback_group=group,
            event_callbacks=subscription_events(),
        )


# The newest image wins in a slot of our own, where drops are counted. A DDS reader that keeps only
# one has no room for the next image while one is being taken: 18 of 300 images were then lost, and
# no counter showed it.
IMAGE = Topic("image", Image, depth=5, best_effort=True)
# May be video, where a lost packet costs all pictures up to the next key frame; each is small.
COMPRESSED_IMAGE = Topic("image/compressed", CompressedImage, depth=30, best_effort=True)

# With level: imu. The newest message is what counts.
IMU = Topic("imu", Imu, depth=5, best_effort=True)

DIAGNOSTICS = Topic("/diagnostics", DiagnosticArray, depth=10)


def publisher_events() -> PublisherEventCallbacks:
    """None: rclpy's own ones double the cost of every wake-up; qos_watch.py does their work."""
    return PublisherEventCallbacks(use_default_callbacks=False)


def subscription_events() -> SubscriptionEventCallbacks:
    """None, for the same reason."""
    return SubscriptionEventCallbacks(use_default_callbacks=False)


def overridable() -> QoSOverridingOptions:
    """History, depth and reliability become parameters `qos_overrides.<topic>...`."""
    return QoSOverridingOptions.with_default_policies()
