"""Lenses around a running node: rig files, the pictures that they take, and their publishers."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from fisheye_views import back_to_back, rig_pictures
from lenses import LENSES
from node_harness import Robot, image, stamped, wait_until
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image

from mtpano_model.rig.rig import Rig
from mtpano_model.rig.writing import rig_yaml

SMALL = LENSES["equidistant"].scaled_to((360, 368))
QOS = QoSProfile(depth=30, reliability=ReliabilityPolicy.RELIABLE)


def two_fisheyes(**settings: Any) -> Rig:
    """Back to back on the topics front and back; a busy host may be half a second late."""
    return back_to_back(SMALL, **{"wait": 0.5, **settings})


def rig_file(folder: Path, rig: Rig) -> str:
    """The path of a file that describes it."""
    path = folder / "rig.yaml"
    path.write_text(rig_yaml(rig))
    return str(path)


def picture(topic: str, pixels: np.ndarray, stamp: int, **changes: Any) -> Image:
    """A lens's Image, in a frame of its own."""
    message = image(pixels, stamp, **changes)
    message.header.frame_id = f"{topic}_optical"
    return message


def video(packet: bytes, stamp: int, form: str = "h264") -> CompressedImage:
    """A packet as drivers send it."""
    message = stamped(CompressedImage(format=form), stamp)
    message.data.frombytes(packet)
    return message


class Lenses:
    """Publishers of lens topics, matched with the node before anything is sent."""

    def __init__(self, bot: Robot, topics: Mapping[str, type]) -> None:
        self._bot = bot
        self._cameras = {
            topic: bot.world.create_publisher(kind, topic, QOS) for topic, kind in topics.items()
        }

    def send(self, topic: str, message: Any) -> None:
        """Publish, once the node listens and knows the camera."""
        camera = self._cameras[topic]
        wait_until(camera.get_subscription_count, what=f"the node listens to {topic}")
        wait_until(lambda: self._found(camera.topic_name), what=f"the node knows {topic}")
        camera.publish(message)

    def _found(self, name: str) -> bool:
        mine = [s for s in self._bot.node.subscriptions if s.topic_name == name]
        return any(s.get_publisher_count() for s in mine)

    def moment(self, pictures: Mapping[str, np.ndarray], stamp: int = 0) -> int:
        """Send a picture of every lens with one stamp, which is returned."""
        stamp = stamp or time.time_ns()
        for topic, pixels in pictures.items():
            self.send(topic, picture(topic, pixels, stamp))
        return stamp

    def process(self, pictures: Mapping[str, np.ndarray]) -> int:
        """The same, and wait until it has gone through."""
        before = self._bot.count("processed")
        stamp = self.moment(pictures)
        wait_until(lambda: self._bot.count("processed") > before, what="a moment is processed")
        return stamp


def seen_by(rig: Rig, panorama: np.ndarray) -> dict[str, np.ndarray]:
    """The pictures of a rig in that panorama, by topic."""
    return rig_pictures(panorama, rig)
