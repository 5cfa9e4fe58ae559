"""Tell once of every peer that is not connected because its QoS does not fit.

rclpy has events for this; they cost time at every wake-up, some middlewares lack them, and they do
not say who it is.
"""

from __future__ import annotations

from collections.abc import Iterable

from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSCompatibility, QoSProfile, qos_check_compatible
from rclpy.subscription import Subscription
from rclpy.topic_endpoint_info import TopicEndpointInfo


class QosWatch:
    """Looks at the graph whenever `check` is called."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._told: set[tuple[int, ...]] = set()

    def check(self, publishers: Iterable[Publisher], subscription: Subscription | None) -> None:
        """Warn of peers of these endpoints that are new and do not fit."""
        for publisher in publishers:
            topic = publisher.topic_name
            # Only where fewer are matched than are there is there anything to find out.
            if self._node.count_subscribers(topic) > publisher.get_subscription_count():
                for peer in self._node.get_subscriptions_info_by_topic(topic):
                    self._judge(topic, publisher.qos_profile, peer.qos_profile, peer, "subscriber")
        if subscription is not None:
            topic = subscription.topic_name
            for peer in self._node.get_publishers_info_by_topic(topic):
                self._judge(topic, peer.qos_profile, subscription.qos_profile, peer, "publisher")

    def _judge(
        self,
        topic: str,
        offered: QoSProfile,
        wanted: QoSProfile,
        peer: TopicEndpointInfo,
        role: str,
    ) -> None:
        identity = tuple(peer.endpoint_gid)
        if identity in self._told:
            return
        reason = incompatibility(offered, wanted)
        if reason:
            self._told.add(identity)
            self._node.get_logger().warning(
                f"{topic}: {role} {full_name(peer)} gets no connection, its QoS does not fit "
                f"({reason}): change it there, or here with qos_overrides.{topic}"
            )


def incompatibility(offered: QoSProfile, wanted: QoSProfile) -> str:
    """Why a publisher's and a subscriber's QoS do not fit; empty where they do."""
    verdict, reason = qos_check_compatible(offered, wanted)
    if verdict != QoSCompatibility.ERROR:
        return ""
    return reason.replace("ERROR:", "").strip(" ;").lower()


def full_name(peer: TopicEndpointInfo) -> str:
    """The node of an endpoint, with its namespace."""
    return f"{peer.node_namespace.rstrip('/')}/{peer.node_name}"
