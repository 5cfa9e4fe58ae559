"""Every topic of the node, its type and its QoS: the one table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2

try:
    from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import PublisherEventCallbacks, SubscriptionEventCallbacks

# What the shipped Fast DDS profile (a segment of 64 MiB) carries on a busy machine: 8 of 8 messages
# of 50 MiB arrived, of 60 MiB 5 of 8 best effort and 7 of 8 reliable.
MAX_MESSAGE_BYTES = 50 * 2**20


@dataclass(frozen=True)
class Topic:
    """name: relative, resolved in the node's namespace. latched: a late subscriber gets the last.

    Reliable unless best_effort; keeps the last `depth` messages.
    """

    name: str
    type: Any
    depth: int = 3
    best_effort: bool = False
    latched: bool = False

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


# Newest wins in a slot of our own, where drops are counted. A DDS reader that keeps only one has no
# room for the next image while one is being taken: 18 of 300 were then lost, and nobody told.
IMAGE = Topic("image", Image, depth=5, best_effort=True)
COMPRESSED_IMAGE = Topic("image/compressed", CompressedImage, depth=5, best_effort=True)

DEPTH = Topic("depth", Image)
NORMALS = Topic("normals", Image)
SEMANTIC = Topic("semantic", Image)
POINTS = Topic("points", PointCloud2)
DEPTH_COLOR = Topic("depth/color", Image)
NORMALS_COLOR = Topic("normals/color", Image)
SEMANTIC_COLOR = Topic("semantic/color", Image)
CAMERA_INFO = Topic("camera_info", CameraInfo)
# One message an image, in the order in which they are sent.
OUTPUTS = (
    CAMERA_INFO,
    DEPTH,
    NORMALS,
    SEMANTIC,
    POINTS,
    DEPTH_COLOR,
    NORMALS_COLOR,
    SEMANTIC_COLOR,
)
DIAGNOSTICS = Topic("/diagnostics", DiagnosticArray, depth=10)


def label_info_topic() -> Topic | None:
    """`label_info`, None where vision_msgs is not installed."""
    try:
        from vision_msgs.msg import LabelInfo
    except ImportError:
        return None
    return Topic("label_info", LabelInfo, depth=1, latched=True)


def publisher_events() -> PublisherEventCallbacks:
    """None: rclpy's own ones double the cost of every wake-up; qos_watch.py does their work."""
    return PublisherEventCallbacks(use_default_callbacks=False)


def subscription_events() -> SubscriptionEventCallbacks:
    """None, for the same reason."""
    return SubscriptionEventCallbacks(use_default_callbacks=False)


def overridable() -> QoSOverridingOptions:
    """History, depth and reliability become parameters `qos_overrides.<topic>...`."""
    return QoSOverridingOptions.with_default_policies()
