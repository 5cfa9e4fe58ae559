"""Play an image, a folder, a video, a rosbag2 or a camera's stream as a 360 degree camera.

    ros2 run mtpano_ros player PATH --rate 10 --ros-args -r image:=/camera/image

Publishes `image` (sensor_msgs/Image, rgb8), with `--compressed` `image/compressed`
(sensor_msgs/CompressedImage, JPEG), or with `--video` H.264 or H.265, stamped with the node's clock
at the moment of sending; a camera's pictures with the time when they were taken.
Decoding runs ahead in a thread, so the rate holds; short inputs are decoded only once.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro
from rclpy.duration import Duration
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions

from mtpano_model.addresses import refuse_address
from mtpano_model.errors import MtpanoError
from mtpano_model.pictures.resize import resize_image
from mtpano_model.pictures.size import parse_size
from mtpano_model.whole_files import write_json
from mtpano_ros.process.spinning import (
    Spinner,
    check_rate,
    check_seconds,
    run_tool,
    spinning_node,
)
from mtpano_ros.tools.forms import (
    Form,
    Pixels,
    VideoMessage,
    VideoName,
    jpeg_form,
    raw_form,
    video_form,
)
from mtpano_ros.tools.live import is_live, live_pictures
from mtpano_ros.tools.prefetch import Prefetcher
from mtpano_ros.tools.sending import (
    SETTLE_SECONDS,
    repeat,
    send,
    send_live,
    stamping,
    wait_for_subscribers,
    wait_until,
)
from mtpano_ros.tools.sources import PANORAMAS, Source, open_source

DEFAULT_RATE = 5.0
CAMERA_RATE = 30.0  # pictures a second that a camera's video is encoded for


@dataclass
class Args:
    """Play an image, a folder of images, a video or a rosbag2 as a 360 degree camera."""

    input: tyro.conf.Positional[str] = str(PANORAMAS)
    """Image, folder, video file or rosbag2 (sqlite3, MCAP), or a camera: rtsp://USER:PASSWORD@HOST/...
    and other addresses that FFmpeg reads, /dev/video0 or uvc:0; default: five bundled panoramas."""
    rate: float | None = None
    """Images per second; default: the video's or bag's own rate, otherwise 5. For a camera it
    is a limit; default: every image is sent."""
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
    video: VideoName | None = None
    """Publish video, with a key frame every second and no B frames, instead of pictures."""
    video_message: VideoMessage = "compressed_image"
    """Messages of the stream: compressed_image (on image/compressed), ffmpeg_packet (image/ffmpeg,
    of ffmpeg_image_transport_msgs) or compressed_video (image/foxglove, of foxglove_msgs)."""
    frame_id: str = "camera_optical_frame"
    """The frame_id of every header."""
    topic: str | None = None
    """Topic to read from a rosbag2; default: its only image topic."""
    rig: Path | None = None
    """A rig file: the bag or the pictures are those of its lenses, and their panorama is played."""
    wait_for_subscribers: int = 0
    """Send nothing until there are this many subscribers."""
    timeout: float = 30.0
    """Seconds to wait for them before giving up."""
    report: Path | None = None
    """Write what was sent as JSON to this file at the end."""

    def __post_init__(self) -> None:
        if self.rate is not None:
            check_rate(self.rate, "images")
        if not 1 <= self.quality <= 100:
            raise MtpanoError(f"--quality {self.quality}: expected a number from 1 to 100")
        if self.video is not None and self.compressed:
            raise MtpanoError("--compressed is JPEG and --video is not: give one of them")
        check_seconds(timeout=self.timeout)
        if self.frames < 0:
            raise MtpanoError(f"--frames {self.frames}: expected 0 (endless) or a positive count")


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    return run_tool(Args, "player", play, argv)


def play(args: Args, ros_args: list[str]) -> int:
    """Send the stream until it ends or a signal comes; returns the exit status."""
    if args.input.lower().startswith("file:"):
        refuse_address(args.input)
    if is_live(args.input):
        if args.topic is not None or args.rig is not None:
            raise MtpanoError(
                "--topic and --rig are for what was recorded, and the input is a camera: leave "
                "them out"
            )
        return _play(args, ros_args, None)
    return _play(args, ros_args, open_source(Path(args.input), args.topic, args.rig))


def _play(args: Args, ros_args: list[str], source: Source | None) -> int:
    """source: None where a camera is read."""
    rate = args.rate or (None if source is None else source.rate) or DEFAULT_RATE
    form = picture_form(args, CAMERA_RATE if source is None and args.rate is None else rate)
    prepare = message_maker(args, form)
    with spinning_node("player", ros_args) as spinner:
        publisher = create_publisher(spinner, form)
        log = spinner.node.get_logger()
        with _pictures(source, args, prepare, spinner) as pictures:
            if wait_for_subscribers(spinner, publisher, args.wait_for_subscribers, args.timeout):
                what = "a camera" if source is None else f"{source.description} at {rate:g} Hz"
                log.info(f"playing {what} on {publisher.topic_name}")
            publish = stamping(publisher, args.frame_id)
            if source is None:
                report = send_live(spinner, publish, pictures, prepare, args.rate, args.frames)
            else:
                report = send(spinner, publish, pictures, rate, args.frames)
        # Leaving tears down shared memory that a reader may still be reading from.
        publisher.wait_for_all_acked(Duration(seconds=2))
        wait_until(spinner, time.monotonic() + SETTLE_SECONDS)
        log.info(f"sent {report['sent']} images, {report['late']} of them late")
    if args.report is not None:
        write_json(args.report, report)
    return 0


def _pictures(
    source: Source | None, args: Args, prepare: Callable[[Pixels], Any], spinner: Spinner
) -> Prefetcher[Any]:
    """Messages of a source; of a camera its pictures, since what is dropped must not be encoded."""
    if source is not None:
        return Prefetcher(repeat(source, prepare, args.once))

    def clock() -> int:
        return int(spinner.node.get_clock().now().nanoseconds)

    size = None if args.size is None else wide_size(args.size)
    return Prefetcher(live_pictures(args.input, spinner.stop, clock, size), depth=1, newest=True)


def picture_form(args: Args, rate: float) -> Form:
    """What is published; MtpanoError where something for it is missing."""
    if args.video is not None:
        return video_form(args.video, args.video_message, rate)
    return jpeg_form(args.quality) if args.compressed else raw_form()


def create_publisher(spinner: Spinner, form: Form) -> Publisher:
    """Publisher on `image`, or on the name `image` is remapped to plus the form's suffix.

    Reliable by default, which every subscriber accepts; `qos_overrides` makes it best effort.
    """
    node = spinner.node
    topic = node.resolve_topic_name("image") + form.suffix
    qos = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)
    overrides = QoSOverridingOptions.with_default_policies()
    return node.create_publisher(form.type, topic, qos, qos_overriding_options=overrides)


def message_maker(args: Args, form: Form) -> Callable[[Pixels], Any]:
    """The function that turns an RGB array into the message to send, all but its stamp."""
    size = None if args.size is None else wide_size(args.size)

    def prepare(rgb: Pixels) -> Any:
        if size is not None and rgb.shape[:2] != size:
            rgb = resize_image(rgb, size)
        return form.make(rgb)

    return prepare


def wide_size(text: str) -> tuple[int, int]:
    """(H, W) of "512x1024" and of "1024x512"."""
    height, width = sorted(parse_size(text))
    return height, width


if __name__ == "__main__":
    sys.exit(main())
