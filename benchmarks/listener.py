"""A subscriber that checks what it receives, in a process of its own.

    python -m benchmarks.listener RESULTS.json REFERENCES.npz TOPIC... --ros-args -r __ns:=/ours

Listens to the topics and to /diagnostics until SIGINT. RESULTS.json is rewritten twice a second and
at the end; it appears as soon as all publishers are matched.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from numpy.typing import NDArray
from rclpy.qos import QoSProfile

from mtpano_ros.collector import Collector, FrameSet
from mtpano_ros.process import Spinner, spinning_node, split_ros_args
from mtpano_ros.reading import cloud_array, image_array
from mtpano_ros.snapshot import OUTPUTS, nanoseconds
from mtpano_ros.topics import DIAGNOSTICS

# Every so-manyth row and column is compared: enough to tell images and sizes apart.
SAMPLE = 16
WRITE_SECONDS = 0.5


class Listener:
    """Counts, times and checks complete sets of outputs."""

    def __init__(self, spinner: Spinner, topics: list[str], references: Path) -> None:
        self.collector = Collector(topics, keep=0)
        self.stamps: list[int] = []
        self.arrivals: list[int] = []
        self.wrong: list[str] = []
        self.diagnostics: dict[str, dict[str, str]] = {}
        with np.load(references) as stored:
            self.depths, self.labels = stored["depth"], stored["labels"]
        self._open: dict[int, dict[str, Any]] = {}
        self._node = spinner.node
        self._subscriptions = [
            self._node.create_subscription(OUTPUTS[t], t, self._noter(t), QoSProfile(depth=10))
            for t in topics
        ]
        self._node.create_subscription(
            DiagnosticArray, DIAGNOSTICS.name, self._diagnose, DIAGNOSTICS.qos
        )

    def matched(self) -> bool:
        """Whether every topic has a publisher."""
        return all(self._node.count_publishers(s.topic_name) for s in self._subscriptions)

    def results(self) -> dict[str, Any]:
        """Everything so far, for JSON; times in nanoseconds."""
        return {
            "received": dict(self.collector.received),
            "complete": self.collector.complete,
            "incomplete": self.collector.incomplete,
            "stamps": self.stamps,
            "arrivals": self.arrivals,
            "wrong": self.wrong[:5],
            "wrong_count": len(self.wrong),
            "diagnostics": self.diagnostics,
        }

    def _noter(self, topic: str) -> Any:
        def note(message: Any) -> None:
            arrived = self._node.get_clock().now().nanoseconds
            stamp = nanoseconds(message.header.stamp)
            self._open.setdefault(stamp, {})[topic] = message
            done = self.collector.add(topic, stamp, arrived, None)
            if done is not None:
                self._finish(done, self._open.pop(stamp))
                for old in [s for s in self._open if s < stamp]:
                    del self._open[old]

        return note

    def _finish(self, done: FrameSet, messages: dict[str, Any]) -> None:
        assert done.completed is not None, "the collector returns complete sets"
        self.stamps.append(done.stamp)
        self.arrivals.append(done.completed)
        problem = check(messages, self.depths, self.labels)
        if problem:
            self.wrong.append(f"stamp {done.stamp}: {problem}")

    def _diagnose(self, message: DiagnosticArray) -> None:
        for status in message.status:
            subject = status.name.rpartition(": ")[2]
            self.diagnostics[subject] = {pair.key: pair.value for pair in status.values}


def check(messages: dict[str, Any], depths: NDArray, labels: NDArray) -> str:
    """What is wrong with a set of outputs, "" if nothing is.

    depths [N, h, w], labels [N, h, w]: samples of what each of the N panoramas must give. Naive and
    ours interpolate differently, so single pixels at edges may differ, whole pictures may not.
    """
    depth = image_array(messages["depth"])[::SAMPLE, ::SAMPLE]
    label = image_array(messages["semantic"])[::SAMPLE, ::SAMPLE]
    if depth.shape != depths.shape[1:]:
        return f"depth has {depth.shape} samples, expected {depths.shape[1:]}"
    with np.errstate(invalid="ignore"):  # inf - inf, where both are open
        errors = np.nanmedian(np.abs(depths - depth) / depths, axis=(1, 2))
    best = int(errors.argmin())
    agreement = float((labels[best] == label).mean())
    if not (errors[best] < 0.03 and agreement > 0.8):
        return f"depth off by {errors[best]:.1%}, labels agree on {agreement:.0%}"
    normals = image_array(messages["normals"])[::SAMPLE, ::SAMPLE]
    if not np.allclose(np.linalg.norm(normals, axis=-1), 1.0, atol=1e-3):
        return "normals are not of unit length"
    if "points" in messages:
        points = cloud_array(messages["points"])[::SAMPLE, ::SAMPLE]
        ranges = np.sqrt(points["x"] ** 2 + points["y"] ** 2 + points["z"] ** 2)
        measured = np.isfinite(depth)
        if not np.allclose(ranges[measured], depth[measured], rtol=1e-3):
            return "the cloud's ranges are not the depth"
        if not np.array_equal(points["label"], label):
            return "the cloud's labels are not the labels"
    return ""


def write(path: Path, results: dict[str, Any]) -> None:
    """Replace the file at once: somebody may be reading it."""
    beside = path.with_suffix(".new")
    beside.write_text(json.dumps(results), encoding="utf-8")
    os.replace(beside, path)


def main() -> None:
    """`listener RESULTS.json REFERENCES.npz TOPIC... [--ros-args ...]`."""
    own, ros = split_ros_args(sys.argv[1:])
    path, references, topics = Path(own[0]), Path(own[1]), own[2:]
    with spinning_node("listener", ros) as spinner:
        listener = Listener(spinner, topics, references)
        while not listener.matched() and not spinner.stop.is_set():
            spinner.spin_for(0.02)
        written = 0.0
        while not spinner.stop.is_set():
            if time.monotonic() - written > WRITE_SECONDS:
                write(path, listener.results())
                written = time.monotonic()
            spinner.spin_for(0.1)
    write(path, listener.results())


if __name__ == "__main__":
    main()
