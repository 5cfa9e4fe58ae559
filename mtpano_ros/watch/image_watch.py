"""Warn that no image comes, and say why."""

from __future__ import annotations

import os
import time
from typing import Any

from rclpy.node import Node
from rclpy.topic_endpoint_info import TopicEndpointInfo

from mtpano_model.pictures.messages import PICTURE_TYPES
from mtpano_ros.doctor.transport import check_discovery, lossy_transport
from mtpano_ros.watch.qos_watch import full_name, incompatibility, is_own, own_qos

_RAW, _COMPRESSED, *_VIDEO = PICTURE_TYPES


class ImageWatch:
    """Warns once per outage that no image arrives, and names the publishers that it finds.

    Times are of the steady clock, since with use_sim_time a missing /clock would stop any other.
    """

    def __init__(self, node: Node, topic: str, kind: Any = None, of_rig: bool = False) -> None:
        """kind: the type that is subscribed to; None while it is not known.

        of_rig: whether a rig file names the topic, and no remapping.
        """
        self._node, self._topic, self._kind, self._of_rig = node, topic, kind, of_rig
        self._last = time.monotonic()
        self._told = self._seen = False

    @property
    def silence(self) -> float:
        """Seconds without an image."""
        return time.monotonic() - self._last

    def expect(self, kind: Any) -> None:
        """The topic is subscribed to with this type now."""
        self._kind = kind

    def seen(self) -> None:
        """An image has come."""
        self._last = time.monotonic()
        self._told, self._seen = False, True

    def check(self, timeout: float) -> None:
        """Warn if the silence has just become longer than `timeout` seconds."""
        if not self._told and self.silence > timeout:
            self._told = True
            self._node.get_logger().warning(self.report(timeout))

    def report(self, timeout: float) -> str:
        """One line: what is missing, who publishes, what to do."""
        start = f"no image on {self._topic} for {timeout:g} s"
        publishers = self._node.get_publishers_info_by_topic(self._topic)
        if publishers:
            return f"{start}; its publishers: " + "; ".join(map(self._judge, publishers))
        if self._seen:
            return f"{start}: nobody publishes it any more, the camera has ended"
        candidates = self._candidates()
        if candidates:
            listing = ", ".join(candidates)
            advice = "set what stands behind one of them"
            if self._of_rig:
                advice = "give the lens one of them as its topic in the rig file"
            return f"{start}: nobody publishes it, but images come on {listing}: {advice}"
        domain = os.environ.get("ROS_DOMAIN_ID") or "0"
        return (
            f"{start}: nobody publishes it, and no other image is seen in domain {domain}; is the "
            f"camera running?{transport_trouble()}{_discovery_trouble()}"
        )

    def _judge(self, publisher: TopicEndpointInfo) -> str:
        name = full_name(publisher)
        expected = self._type_name()
        known = PICTURE_TYPES if self._kind is None else (expected,)
        if publisher.topic_type not in known:
            return f"{name} sends {publisher.topic_type}, expected {expected} (image_transport)"
        wanted = own_qos(self._node, self._topic, self._node.get_subscriptions_info_by_topic)
        reason = incompatibility(publisher.qos_profile, wanted) if wanted else ""
        if reason:
            return f"{name} has QoS that does not fit ({reason})"
        return (
            f"{name} fits, but is silent or its images are lost on the way (raw ones need the "
            f"transport profile in the camera's process, too: docs/deployment.md)"
            f"{transport_trouble()}"
        )

    def _candidates(self) -> list[str]:
        """Topics with images, each with the settings under which the node would listen to it."""
        found = []
        for topic, types in self._node.get_topic_names_and_types():
            publishers = self._node.get_publishers_info_by_topic(topic)
            ours = any(is_own(self._node, info) for info in publishers)
            settings = _settings_for(topic, types)
            if settings and not ours and self._node.count_publishers(topic):
                found.append(topic if self._of_rig else f"{topic} ({settings})")
        return sorted(found)[:5]

    def _type_name(self) -> str:
        if self._kind is None:
            return "pictures or video"
        return f"{self._kind.__module__.split('.')[0]}/msg/{self._kind.__name__}"


def _settings_for(topic: str, types: list[str]) -> str:
    """How to listen to a topic, empty if it has no images."""
    if _RAW in types:
        return f"remap image to {topic}, image_transport raw"
    if _COMPRESSED in types and topic.endswith("/compressed"):
        name = topic.removesuffix("/compressed")
        return f"remap image to {name}, image_transport compressed"
    if _COMPRESSED in types:
        return f"remap image/compressed to {topic}, image_transport compressed"
    if set(_VIDEO) & set(types):
        return f"remap image to {topic}, image_transport video"
    return ""


def transport_trouble() -> str:
    """What keeps large messages from their way, as the end of a sentence; empty if nothing."""
    found = lossy_transport()
    return f"; {found}" if found else ""


def _discovery_trouble() -> str:
    """The same of what keeps nodes from finding each other."""
    return "".join(f"; {found}" for found in check_discovery(os.environ) if found.level == "fix")
