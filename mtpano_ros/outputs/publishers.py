"""The publishers of all outputs, and which of them have subscribers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rclpy.node import Node
from rclpy.publisher import Publisher
from std_msgs.msg import Header

from mtpano_ros.outputs.base import Message, Output, Result
from mtpano_ros.outputs.serialized import publish
from mtpano_ros.topics import Topic, overridable


@dataclass(frozen=True)
class Plan:
    """The outputs to make of one image, decided once for all stages of processing.

    wanted: the topics to fill of every output that has one. needs: all that these need.
    """

    wanted: tuple[tuple[Output, frozenset[Topic]], ...]
    needs: frozenset[str]


class Publishers:
    """One publisher for every topic of `outputs`, from configure to cleanup."""

    def __init__(self, node: Node, outputs: Sequence[Output]) -> None:
        self.outputs = tuple(outputs)
        self._node = node
        self._publishers: dict[Topic, Publisher] = {}
        try:
            for output in self.outputs:
                for topic in output.topics:
                    if topic not in self._publishers:  # outputs may share one, such as /tf_static
                        self._publishers[topic] = topic.publisher(node, overridable())
        except Exception:  # of a qos_override: nothing may stay advertised
            self.close()
            raise

    @property
    def publishers(self) -> list[Publisher]:
        """Every publisher, for checks of their subscribers."""
        return list(self._publishers.values())

    def wanted(self) -> bool:
        """Whether any topic that is sent for every image has a subscriber."""
        return any(self._has_subscriber(topic) for topic in self._publishers if not topic.latched)

    def plan(self) -> Plan:
        """The plan for an image that arrives now."""
        wanted = []
        needs: set[str] = set()
        for output in self.outputs:
            listened = {t for t in output.topics if not t.latched and self._has_subscriber(t)}
            if listened:
                needs |= output.needs(listened)
                latched = {topic for topic in output.topics if topic.latched}
                wanted.append((output, frozenset(listened | latched)))
        return Plan(tuple(wanted), frozenset(needs))

    def announce(self, header: Header) -> None:
        """Send the latched messages of an activation, which late subscribers get too."""
        for output in self.outputs:
            for message in output.announce(header):
                self._send(message)

    def send(self, result: Result, plan: Plan) -> None:
        """Fill and publish what is in the plan. `result.frame` must have what the plan needs."""
        for output, topics in plan.wanted:
            for message in output.fill(result, topics):
                self._send(message)

    def close(self) -> None:
        """Destroy the publishers."""
        for publisher in self._publishers.values():
            self._node.destroy_publisher(publisher)
        self._publishers.clear()

    def _send(self, message: Message) -> None:
        publisher = self._publishers[message.topic]
        if message.buffer is None:
            publisher.publish(message.message)
        else:
            publish(publisher, message.message, message.buffer)

    def _has_subscriber(self, topic: Topic) -> bool:
        return self._publishers[topic].get_subscription_count() > 0
