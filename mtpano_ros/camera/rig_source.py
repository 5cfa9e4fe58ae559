"""The source of a rig: its lenses' topics, synchronised by stamp."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import Any

import numpy as np
from rclpy.node import Node
from std_msgs.msg import Header

from mtpano_model.errors import MtpanoError, one_line
from mtpano_model.rig.moments import Moment, Moments
from mtpano_model.rig.rig import Rig
from mtpano_model.video.messages import video_packet
from mtpano_ros.camera.composing import Composing
from mtpano_ros.camera.lens_calibration import LensCalibration
from mtpano_ros.camera.rig_shot import LensPicture, RigShot
from mtpano_ros.camera.shot import Mount
from mtpano_ros.camera.source import Endpoint, Source, Surroundings, packet_counts
from mtpano_ros.camera.state import CameraState
from mtpano_ros.camera.video_stream import VideoStream

# How often a moment that waits is looked at, as a share of the rig's `wait`.
_POLLS = 4
_SLOWEST_POLL = 0.1  # seconds


class RigSource(Source):
    """A rig. MtpanoError if a lens has no topic."""

    def __init__(self, rig: Rig) -> None:
        super().__init__()
        for lens in rig.lenses:
            if not lens.topic:
                raise MtpanoError(f"lens '{lens.name}' of the rig has no topic: give it one")
        self._rig = rig
        self._composing: Composing | None = None  # kept while nobody listens: maps take a moment
        self._lock = threading.Lock()  # of the moments, the frame and the delivery
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._calibration: LensCalibration | None = None

    def endpoints(self, node: Node) -> tuple[Endpoint, ...]:
        for lens in self._rig.lenses:
            try:
                node.resolve_topic_name(lens.topic)
            except Exception as error:  # RCLError, which is no public class
                raise MtpanoError(
                    f"the topic '{lens.topic}' of lens '{lens.name}' is not a valid name "
                    f"({one_line(error)}): correct it in the rig file"
                ) from error
        return tuple(Endpoint(topic, of_rig=True) for topic in self._rig.topics)

    def begin(self, around: Surroundings) -> None:
        self._around = around
        self._parent = self._parent_frame = ""
        self._moments = Moments(
            self._rig.topics,
            self._rig.tolerance,
            self._rig.wait,
            time.monotonic,
            lambda sentence: around.tell(sentence, sentence),
        )
        self.state = CameraState(
            "rig",
            self._rig.topics,
            counts=self._counts,
            silent=lambda: self._moments.dead,
            apart=lambda: self._moments.apart,
        )
        if self._rig.uncalibrated:
            self._composing = None
            self._calibration = LensCalibration(self._rig, around)
        elif self._composing is None:
            self._composing = Composing(self._rig, around.network)
        self._videos = {
            topic: VideoStream(topic, self.state, around.tell) for topic in self._rig.topics
        }
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="mtpano-rig", daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        if self._calibration is not None:
            self._calibration.close()
        self._thread = self._calibration = None
        super().end()

    def take(self, endpoint: Endpoint, message: Any) -> None:
        topic, video = endpoint.name, None
        packet = video_packet(message)
        if packet is None:
            self._videos[topic].still()
        else:
            video = self._videos[topic].feed(packet)
            if video is None:
                return
        part = LensPicture(message, video)
        with self._lock:
            self._hand_on(self._moments.offer(topic, part.stamp * 1e-9, part))

    # --- in a thread of its own -------------------------------------------------------------------

    def _poll(self) -> None:
        period = min(self._rig.wait / _POLLS, _SLOWEST_POLL)
        while not self._ended.wait(period):
            try:
                if self._calibration is not None:
                    self._calibrate(self._calibration)
                with self._lock:
                    self._hand_on(self._moments.poll())
            except Exception as error:  # the next turn tries again
                self._around.tell("rig", f"the rig: {one_line(error)}")

    def _calibrate(self, calibration: LensCalibration) -> None:
        rig = calibration.poll()
        problems = {f"calibration {name}": told for name, told in calibration.problems.items()}
        for about in list(self.state.problems):  # which other threads change meanwhile
            if about.startswith("calibration ") and about not in problems:
                del self.state.problems[about]
        self.state.problems.update(problems)
        if calibration.is_late:
            for told in problems.values():
                self._around.tell(told, told)
        if rig is not None:
            with self._lock:
                self._composing = Composing(rig, self._around.network)

    # --- under the lock ---------------------------------------------------------------------------

    def _hand_on(self, moment: Moment | None) -> None:
        if moment is None or self._composing is None:
            return
        topics = {lens.topic for lens in self._composing.rig.lenses}
        parts = {topic: one for topic, one in moment.pictures.items() if topic in topics}
        if not parts:
            return
        stamped = max(parts.values(), key=lambda part: part.stamp).header
        header, mount = stamped, None
        if len(self._rig.topics) > 1:
            mount = self._mounted(parts)
            frame = f"{mount.parent or 'camera'}_panorama"
            header = Header(stamp=stamped.stamp, frame_id=frame)
        shot = RigShot(header, mount, parts, self._composing, self.state, self._around.tell)
        self._around.deliver(shot)

    def _mounted(self, parts: dict[str, LensPicture]) -> Mount:
        """The panorama's pose in the frame of one lens: the first that delivered, from then on."""
        assert self._composing is not None
        lenses = {lens.topic: lens for lens in reversed(self._composing.rig.lenses)}
        if self._parent not in lenses:
            self._parent = next(topic for topic in self._rig.topics if topic in parts)
            self._parent_frame = parts[self._parent].header.frame_id
        lens = lenses[self._parent]
        offset: Any = -lens.rotation.T @ lens.position
        return Mount(self._parent_frame, np.ascontiguousarray(lens.rotation.T), offset)

    def _counts(self) -> Counter[str]:
        moments = {f"moments_{name}": number for name, number in self._moments.counts.items()}
        return Counter({**moments, **packet_counts(self._videos.values())})
