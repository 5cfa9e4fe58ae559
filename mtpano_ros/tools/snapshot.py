"""Save what the node publishes: panels, clouds and a summary.

    ros2 run mtpano_ros snapshot --out snapshot --frames 5 --ros-args -r __ns:=/mtpano

Subscribes to the outputs of the node, puts them together by their exact stamp, and ends by
itself. It subscribes to the camera's `image` last, when all outputs are matched: a player started
with `--wait-for-subscribers 2` (node and snapshot) then loses nothing. Files are written after
the last image, so that writing them does not slow down the node.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription

from mtpano_model.errors import MtpanoError
from mtpano_model.graph.model_info import find_model, read_model_info
from mtpano_model.video.messages import stamp_of
from mtpano_ros import topics
from mtpano_ros.outputs.table import IMAGE_TOPICS
from mtpano_ros.process.spinning import Spinner, check_seconds, run_tool, spinning_node
from mtpano_ros.tools.collector import Collector
from mtpano_ros.tools.snapshot_files import write_set, write_summary
from mtpano_ros.watch.image_watch import transport_trouble

OUTPUTS = {name: topic.type for name, topic in IMAGE_TOPICS.items()}
# What is written to files; the rest is made for other programs.
WRITTEN = (
    "camera_info",
    "depth",
    "normals",
    "semantic",
    "points",
    "depth/color",
    "normals/color",
    "semantic/color",
)
IMAGE = topics.IMAGE.name
# Both ends match at slightly different moments, and the node wakes up when it sees a subscriber.
SETTLE_SECONDS = 0.5
# /diagnostics comes once a second; the last one must count the last frame.
DIAGNOSTICS_SECONDS = 2.5


@dataclass
class Args:
    """Save the node's outputs as panels, clouds and a summary."""

    out: Path = Path("snapshot")
    """Folder to write to; it is created if it does not exist."""
    frames: int = 5
    """End after this many complete sets of outputs; 0 goes on until Ctrl-C or --idle."""
    save: int = 5
    """Save the first N sets as panels and clouds; they stay in memory until the end."""
    topics: tuple[str, ...] = WRITTEN
    """Outputs to subscribe to; the node computes only outputs that have a subscriber."""
    model: str = "default"
    """The node's model, for the names and colours of its classes."""
    timeout: float = 60.0
    """Seconds to wait for the node's publishers, and then for the first output."""
    idle: float = 10.0
    """End when nothing has come for this many seconds after the first output."""

    def __post_init__(self) -> None:
        for topic in self.topics:
            if topic not in OUTPUTS:
                raise MtpanoError(f"--topics {topic}: expected some of {' '.join(OUTPUTS)}")
        if not self.topics:
            raise MtpanoError("--topics is empty: expected at least one topic")
        self.topics = tuple(dict.fromkeys(self.topics))
        check_seconds(timeout=self.timeout, idle=self.idle)
        for name, value in {"frames": self.frames, "save": self.save}.items():
            if value < 0:
                raise MtpanoError(f"--{name} {value}: expected 0 or more")


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    return run_tool(Args, "snapshot", snapshot, argv)


def snapshot(args: Args, ros_args: list[str]) -> int:
    """Listen, then write; returns the exit status: 128 + a signal's number if that cut it short."""
    args.out.mkdir(parents=True, exist_ok=True)
    classes = read_model_info(find_model(args.model)).classes
    with spinning_node("snapshot", ros_args) as spinner:
        station = Station(spinner, args)
        if station.wait_for_publishers():
            station.subscribe_image()
            station.receive()
        signals = spinner.signals
    collector = station.collector
    if not collector.complete and not signals:
        counts = ", ".join(f"{topic} {n}" for topic, n in collector.received.items())
        raise MtpanoError(
            f"no complete set of outputs within {args.timeout:g} s (received: {counts}): "
            f"is a camera or player sending images to the node?{transport_trouble()}"
        )
    for number, frame in enumerate(collector.kept):
        write_set(args.out, number, frame, classes)
    write_summary(args.out / "summary.json", collector, station.diagnostics.values())
    station.log.info(f"wrote {len(collector.kept)} sets and summary.json to {args.out}")
    missing = args.frames - collector.complete
    return 128 + signals[0] if signals and missing > 0 else 0


class Station:
    """The subscriptions and what they have brought."""

    def __init__(self, spinner: Spinner, args: Args) -> None:
        self.collector = Collector(args.topics, args.save)
        self.diagnostics: dict[str, DiagnosticStatus] = {}
        self.diagnostics_stamp = 0
        self._refusal = ""
        self.log = spinner.node.get_logger()
        self._spinner = spinner
        self._args = args
        self._node = spinner.node
        self._last_arrival = time.monotonic()
        # Ten sets are a few seconds of a camera: the queue bridges a moment of inattention.
        qos = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
        self._outputs = [
            self._node.create_subscription(OUTPUTS[topic], topic, self._noter(topic), qos)
            for topic in args.topics
        ]
        self._node.create_subscription(
            DiagnosticArray, topics.DIAGNOSTICS.name, self._diagnose, topics.DIAGNOSTICS.qos
        )

    def wait_for_publishers(self) -> bool:
        """True when every output has a publisher, False on a signal; MtpanoError on timeout."""
        self.log.info(f"waiting for the publishers of {', '.join(self._args.topics)}")
        deadline = time.monotonic() + self._args.timeout
        while missing := [s.topic_name for s in self._outputs if not self._publishers(s)]:
            if self._spinner.stop.is_set():
                return False
            self._check_node()
            if time.monotonic() > deadline:
                raise MtpanoError(
                    f"nobody publishes {', '.join(missing)} after {self._args.timeout:g} s: start "
                    "the node and activate it, or check the namespace (-r __ns:=/mtpano) and "
                    "ROS_DOMAIN_ID"
                )
            self._spinner.spin_for(0.05)
        self._spin(SETTLE_SECONDS)
        return True

    def subscribe_image(self) -> None:
        """Listen to the camera too, raw or compressed, whichever there is."""
        qos = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
        # As image_transport has it: a remapping of `image` carries its compressed twin along.
        twin = f"{self._node.resolve_topic_name(IMAGE)}/compressed"
        for kind, name in ((topics.IMAGE.type, IMAGE), (topics.COMPRESSED_IMAGE.type, twin)):
            self._node.create_subscription(kind, name, self._noter(IMAGE), qos)
        self.log.info("ready")

    def receive(self) -> None:
        """Return when enough sets have come, nothing comes any more, or a signal does."""
        self._last_arrival = time.monotonic()
        while not self._spinner.stop.is_set():
            self._spinner.spin_for(0.1)
            self._check_node()
            started = any(self.collector.received[topic] for topic in self._args.topics)
            patience = self._args.idle if started else self._args.timeout
            if time.monotonic() - self._last_arrival > patience:
                return
            if self._args.frames and self.collector.complete >= self._args.frames:
                break
        last = self._node.get_clock().now().nanoseconds
        deadline = time.monotonic() + DIAGNOSTICS_SECONDS
        while self.diagnostics_stamp < last and time.monotonic() < deadline:
            if self._spinner.stop.is_set():
                return
            self._spinner.spin_for(0.1)

    def _noter(self, topic: str) -> Callable[[Any], None]:
        def note(message: Any) -> None:
            arrived = self._node.get_clock().now().nanoseconds
            if topic in OUTPUTS:
                self._last_arrival = time.monotonic()
            self.collector.add(topic, stamp_of(message), arrived, message)

        return note

    def _check_node(self) -> None:
        """MtpanoError if the node has said that it cannot start: nothing will come."""
        if self._refusal:
            raise MtpanoError(self._refusal)

    def _diagnose(self, message: DiagnosticArray) -> None:
        namespace = self._node.get_namespace().rstrip("/")
        for status in message.status:
            name, _, subject = status.name.partition(": ")
            if subject == "engine" and name.rpartition("/")[0] == namespace:
                values = {pair.key: pair.value for pair in status.values}
                failed = values.get("state") in ("unconfigured", "inactive")
                self._refusal = (
                    f"{name} cannot start: {status.message}"
                    if failed and status.level == DiagnosticStatus.ERROR
                    else ""
                )
        self.diagnostics |= {status.name: status for status in message.status}
        # Others use the topic too; what has to be fresh is the node's count of frames.
        if any(status.name.endswith(": frames") for status in message.status):
            self.diagnostics_stamp = stamp_of(message)

    def _publishers(self, subscription: Subscription) -> int:
        # Before Kilted only the graph can be asked, which counts incompatible publishers too.
        if hasattr(subscription, "get_publisher_count"):
            return subscription.get_publisher_count()
        return self._node.count_publishers(subscription.topic_name)

    def _spin(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and not self._spinner.stop.is_set():
            self._spinner.spin_for(left)


if __name__ == "__main__":
    sys.exit(main())
