"""Which ROS messages carry video, and the packet in them. Any object with their fields will do.

CompressedImage with `format` h264 or the like, ffmpeg_image_transport_msgs/FFMPEGPacket, and
foxglove_msgs/CompressedVideo, which has a `timestamp` and a `frame_id` in the place of a header.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from mtpano_model.pictures.messages import VIDEO_FORMATS


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
    words = getattr(message, "format", "").lower().replace(".", "").replace(";", " ").split()
    for word in words:
        if word.startswith(VIDEO_FORMATS):
            return VideoPacket(word, bytes(message.data), stamp_of(message))
    return None


def stamp_of(message: Any) -> int:
    """The stamp of a picture's or packet's message, in nanoseconds."""
    stamp = message.timestamp if hasattr(message, "timestamp") else message.header.stamp
    return int(stamp.sec) * 10**9 + int(stamp.nanosec)
