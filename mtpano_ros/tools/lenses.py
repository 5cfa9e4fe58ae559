"""Plays panoramas as the two raw fisheyes of a camera, for `demo --rig`.

    python -m mtpano_ros.start lenses --write-rig rig.yaml
    python -m mtpano_ros.start lenses my_panoramas/ --form h264

Publishes `front` and `back`, as sensor_msgs/Image or as H.264 in CompressedImage, both with one
stamp; and on `image` the panorama itself with the same stamp, for drawing.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tyro
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image

from mtpano_model.errors import MtpanoError
from mtpano_model.geometry.cameras import Camera
from mtpano_model.geometry.sphere import yaw_matrix
from mtpano_model.rig.rig import Lens, Rig
from mtpano_model.rig.views import LensView
from mtpano_model.rig.writing import rig_yaml
from mtpano_model.whole_files import write_json, write_whole_text
from mtpano_ros.process.spinning import (
    Spinner,
    check_rate,
    check_seconds,
    run_tool,
    spinning_node,
)
from mtpano_ros.tools.forms import raw_form, raw_message, video_form
from mtpano_ros.tools.prefetch import Prefetcher
from mtpano_ros.tools.sending import SETTLE_SECONDS, send, wait_until
from mtpano_ros.tools.sources import PANORAMAS, Pixels, Source, open_source

# As those of an Insta360 at 1920x960.
SIZE, FOCAL, FIELD_OF_VIEW = 960, 275.0, 196.0
PANORAMA = "image"
TYPES = {"raw": Image, "h264": CompressedImage}


@dataclass
class Args:
    """Play panoramas as two raw fisheyes, back to back, on the topics front and back."""

    input: tyro.conf.Positional[Path] = PANORAMAS
    """Image, folder, video file or rosbag2; default: five bundled panoramas."""
    form: Literal["raw", "h264"] = "raw"
    """raw: pictures as Image. h264: video in CompressedImage."""
    rate: float = 5.0
    """Moments (a picture of each lens) per second."""
    frames: int = 0
    """Stop after this many moments; 0 goes on."""
    wait_for_subscribers: int = 0
    """Send nothing until each lens has a subscriber, and the topic image this many."""
    timeout: float = 30.0
    """Seconds to wait for subscribers before giving up."""
    report: Path | None = None
    """Write what was sent as JSON to this file at the end."""
    write_rig: Path | None = None
    """Write the rig file of these lenses to this path, and play nothing."""

    def __post_init__(self) -> None:
        check_rate(self.rate, "moments")
        check_seconds(timeout=self.timeout)


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    return run_tool(Args, "lenses", play, argv)


def demo_rig() -> Rig:
    """The lenses that are played."""
    middle = (SIZE - 1) / 2
    camera = Camera(
        "equidistant",
        (SIZE, SIZE),
        (FOCAL, FOCAL),
        (middle, middle),
        field_of_view=FIELD_OF_VIEW,
    )
    turns = {"front": np.eye(3), "back": yaw_matrix(np.pi)}
    return Rig(
        tuple(Lens(name, camera, turn, np.zeros(3), name) for name, turn in turns.items()),
        wait=0.2,  # both come from one process, which may be held up
    )


def write_rig(path: Path) -> None:
    """Write the rig file of the lenses that are played."""
    write_whole_text(path, [rig_yaml(demo_rig())])


def play(args: Args, ros_args: list[str]) -> int:
    """Send until the input ends or a signal comes; returns the exit status."""
    if args.write_rig is not None:
        write_rig(args.write_rig)
        return 0
    moments = repeated(open_source(args.input), message_makers(args))
    with spinning_node("lenses", ros_args) as spinner, Prefetcher(moments) as ready:
        qos = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)
        kinds = {lens.name: TYPES[args.form] for lens in demo_rig().lenses} | {PANORAMA: Image}
        publishers = {
            name: spinner.node.create_publisher(kind, name, qos) for name, kind in kinds.items()
        }
        if args.wait_for_subscribers:
            wait_for_subscribers(spinner, publishers, args)

        def publish(moment: dict[str, Any], stamp: Any) -> None:
            for name, message in moment.items():
                message.header.stamp = stamp
                publishers[name].publish(message)

        report = send(spinner, publish, ready, args.rate, args.frames)
        wait_until(spinner, time.monotonic() + 2 * SETTLE_SECONDS)
    if args.report is not None:
        write_json(args.report, report)
    return 0


def message_makers(args: Args) -> Callable[[Pixels], dict[str, Image | CompressedImage]]:
    """What turns a panorama into the messages of one moment, all but their stamp."""
    views: dict[tuple[int, ...], dict[str, LensView]] = {}
    forms = {  # of every lens its own, since an encoder sees one stream
        lens.name: raw_form()
        if args.form == "raw"
        else video_form(args.form, "compressed_image", args.rate)
        for lens in demo_rig().lenses
    }

    def messages(panorama: Pixels) -> dict[str, Image | CompressedImage]:
        size = panorama.shape[0], panorama.shape[1]
        if size not in views:
            views[size] = {lens.name: LensView(lens, size) for lens in demo_rig().lenses}
        made: dict[str, Image | CompressedImage] = {PANORAMA: raw_message(panorama)}
        for name, view in views[size].items():
            made[name] = forms[name].make(view(panorama))
            made[name].header.frame_id = f"{name}_optical_frame"
        made[PANORAMA].header.frame_id = "camera_optical_frame"
        return made

    return messages


def repeated(
    source: Source, make: Callable[[Pixels], dict[str, Image | CompressedImage]]
) -> Iterator[dict[str, Image | CompressedImage]]:
    """The moments of the source, over and over."""
    while True:
        for panorama in source.frames():
            yield make(panorama)


def wait_for_subscribers(spinner: Spinner, publishers: dict[str, Any], args: Args) -> None:
    """Return once all are matched, or on a signal; MtpanoError on timeout."""
    wanted = {name: args.wait_for_subscribers if name == PANORAMA else 1 for name in publishers}
    deadline = time.monotonic() + args.timeout
    while missing := [
        name for name, one in publishers.items() if one.get_subscription_count() < wanted[name]
    ]:
        if spinner.stop.is_set():
            return
        if time.monotonic() > deadline:
            raise MtpanoError(
                f"nobody subscribes to {', '.join(missing)} after {args.timeout:g} s: start the "
                "node with the rig file of --write-rig"
            )
        spinner.spin_for(0.05)
    wait_until(spinner, time.monotonic() + SETTLE_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
