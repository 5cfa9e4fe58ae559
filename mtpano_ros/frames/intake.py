"""Takes the camera's images while an output has a subscriber, and hands them to the frame path.

While no output has one, the node has no subscription to the camera, so that no image crosses the
middleware for nothing. On Humble rclpy has no event for a new subscriber, and each wake-up of an
executor costs milliseconds. A thread therefore looks at the publishers a few times a second.
"""

from __future__ import annotations

import threading
from functools import partial
from typing import Any

from rclpy.node import Node
from rclpy.subscription import Subscription

from mtpano_model.errors import MtpanoError, one_line
from mtpano_model.pictures.size import Size
from mtpano_model.video.messages import nanoseconds
from mtpano_ros.camera.shot import Shot
from mtpano_ros.camera.source import Endpoint, LookUp, Source, Surroundings
from mtpano_ros.frames.demand import Demand
from mtpano_ros.frames.frame_path import FramePath
from mtpano_ros.frames.tap import Tap
from mtpano_ros.outputs.publishers import Publishers
from mtpano_ros.parameters.settings import Settings
from mtpano_ros.watch.diagnostics import Statistics
from mtpano_ros.watch.qos_watch import QosWatch
from mtpano_ros.watch.stamps import stamp_age_ms
from mtpano_ros.watch.telling import Teller

POLL_SECONDS = 0.1


class Intake:
    """The camera's side of one active node, from activate to deactivate.

    The constructor subscribes, and raises if the middleware or a qos_override is refused. If no
    output has a subscriber, it unsubscribes at once.
    """

    def __init__(
        self,
        node: Node,
        source: Source,
        network: Size,
        look_up: LookUp,
        publishers: Publishers,
        path: FramePath,
        statistics: Statistics,
        settings: Settings,
        tell: Teller,
    ) -> None:
        self._node, self._publishers, self._path = node, publishers, path
        self._statistics, self._settings, self._tell = statistics, settings, tell
        self._source = source
        self._around = Surroundings(node, network, self._on_shot, tell.warn, look_up)
        self._lock = threading.Lock()  # of the taps: none while nobody listens to an output
        self._taps: list[Tap] = []
        self._last_stamp = 0
        self._demand = Demand()
        self._ended = threading.Event()
        self._subscribe()
        self._adjust()
        self._follower = threading.Thread(target=self._follow, name="mtpano-intake", daemon=True)
        self._follower.start()

    @property
    def subscription(self) -> Subscription | None:
        """To the camera's first topic; None while nobody listens to an output."""
        return next((tap.subscription for tap in self._taps if tap.subscription), None)

    @property
    def is_resting(self) -> bool:
        """Whether nothing is listened to, since nobody listens to an output."""
        return not self._taps

    def close(self) -> None:
        """Unsubscribe; no image is taken any more when this returns."""
        self._ended.set()
        self._follower.join()
        with self._lock:
            self._unsubscribe()

    def look(self, timeout: float, qos_watch: QosWatch) -> float:
        """Warn of a silent or unfitting camera; returns the seconds without an image.

        Without a subscription there is nothing to wait for: 0.
        """
        with self._lock:
            for tap in self._taps:
                tap.watch.check(timeout)
                qos_watch.check((), tap.subscription)
            return min((tap.watch.silence for tap in self._taps), default=0.0)

    # --- the subscription -----------------------------------------------------------------------

    def _follow(self) -> None:
        while not self._ended.wait(POLL_SECONDS):
            try:
                with self._lock:
                    self._adjust()
            except Exception as error:  # of the middleware: the next turn tries again
                self._tell.error("camera", f"the camera's topic: {one_line(error)}")

    def _adjust(self) -> None:
        listened = self._publishers.wanted() or self._settings.current.keep_subscribed
        if self._demand.look(listened):
            if not self._taps:
                self._subscribe()
            self._connect()
        elif self._taps:
            topics = " and ".join(tap.topic for tap in self._taps)
            verb = "is" if len(self._taps) == 1 else "are"
            self._unsubscribe()
            self._node.get_logger().info(
                f"nobody subscribes to an output: {topics} {verb} not listened to until somebody "
                "does"
            )

    def _subscribe(self) -> None:
        self._last_stamp = 0
        self._taps = [
            Tap(self._node, endpoint, partial(self._on_message, endpoint), self._on_broken_message)
            for endpoint in self._source.endpoints(self._node)
        ]
        try:
            self._refuse_shared_topics([tap.topic for tap in self._taps])
            self._source.begin(self._around)
            self._statistics.camera = self._source.state
            self._connect()
        except Exception:  # nobody would take the images of these subscriptions
            self._unsubscribe()
            raise

    def _connect(self) -> None:
        for tap in self._taps:
            problem = tap.connect()
            about = f"type {tap.topic}"
            if problem:
                self._source.state.problems[about] = problem
                self._tell.warn(about, problem)
            elif tap.subscription is not None:
                self._source.state.problems.pop(about, None)

    def _refuse_shared_topics(self, cameras: list[str]) -> None:
        names = [*cameras, *(publisher.topic_name for publisher in self._publishers.publishers)]
        shared = {name for name in names if names.count(name) > 1}
        if shared:
            raise MtpanoError(
                f"two topics of this node are both called {shared.pop()}: mend the remappings, "
                "the camera and every output need a topic of their own"
            )

    def _unsubscribe(self) -> None:
        for tap in self._taps:
            tap.close()
        self._taps = []
        self._source.end()

    # --- messages, each in its topic's own thread -------------------------------------------------

    def _on_message(self, endpoint: Endpoint, message: Any) -> None:
        try:
            self._source.take(endpoint, message)
        except Exception as error:  # one message must not leave the node deaf
            self._statistics.count("received")
            self._skipped(f"taking it raised {one_line(error)}")

    def _on_broken_message(self, error: Exception) -> None:
        self._statistics.count("received")
        self._skipped(f"it cannot be read: {one_line(error)}")

    # --- images, in one thread at a time ----------------------------------------------------------

    def _on_shot(self, shot: Shot) -> None:
        self._statistics.count("received")
        try:
            self._take(shot)
        except Exception as error:  # nor must one image
            self._skipped(f"taking it raised {one_line(error)}")

    def _take(self, shot: Shot) -> None:
        stamp = nanoseconds(shot.header.stamp)
        earlier, self._last_stamp = self._last_stamp, stamp
        plan = self._publishers.plan()
        if stamp < earlier:
            self._statistics.count("skipped_stamp")
            self._tell.warn(
                "stamp",
                f"skipped an image: its stamp {stamp / 1e9:.3f} s is before the last one's, "
                f"{earlier / 1e9:.3f} s, expected stamps that grow; the next image is taken again"
                f"{self._rivals()}",
            )
        elif not plan.wanted:
            self._statistics.count("idle")
        else:
            now = self._node.get_clock().now().nanoseconds
            self._path.offer(shot, stamp_age_ms(stamp, now), self._settings.current, plan)

    def _rivals(self) -> str:
        number = max(self._node.count_publishers(topic) for topic in self._source.state.topics)
        return f" ({number} publishers send on this topic: stop all but one)" if number > 1 else ""

    def _skipped(self, reason: str) -> None:
        self._statistics.count("skipped_internal")
        self._tell.error("internal", f"skipped an image: {reason}")
