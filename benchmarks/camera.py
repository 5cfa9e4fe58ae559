"""A camera that stays connected from run to run, told what to send on stdin.

    python -m benchmarks.camera --ros-args -r __ns:=/ours

Commands are lines of JSON: {"play": {"size": [WIDTH, HEIGHT], "rate": HZ, "frames": N}} answers
true and sends the bundled panoramas as the player does; {"sent": true} answers null as long
as that lasts, then how many were sent. It ends with its stdin.
"""

from __future__ import annotations

import json
import sys
import threading
from itertools import cycle
from typing import Any

from rclpy.publisher import Publisher
from sensor_msgs.msg import Image

from benchmarks.remote import answer
from mtpano_ros.process.spinning import Spinner, spinning_node, split_ros_args
from mtpano_ros.tools.forms import raw_form
from mtpano_ros.tools.player import Args, create_publisher, message_maker
from mtpano_ros.tools.prefetch import Prefetcher
from mtpano_ros.tools.sending import send, stamping, wait_for_subscribers
from mtpano_ros.tools.sources import PANORAMAS, open_source

MATCH_SECONDS = 60.0


class Camera:
    """Sends one stream at a time, in a thread of its own."""

    def __init__(self, spinner: Spinner, publisher: Publisher) -> None:
        self._spinner, self._publisher = spinner, publisher
        self._publish = stamping(publisher, Args().frame_id)
        self._panoramas = list(open_source(PANORAMAS).frames())
        self._messages: dict[str, list[Image]] = {}
        self._sent: int | None = None

    def play(self, size: list[int], rate: float, frames: int) -> None:
        """Begin to send as soon as somebody listens."""
        self._sent = None
        threading.Thread(target=self._play, args=(size, rate, frames), daemon=True).start()

    @property
    def sent(self) -> int | None:
        """How many images the last stream had, None as long as it lasts."""
        return self._sent

    def _play(self, size: list[int], rate: float, frames: int) -> None:
        text = "{}x{}".format(*size)
        if text not in self._messages:
            self._messages[text] = list(
                map(message_maker(Args(size=text), raw_form()), self._panoramas)
            )
        if wait_for_subscribers(self._spinner, self._publisher, 1, MATCH_SECONDS):
            with Prefetcher(cycle(self._messages[text])) as messages:
                report = send(self._spinner, self._publish, messages, rate, frames)
            self._sent = int(report["sent"])


def main() -> None:
    """Obey stdin until it ends."""
    with spinning_node("camera", split_ros_args(sys.argv[1:])[1]) as spinner:
        camera = Camera(spinner, create_publisher(spinner, raw_form()))
        for line in sys.stdin:
            command: dict[str, Any] = json.loads(line)
            if "play" in command:
                camera.play(**command["play"])
                answer(True)
            else:
                answer(camera.sent)


if __name__ == "__main__":
    main()
