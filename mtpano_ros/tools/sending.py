"""Sends messages at an exact rate, or as the pictures of a camera arrive."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from rclpy.publisher import Publisher
from rclpy.time import Time

from mtpano_model.errors import MtpanoError
from mtpano_ros.process.spinning import Spinner
from mtpano_ros.tools.forms import Pixels, stamp_message
from mtpano_ros.tools.live import Taken
from mtpano_ros.tools.prefetch import Prefetcher
from mtpano_ros.tools.sources import Source

Publish = Callable[[Any, Any], None]  # a message or several, with their stamp
KEEP_BYTES = 256 << 20
# Fast DDS matches both ends at slightly different moments; what is sent in between is lost.
SETTLE_SECONDS = 0.5


def repeat(
    source: Source, prepare: Callable[[Pixels], Any], once: bool, keep_bytes: int = KEEP_BYTES
) -> Iterator[Any]:
    """Messages of the source, over and over unless `once`.

    Messages that fit into `keep_bytes` altogether are made in the first pass only. MtpanoError
    where a pass gives none.
    """
    kept: list[Any] | None = []
    room = keep_bytes
    while True:
        is_empty = True
        for rgb in source.frames():
            is_empty = False
            message = prepare(rgb)
            room -= len(message.data)
            if room < 0:
                kept = None
            if kept is not None:
                kept.append(message)
            yield message
        if is_empty:  # or the next pass would begin at once, for ever
            raise MtpanoError(f"{source.description}: none of it can be played, see above")
        while kept and not once:
            yield from kept
        if once:
            return


def wait_for_subscribers(
    spinner: Spinner, publisher: Publisher, count: int, timeout: float
) -> bool:
    """True once enough subscribers are matched, False on a signal; MtpanoError on timeout."""
    if count <= 0:
        return True
    spinner.node.get_logger().info(f"waiting for {count} subscribers on {publisher.topic_name}")
    deadline = time.monotonic() + timeout
    while not spinner.stop.is_set():
        found = publisher.get_subscription_count()
        if found >= count:
            wait_until(spinner, time.monotonic() + SETTLE_SECONDS)
            # A subscriber may only have looked in.
            if publisher.get_subscription_count() >= count:
                return True
        if time.monotonic() > deadline:
            raise MtpanoError(
                f"{found} of {count} subscribers on {publisher.topic_name} "
                f"after {timeout:g} s: start the node, or check topic name, ROS_DOMAIN_ID "
                "and QoS"
            )
        spinner.spin_for(0.05)
    return False


def stamping(publisher: Publisher, frame_id: str) -> Publish:
    """Publishes a message in that frame."""

    def publish(message: Any, stamp: Any) -> None:
        stamp_message(message, stamp, frame_id)
        publisher.publish(message)

    return publish


def send(
    spinner: Spinner, publish: Publish, messages: Prefetcher[Any], rate: float, frames: int
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
        publish(message, spinner.node.get_clock().now().to_msg())
        now = time.monotonic()
        if sent == 0:
            started = due = now
        sent += 1
        late += now - due > period / 2
        # A camera that was held up does not send faster afterwards.
        due = due + period if now - due < period else now + period
    seconds = time.monotonic() - started
    return {"sent": sent, "late": late, "rate": (sent - 1) / seconds if sent > 1 else 0.0}


def send_live(
    spinner: Spinner,
    publish: Publish,
    camera: Prefetcher[Taken],
    prepare: Callable[[Pixels], Any],
    rate: float | None,
    frames: int,
) -> dict[str, float]:
    """Publish a camera's pictures as they come, each with the time when it was taken; at most
    `rate` a second where that is given."""
    period = 0 if rate is None else round(0.95e9 / rate)  # cameras are not exact
    sent, due, started = 0, 0, time.monotonic()
    while not spinner.stop.is_set() and not (frames and sent >= frames):
        taken = camera.take(spinner.stop)
        if taken is None:
            break
        spinner.spin_for(0.0)
        if due - period <= taken.stamp < due:  # further back, the clock was set
            continue
        due = taken.stamp + period
        message = prepare(taken.rgb)
        publish(message, Time(nanoseconds=taken.stamp).to_msg())
        if sent == 0:
            started = time.monotonic()
        sent += 1
    seconds = time.monotonic() - started
    measured = (sent - 1) / seconds if sent > 1 else 0.0
    return {"sent": sent, "late": 0, "rate": measured, "dropped": camera.dropped}


def wait_until(spinner: Spinner, due: float) -> None:
    """Serve callbacks until `due` (monotonic seconds) or a signal."""
    # The executor's wait is a few hundred microseconds off, so the last stretch is slept.
    while (left := due - time.monotonic()) > 0.003 and not spinner.stop.is_set():
        spinner.spin_for(left - 0.002)
    if (left := due - time.monotonic()) > 0:
        time.sleep(left)
