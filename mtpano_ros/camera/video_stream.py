"""Decodes the video of one topic, and reports its faults in /diagnostics and the log."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

from mtpano_model.errors import MtpanoError
from mtpano_model.video.decoder import VideoPicture
from mtpano_model.video.messages import VideoPacket
from mtpano_model.video.stream import Stream
from mtpano_ros.camera.state import CameraState

Tell = Callable[[str, str], None]
COUNTS = ("fed", "shown", "waiting", "damaged", "late", "refused", "empty", "gaps")


class VideoStream:
    """Not thread-safe. tell: called with a subject and a message for each fault to correct."""

    def __init__(self, topic: str, state: CameraState, tell: Tell) -> None:
        self._topic, self._state, self._tell = topic, state, tell
        self._stream = Stream(self._told)

    @property
    def counts(self) -> Counter[str]:
        """See `Stream`."""
        return self._stream.counts

    def feed(self, packet: VideoPacket) -> VideoPicture | None:
        """The picture that a packet completes, or None."""
        try:
            picture = self._stream.feed(packet, packet.stamp or time.time_ns())
        except MtpanoError as error:
            self._told(str(error))
            return None
        if picture is not None:
            self._state.problems.pop(self._topic, None)
        return picture

    def still(self) -> None:
        """Clear the video's faults, since a still picture arrived on the topic.

        If the video continues nevertheless, its faults are reported again.
        """
        if self._state.problems.pop(self._topic, None) is not None:
            self._stream.forget()

    def _told(self, sentence: str) -> None:
        self._state.problems[self._topic] = f"{self._topic}: {sentence}"
        self._tell(f"video {self._topic} {sentence}", f"{self._topic}: {sentence}")
