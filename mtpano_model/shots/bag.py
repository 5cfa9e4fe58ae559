"""Reads panoramas from a rosbag2 recording, without ROS or torch, with a live node's pixels."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import islice, pairwise
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtpano_model.errors import MtpanoError
from mtpano_model.pictures.folders import readable
from mtpano_model.pictures.messages import (
    FFMPEG,
    FOXGLOVE,
    PICTURE_TYPES,
    read_message,
    unusable,
)
from mtpano_model.pictures.picture import BadPicture, NoteTeller, Picture
from mtpano_model.shots.recording import Message, Recording, open_recording
from mtpano_model.shots.storage import decompressed, warn_once
from mtpano_model.shots.video import VideoReader, video_panorama
from mtpano_model.video.decoder import video_codec
from mtpano_model.video.messages import stamp_of, video_packet

log = logging.getLogger(__name__)

# The two that no standard installation has; the definitions are their packages'.
_DEFINITIONS = {
    FFMPEG: "std_msgs/Header header\nint32 width\nint32 height\nstring encoding\nuint64 pts\n"
    "uint8 flags\nbool is_bigendian\nuint8[] data\n",
    FOXGLOVE: "builtin_interfaces/Time timestamp\nstring frame_id\nuint8[] data\nstring format\n",
}
# So many messages tell a topic's rate; to read all would take minutes.
_RATE_MESSAGES = 31
_SHORTEST_INTERVAL = 10**6  # nanoseconds


@dataclass(frozen=True)
class BagImages:
    """One image topic: its name, the number of recorded messages (damaged ones included), and their
    rate per second, None if there is only one."""

    topic: str
    count: int
    rate: float | None


@dataclass(frozen=True)
class BagPicture:
    """One recorded message.

    stamp: nanoseconds, from the header, or the time of recording if the header has none or is
        damaged.
    decode: returns the picture. Its argument says whether the shape may differ from 2:1. BadPicture
        if it cannot be used.
    """

    stamp: int
    decode: Callable[[bool], Picture]


def find_images(bag_path: str | Path, topic: str | None = None) -> BagImages:
    """The pictures of one topic: the given one, or the bag's only one.

    A `<name>/compressed` twin of a raw topic does not count as a second one, nor does a topic of
    depth images, nor a video stream beside a topic of single pictures. MtpanoError names the topics
    the bag has.
    """
    with open_recording(Path(bag_path)) as recording:
        name = _choose_topic(recording, readable(bag_path), topic)
        stamps = [one.recorded for one in islice(recording.messages(name), _RATE_MESSAGES)]
        return BagImages(name, recording.counts[name], _rate(stamps))


def read_images(
    bag_path: str | Path, topic: str | None = None, allow_non_2to1: bool = False
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Yield (stamp in nanoseconds, RGB uint8 [H, W, 3]) of one topic in recorded order.

    bag_path: the bag's folder or a single .mcap / .db3 file. topic: image topic; None takes the
    only one (see `find_images`).

    A picture that cannot be used is skipped, with a warning for the first of each reason and the
    number of each at the end. Raises MtpanoError for an unreadable bag and a missing topic.
    """
    name = readable(bag_path)
    topic = find_images(bag_path, topic).topic
    skipped: Counter[str] = Counter()
    notes = NoteTeller(log)
    for picture in read_pictures(bag_path, topic):
        try:
            decoded = picture.decode(allow_non_2to1)
        except BadPicture as error:
            skipped[error.reason] += 1
            if skipped[error.reason] == 1:
                log.warning("%s: skipped a picture of %s at %d ns: %s", name, topic, picture.stamp,
                            error)  # fmt: skip
            continue
        notes.tell(f"{name}, {topic}", decoded)
        yield picture.stamp, decoded.rgb
    if skipped.total() > len(skipped):
        reasons = ", ".join(f"{count} for {reason}" for reason, count in skipped.items())
        log.warning(
            "%s: skipped %d pictures of %s in all: %s", name, skipped.total(), topic, reasons
        )


def read_pictures(bag_path: str | Path, topic: str | None = None) -> Iterator[BagPicture]:
    """Every recorded message of one topic, still encoded; arguments and errors as `read_images`.

    Of a video stream, the packets that complete a picture: it starts at a key frame, and after a
    lost packet nothing is returned until the next one. A warning at the end has the counts.
    """
    with open_recording(Path(bag_path)) as recording:
        name = _choose_topic(recording, readable(bag_path), topic)
        video: VideoReader | None = None
        for item in recording.messages(name):
            try:
                message = read_recorded(item)
            except BadPicture as damage:
                yield BagPicture(item.recorded, partial(_fail, damage))
                continue
            stamp = stamp_of(message) or item.recorded
            packet = video_packet(message)
            if packet is None:
                yield BagPicture(stamp, partial(read_message, message))
                continue
            if video is None:
                video = VideoReader(f"{readable(bag_path)}, {name}")
            picture = video.read(packet, stamp)
            if picture is not None:
                yield BagPicture(stamp, video_panorama(picture))
        if video is not None and (lost := video.summary()):
            warn_once(lost)


def _fail(damage: BadPicture, _allow: bool) -> Picture:
    raise damage


@lru_cache(maxsize=1)
def _types() -> Any:
    # Seconds of import, only when a bag is read.
    from rosbags.typesys import Stores, get_types_from_msg, get_typestore

    store = get_typestore(Stores.ROS2_HUMBLE)
    for name, definition in _DEFINITIONS.items():
        store.register(get_types_from_msg(definition, name))
    return store


def read_recorded(message: Message) -> Any:
    """The deserialized message; BadPicture if it is damaged."""
    try:
        return _types().deserialize_cdr(decompressed(message.data), message.kind)
    except MtpanoError:  # nothing here can decompress
        raise
    except Exception as error:  # anything from IndexError to struct.error on damaged bytes
        raise BadPicture(
            "data", f"the message is damaged ({type(error).__name__}: {error})"
        ) from error


def _rate(stamps: list[int]) -> float | None:
    """Messages per second by the median interval, which a pause in the recording does not change;
    None if they came faster than any camera's."""
    intervals = [later - earlier for earlier, later in pairwise(stamps)]
    usual = (median(intervals) or mean(intervals)) if intervals else 0
    return 1e9 / usual if usual >= _SHORTEST_INTERVAL else None


def _choose_topic(recording: Recording, bag: str, topic: str | None) -> str:
    images = {n: kind for n, kind in recording.topics.items() if kind in PICTURE_TYPES}
    listing = ", ".join(f"{name} ({kind})" for name, kind in sorted(images.items()))
    if not images:
        have = ", ".join(f"{n} ({k})" for n, k in sorted(recording.topics.items())) or "none at all"
        raise MtpanoError(
            f"bag {bag} has no image topic (its topics: {have}): record one, for example "
            "with `ros2 bag record /image_raw/compressed`"
        )
    if topic is not None:
        if topic not in images:
            raise MtpanoError(
                f"bag {bag} has no image topic '{topic}': its image topics are {listing}"
            )
        if problem := _problem(recording, topic):
            raise MtpanoError(f"topic '{topic}' of bag {bag}: {problem}")
        return topic
    problems = {name: _problem(recording, name) for name in images}
    usable = [name for name, problem in problems.items() if not problem]
    # Beside pictures, a stream is the same once more, or something that is not stitched yet.
    usable = [name for name in usable if not _is_video(recording, name)] or usable
    if not usable:
        told = "; ".join(f"{name}: {problem}" for name, problem in sorted(problems.items()))
        raise MtpanoError(f"bag {bag} has no topic of panoramas: {told}")
    single = [name for name in usable if name.removesuffix("/compressed") == name
              or name.removesuffix("/compressed") not in usable]  # fmt: skip
    if len(single) > 1:
        choice = ", ".join(f"{name} ({images[name]})" for name in sorted(usable))
        raise MtpanoError(f"bag {bag} has several image topics: name one with --topic: {choice}")
    return single[0]


def _problem(recording: Recording, topic: str) -> str:
    """Why a topic holds no panoramas, judged by its first message; "" if it may hold some."""
    first = next(recording.messages(topic), None)
    if first is None and recording.counts[topic]:
        return f"none of its {recording.counts[topic]} messages can be read, as it is damaged"
    if first is None:
        return "it is empty, no message of it was recorded"
    try:
        message = read_recorded(first)
    except BadPicture:  # others may be whole
        return ""
    packet = video_packet(message)
    if packet is None:
        return unusable(message)
    if video_codec(packet.name) is None:
        return (
            f"its video stream is of codec {packet.name[:40]!r}, expected h264 or h265: decode it "
            "first (ros2 run image_transport republish)"
        )
    return ""


def _is_video(recording: Recording, topic: str) -> bool:
    try:
        return any(video_packet(read_recorded(one)) for one in islice(recording.messages(topic), 1))
    except BadPicture:
        return False
