"""Play an image, a folder, a video or a rosbag2 as if it were a 360 degree camera.

    ros2 run mtpano_ros player PATH --rate 10 --ros-args -r image:=/camera/image

Publishes `image` (sensor_msgs/Image, rgb8), or with `--compressed` `image/compressed`
(sensor_msgs/CompressedImage, JPEG), stamped with the node's clock at the moment of sending.
Decoding runs ahead in a thread, so the rate holds; short inputs are decoded only once.
"""

from __future__ import annotations

import json
import sys
import time
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
import tyro
from numpy.typing import NDArray
from rclpy.duration import Duration
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CompressedImage, Image

from mtpano_model.errors import MtpanoError
from mtpano_model.picture_size import parse_size
from mtpano_ros.prefetch import Prefetcher
from mtpano_ros.process import Spinner, run_command, spinning_node, split_ros_args
from mtpano_ros.sources import PANORAMAS, Source, open_source
from mtpano_ros.sources import Image as Pixels

DEFAULT_RATE = 5.0
KEEP_BYTES = 256 << 20
# Fast DDS matches both ends at slightly different moments; what is sent in between is lost.
SETTLE_SECONDS = 0.5

Message: TypeAlias = Image | CompressedImage


@dataclass
class Args:
    """Play an image, a folder of images, a video or a rosbag2 as a 360 degree camera."""

    input: tyro.conf.Positional[Path] = PANORAMAS
    """Image, folder, video file or rosbag2 (sqlite3, MCAP); default: five bundled panoramas."""
    rate: float | None = None
    """Images per second; default: the video's or bag's own rate, otherwise 5."""
    size: str | None = None
    """Resize to HEIGHTxWIDTH, such as 512x1024; the reverse is understood too, since panoramas are
    wide. Default: as stored."""
    once: bool = False
    """Stop at the end of the input instead of starting over."""
    frames: int = 0
    """Stop after this many images; 0 goes on."""
    compressed: bool = False
    """Publish JPEG on image/compressed instead of raw rgb8 on image."""
    quality: int = 90
    """JPEG quality, 1 to 100."""
    frame_id: str = "camera_optical_frame"
    """The frame_id of every header."""
    topic: str | None = None
    """Topic to read from a rosbag2; default: its only image topic."""
    wait_for_subscribers: int = 0
    """Send nothing before this many subscribers are matched."""
    timeout: float = 30.0
    """Seconds to wait for them before giving up."""
    report: Path | None = None
    """Write what was sent as JSON to this file at the end."""

    def __post_init__(self) -> None:
        if self.rate is not None and not 0 < self.rate <= 1000:
            raise MtpanoError(f"--rate {self.rate}: expected images per second above 0, up to 1000")
        if not 1 <= self.quality <= 100:
            raise MtpanoError(f"--quality {self.quality}: expected a number from 1 to 100")
        if self.frames < 0:
            raise MtpanoError(f"--frames {self.frames}: expected 0 (endless) or a positive count")


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    own, ros = split_ros_args(sys.argv[1:] if argv is None else argv)
    return run_command(lambda: play(tyro.cli(Args, prog="player", args=own), ros))


def play(args: Args, ros_args: list[str]) -> int:
    """Send the stream until it ends or a signal comes; returns the exit status."""
    source = open_source(args.input, args.topic)
    rate = args.rate or source.rate or DEFAULT_RATE
    prepare = message_maker(args)
    with spinning_node("player", ros_args) as spinner:
        publisher = create_publisher(spinner, args.compressed)
        log = spinner.node.get_logger()
        with Prefetcher(repeat(source, prepare, args.once)) as messages:
            if wait_for_subscribers(spinner, publisher, args):
                log.info(f"playing {source.description} on {publisher.topic_name} at {rate:g} Hz")
            report = send(spinner, publisher, messages, rate, args.frames)
        # Leaving tears down shared memory that a reader may still be reading from.
        publisher.wait_for_all_acked(Duration(seconds=2))
        wait_until(spinner, time.monotonic() + SETTLE_SECONDS)
        log.info(f"sent {report['sent']} images, {report['late']} of them late")
    if args.report is not None:
        args.report.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 0


def create_publisher(spinner: Spinner, compressed: bool) -> Publisher:
    """Publisher on `image`, or on the name `image` is remapped to plus `/compressed`.

    Reliable by default, which every subscriber accepts; `qos_overrides` makes it best effort.
    """
    node = spinner.node
    topic = node.resolve_topic_name("image") + ("/compressed" if compressed else "")
    qos = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)
    overrides = QoSOverridingOptions.with_default_policies()
    message_type = CompressedImage if compressed else Image
    return node.create_publisher(message_type, topic, qos, qos_overriding_options=overrides)


# --- pixels to messages --------------------------------------------------------------------------


def message_maker(args: Args) -> Callable[[Pixels], Message]:
    """The function that turns an RGB array into the message to send, all but its stamp."""
    size = None if args.size is None else wide_size(args.size)

    def prepare(rgb: Pixels) -> Message:
        if size is not None and rgb.shape[:2] != size:
            rgb = resize(rgb, size)
        message = compressed_message(rgb, args.quality) if args.compressed else raw_message(rgb)
        message.header.frame_id = args.frame_id
        return message

    return prepare


def resize(rgb: Pixels, size: tuple[int, int]) -> Pixels:
    """The image at (H, W), averaged where it shrinks."""
    shrinking = size[1] < rgb.shape[1]
    method = cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(rgb, size[::-1], interpolation=method), np.uint8)


def wide_size(text: str) -> tuple[int, int]:
    """(H, W) of "512x1024" and of "1024x512"."""
    height, width = sorted(parse_size(text))
    return height, width


def raw_message(rgb: Pixels) -> Image:
    """rgb8 Image without padding."""
    message = Image(height=rgb.shape[0], width=rgb.shape[1], encoding="rgb8")
    message.step = 3 * rgb.shape[1]
    message.data = byte_array(rgb)
    return message


def compressed_message(rgb: Pixels, quality: int) -> CompressedImage:
    """JPEG CompressedImage."""
    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    done, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise MtpanoError(f"an image of shape {rgb.shape} cannot be encoded as JPEG")
    message = CompressedImage(format="jpeg")
    message.data = byte_array(jpeg)
    return message


def byte_array(pixels: NDArray[Any]) -> array:
    """The bytes as array('B'), the one type rclpy takes without checking every element."""
    data = array("B")
    data.frombytes(np.ascontiguousarray(pixels).data)
    return data


# --- the stream ----------------------------------------------------------------------------------


def repeat(
    source: Source, prepare: Callable[[Pixels], Message], once: bool, keep_bytes: int = KEEP_BYTES
) -> Iterator[Message]:
    """Messages of the source, over and over unless `once`.

    Messages that fit into `keep_bytes` altogether are made in the first pass only.
    """
    kept: list[Message] | None = []
    room = keep_bytes
    while True:
        for rgb in source.frames():
            message = prepare(rgb)
            room -= len(message.data)
            if room < 0:
                kept = None
            if kept is not None:
                kept.append(message)
            yield message
        while kept and not once:
            yield from kept
        if once:
            return


def wait_for_subscribers(spinner: Spinner, publisher: Publisher, args: Args) -> bool:
    """True once enough subscribers are matched, False on a signal; MtpanoError on timeout."""
    if args.wait_for_subscribers <= 0:
        return True
    spinner.node.get_logger().info(
        f"waiting for {args.wait_for_subscribers} subscribers on {publisher.topic_name}"
    )
    deadline = time.monotonic() + args.timeout
    while (found := publisher.get_subscription_count()) < args.wait_for_subscribers:
        if spinner.stop.is_set():
            return False
        if time.monotonic() > deadline:
            raise MtpanoError(
                f"{found} of {args.wait_for_subscribers} subscribers on {publisher.topic_name} "
                f"after {args.timeout:g} s: start the node, or check topic name, ROS_DOMAIN_ID "
                "and QoS"
            )
        spinner.spin_for(0.05)
    wait_until(spinner, time.monotonic() + SETTLE_SECONDS)
    return True


def send(
    spinner: Spinner,
    publisher: Publisher,
    messages: Prefetcher[Message],
    rate: float,
    frames: int,
) -> dict[str, float]:
    """Publish at an exact pace: sent, late (by over half a period) and the measured rate."""
    period = 1.0 / rate
    sent = late = 0
    started = due = time.monotonic()
    while not spinner.stop.is_set() and not (frames and sent >= frames):
        message = messages.take(spinner.stop)
        if message is None:
            break
        wait_until(spinner, due)
        if spinner.stop.is_set():
            break
        message.header.stamp = spinner.node.get_clock().now().to_msg()
        publisher.publish(message)
        now = time.monotonic()
        if sent == 0:
            started = due = now
        sent += 1
        late += now - due > period / 2
        # A camera that was held up does not send faster afterwards.
        due = due + period if now - due < period else now + period
    seconds = time.monotonic() - started
    return {"sent": sent, "late": late, "rate": (sent - 1) / seconds if sent > 1 else 0.0}


def wait_until(spinner: Spinner, due: float) -> None:
    """Serve callbacks until `due` (monotonic seconds) or a signal."""
    # The executor's wait is a few hundred microseconds off, so the last stretch is slept.
    while (left := due - time.monotonic()) > 0.003 and not spinner.stop.is_set():
        spinner.spin_for(left - 0.002)
    if (left := due - time.monotonic()) > 0:
        time.sleep(left)


if __name__ == "__main__":
    sys.exit(main())
