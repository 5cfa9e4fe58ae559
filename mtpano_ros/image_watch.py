"""Notice that no image comes, and find out why."""

from __future__ import annotations

import time

from rclpy.node import Node
from rclpy.subscription import Subscription
from rclpy.topic_endpoint_info import TopicEndpointInfo

from mtpano_ros.qos_watch import full_name, incompatibility

_RAW, _COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"


class ImageWatch:
    """Tells once an outage that no image has come, with the publishers it finds.

    Times are of the steady clock: under use_sim_time a missing /clock would stop any other.
    """

    def __init__(self, node: Node, subscription: Subscription) -> None:
        self._node, self._subscription = node, subscription
        self._last = time.monotonic()
        self._told = False

    @property
    def silence(self) -> float:
        """Seconds without an image."""
        return time.monotonic() - self._last

    def seen(self) -> None:
        """An image has come."""
        self._last = time.monotonic()
        self._told = False

    def check(self, timeout: float) -> None:
        """Warn if the silence has just become longer than `timeout` seconds."""
        if not self._told and self.silence > timeout:
            self._told = True
            self._node.get_logger().warning(self.report(timeout))

    def report(self, timeout: float) -> str:
        """One line: what is missing, who publishes, what to do."""
        topic = self._subscription.topic_name
        start = f"no image on {topic} for {timeout:g} s"
        publishers = self._node.get_publishers_info_by_topic(topic)
        if publishers:
            return f"{start}; its publishers: " + "; ".join(map(self._judge, publishers))
        candidates = self._candidates()
        if candidates:
            listing = ", ".join(candidates)
            return (
                f"{start}: nobody publishes it, but images come on {listing}: set what stands "
                "behind one of them"
            )
        return f"{start}: nobody publishes it, nor any other image; is the camera running?"

    def _judge(self, publisher: TopicEndpointInfo) -> str:
        name = full_name(publisher)
        expected = self._type_name()
        if publisher.topic_type != expected:
            return f"{name} sends {publisher.topic_type}, expected {expected} (image_transport)"
        reason = incompatibility(publisher.qos_profile, self._subscription.qos_profile)
        if reason:
            return f"{name} has QoS that does not fit ({reason}), see qos_overrides"
        return (
            f"{name} fits, but is silent or its images are lost on the way (large ones need the "
            "shipped transport profile)"
        )

    def _candidates(self) -> list[str]:
        """Topics with images, each with the settings under which the node would listen to it."""
        found = []
        for topic, types in self._node.get_topic_names_and_types():
            ours = any(
                (info.node_namespace, info.node_name)
                == (self._node.get_namespace(), self._node.get_name())
                for info in self._node.get_publishers_info_by_topic(topic)
            )
            settings = _settings_for(topic, types)
            if settings and not ours and self._node.count_publishers(topic):
                found.append(f"{topic} ({settings})")
        return sorted(found)[:5]

    def _type_name(self) -> str:
        message = self._subscription.msg_type
        return f"{message.__module__.split('.')[0]}/msg/{message.__name__}"


def _settings_for(topic: str, types: list[str]) -> str:
    """How to listen to a topic, empty if it has no images or no name that we can take."""
    if _RAW in types:
        return f"remap image to {topic}, image_transport raw"
    if _COMPRESSED in types and topic.endswith("/compressed"):
        name = topic.removesuffix("/compressed")
        return f"remap image to {name}, image_transport compressed"
    return ""
