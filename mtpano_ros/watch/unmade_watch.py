"""Warns of subscribers to views that `views.layout` does not have."""

from __future__ import annotations

from rclpy.node import Node

from mtpano_ros.watch.qos_watch import full_name


class UnmadeWatch:
    """Looks at the graph whenever `check` is called; each topic is told once."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._told: set[str] = set()

    def check(self) -> None:
        """Warn of topics below `views` in the node's namespace that have listeners alone."""
        begin = f"{self._node.get_namespace().rstrip('/')}/views/"
        for topic, _ in self._node.get_topic_names_and_types():
            if not topic.startswith(begin) or topic in self._told:
                continue
            listeners = self._node.get_subscriptions_info_by_topic(topic)
            if listeners and not self._node.count_publishers(topic):
                self._told.add(topic)
                name = topic[len(begin) :].partition("/")[0]
                self._node.get_logger().warning(
                    f"{topic}: {full_name(listeners[0])} listens, but there is no such view: set "
                    f"views.layout to four, cube, or a list that has '{name}'"
                )
