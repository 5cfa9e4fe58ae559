"""Warns once of every peer that is not connected because its QoS does not fit.

Both sides are compared as discovery reports them. What rclpy says of our own endpoints has "the
default" where a peer has infinity, which would look like a deadline that nobody set.

rclpy has events for this, but they cost time at every wake-up, some middlewares lack them, and they
do not name the peer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

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
            # Only where fewer are matched than are there is there anything to find out.
            topic = publisher.topic_name
            if self._node.count_subscribers(topic) > publisher.get_subscription_count():
                offered = own_qos(self._node, topic, self._node.get_publishers_info_by_topic)
                for peer in self._node.get_subscriptions_info_by_topic(topic):
                    self._judge(topic, offered, peer.qos_profile, peer, "subscriber")
        if subscription is not None:
            topic = subscription.topic_name
            wanted = own_qos(self._node, topic, self._node.get_subscriptions_info_by_topic)
            for peer in self._node.get_publishers_info_by_topic(topic):
                self._judge(topic, peer.qos_profile, wanted, peer, "publisher")

    def _judge(
        self,
        topic: str,
        offered: QoSProfile | None,
        wanted: QoSProfile | None,
        peer: TopicEndpointInfo,
        role: str,
    ) -> None:
        identity = tuple(peer.endpoint_gid)
        if identity in self._told or offered is None or wanted is None:
            return
        reason = incompatibility(offered, wanted)
        if reason:
            self._told.add(identity)
            # Of what may be incompatible, only the reliability can be overridden.
            here = f", or here with qos_overrides.{topic}" if "best effort" in reason else ""
            self._node.get_logger().warning(
                f"{topic}: {role} {full_name(peer)} gets no connection, its QoS does not fit "
                f"({reason}): change it there{here}"
            )


def own_qos(
    node: Node, topic: str, infos: Callable[[str], list[TopicEndpointInfo]]
) -> QoSProfile | None:
    """The QoS of the node's own endpoint on a topic, as its peers see it; None before discovery."""
    return next((info.qos_profile for info in infos(topic) if is_own(node, info)), None)


def is_own(node: Node, info: TopicEndpointInfo) -> bool:
    """Whether an endpoint is one of the node's."""
    return (info.node_namespace, info.node_name) == (node.get_namespace(), node.get_name())


def incompatibility(offered: QoSProfile, wanted: QoSProfile) -> str:
    """Why a publisher's and a subscriber's QoS do not fit; empty where they do."""
    verdict, reason = qos_check_compatible(offered, wanted)
    if verdict != QoSCompatibility.ERROR:
        return ""
    return reason.replace("ERROR:", "").strip(" ;").lower()


def full_name(peer: TopicEndpointInfo) -> str:
    """The node of an endpoint, with its namespace."""
    return f"{peer.node_namespace.rstrip('/')}/{peer.node_name}"
