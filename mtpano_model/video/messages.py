"""Extracts video packets from ROS messages, or from any objects with the same fields.

CompressedImage with `format` h264 or the like, ffmpeg_image_transport_msgs/FFMPEGPacket, and
foxglove_msgs/CompressedVideo, which has a `timestamp` and a `frame_id` in the place of a header.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from mtpano_model.pictures.messages import video_format


class VideoPacket(NamedTuple):
    """name: of the codec, as the message has it. stamp: nanoseconds, 0 where it has none."""

    name: str
    data: bytes
    stamp: int


def video_packet(message: Any) -> VideoPacket | None:
    """The packet of a message; None where it holds no video."""
    if hasattr(message, "timestamp"):
        return VideoPacket(message.format, bytes(message.data), stamp_of(message))
    if hasattr(message, "pts"):
        return VideoPacket(message.encoding, bytes(message.data), stamp_of(message))
    word = video_format(getattr(message, "format", ""))
    return VideoPacket(word, bytes(message.data), stamp_of(message)) if word else None


def stamp_of(message: Any) -> int:
    """The stamp of a picture's or packet's message, in nanoseconds."""
    return nanoseconds(message.timestamp if hasattr(message, "timestamp") else message.header.stamp)


def nanoseconds(stamp: Any) -> int:
    """A builtin_interfaces/Time as one number."""
    return int(stamp.sec) * 10**9 + int(stamp.nanosec)
