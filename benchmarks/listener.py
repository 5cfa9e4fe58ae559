"""A subscriber that checks what it receives, in a process of its own, told what to do on stdin.

    python -m benchmarks.listener --ros-args -r __ns:=/ours

Commands are lines of JSON: {"listen": [TOPIC...], "references": FILE} answers "ready" when there is
a publisher for every topic, or else what is wrong; {"count": true} how many complete sets have
come; {"results": true} all about them, and stops listening. It ends with its stdin.
"""

from __future__ import annotations

import json
import queue
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription

from benchmarks.content import check
from benchmarks.remote import answer
from mtpano_model.video.messages import stamp_of
from mtpano_ros.process.spinning import Spinner, spinning_node, split_ros_args
from mtpano_ros.tools.collector import Collector, FrameSet
from mtpano_ros.tools.snapshot import OUTPUTS
from mtpano_ros.topics import DIAGNOSTICS

MATCH_SECONDS = 60.0


class Listener:
    """Counts, times and checks complete sets of outputs of one run."""

    def __init__(self, spinner: Spinner, topics: list[str], references: Path) -> None:
        self.collector = Collector(topics, keep=0)
        self._stamps: list[int] = []
        self._arrivals: list[int] = []
        self._wrong: list[str] = []
        self._diagnostics: dict[str, dict[str, str]] = {}
        with np.load(references) as stored:
            self._depths, self._labels = stored["depth"], stored["labels"]
        self._open: dict[int, dict[str, Any]] = {}
        self._node = spinner.node
        self._outputs: list[Subscription] = [
            self._node.create_subscription(OUTPUTS[t], t, self._noter(t), QoSProfile(depth=10))
            for t in topics
        ]
        self._others = self._node.create_subscription(
            DiagnosticArray, DIAGNOSTICS.name, self._diagnose, DIAGNOSTICS.qos
        )

    def matched(self) -> bool:
        """Whether every topic has a publisher."""
        return all(self._node.count_publishers(s.topic_name) for s in self._outputs)

    def close(self) -> None:
        """Stop listening."""
        for subscription in (*self._outputs, self._others):
            self._node.destroy_subscription(subscription)

    def results(self) -> dict[str, Any]:
        """Everything so far; times in nanoseconds."""
        return {
            "received": dict(self.collector.received),
            "complete": self.collector.complete,
            "stamps": self._stamps,
            "arrivals": self._arrivals,
            "wrong": self._wrong[:5],
            "wrong_count": len(self._wrong),
            "diagnostics": self._diagnostics,
        }

    def _noter(self, topic: str) -> Any:
        def note(message: Any) -> None:
            arrived = self._node.get_clock().now().nanoseconds
            stamp = stamp_of(message)
            self._open.setdefault(stamp, {})[topic] = message
            done = self.collector.add(topic, stamp, arrived, None)
            if done is not None:
                self._finish(done, self._open.pop(stamp))
                for old in [s for s in self._open if s < stamp]:
                    del self._open[old]

        return note

    def _finish(self, done: FrameSet, messages: dict[str, Any]) -> None:
        assert done.completed is not None, "the collector returns complete sets"
        self._stamps.append(done.stamp)
        self._arrivals.append(done.completed)
        problem = check(messages, self._depths, self._labels)
        if problem:
            self._wrong.append(f"stamp {done.stamp}: {problem}")

    def _diagnose(self, message: DiagnosticArray) -> None:
        for status in message.status:
            subject = status.name.rpartition(": ")[2]
            self._diagnostics[subject] = {pair.key: pair.value for pair in status.values}


def main() -> None:
    """Obey stdin until it ends."""
    commands: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()

    def read() -> None:
        for line in sys.stdin:
            commands.put(json.loads(line))
        commands.put(None)

    threading.Thread(target=read, daemon=True).start()
    with spinning_node("listener", split_ros_args(sys.argv[1:])[1]) as spinner:
        obey(spinner, commands)


def obey(spinner: Spinner, commands: queue.SimpleQueue[dict[str, Any] | None]) -> None:
    """Serve callbacks and commands."""
    listener: Listener | None = None
    give_up = 0.0
    while not spinner.stop.is_set():
        spinner.spin_for(0.05)
        if give_up and listener is not None:
            if listener.matched():
                give_up = 0.0
                answer("ready")
            elif time.monotonic() > give_up:
                give_up = 0.0
                answer("nobody publishes")
        if commands.empty():
            continue
        command = commands.get()
        if command is None:
            return
        if "listen" in command:
            listener = Listener(spinner, command["listen"], Path(command["references"]))
            give_up = time.monotonic() + MATCH_SECONDS
        elif listener is not None and "count" in command:
            answer(listener.collector.complete)
        elif listener is not None:
            answer(listener.results())
            listener.close()


if __name__ == "__main__":
    main()
