"""Bags of video, in the three types of message that carry it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bag_files import STORE, header, typesys, write_bag

pytest.importorskip("av", reason="PyAV is not installed (extra video)")

# As their packages define them.
FFMPEG = """std_msgs/Header header
int32 width
int32 height
string encoding
uint64 pts
uint8 flags
bool is_bigendian
uint8[] data
"""
FOXGLOVE = """builtin_interfaces/Time timestamp
string frame_id
uint8[] data
string format
"""
for name, text in (
    ("ffmpeg_image_transport_msgs/msg/FFMPEGPacket", FFMPEG),
    ("foxglove_msgs/msg/CompressedVideo", FOXGLOVE),
):
    STORE.register(typesys.get_types_from_msg(text, name))
T = STORE.types


def image(packet: bytes, stamp: int, codec: str = "h264"):
    data = np.frombuffer(packet, np.uint8)
    return T["sensor_msgs/msg/CompressedImage"](header(stamp), codec, data)


def ffmpeg(packet: bytes, stamp: int, codec: str = "h264"):
    data = np.frombuffer(packet, np.uint8)
    encoding = f"{codec};yuv420p;bgr8;bgr8"
    kind = T["ffmpeg_image_transport_msgs/msg/FFMPEGPacket"]
    return kind(header(stamp), 192, 96, encoding, stamp, 0, False, data)


def foxglove(packet: bytes, stamp: int, codec: str = "h264"):
    data, time = np.frombuffer(packet, np.uint8), header(stamp).stamp
    return T["foxglove_msgs/msg/CompressedVideo"](time, "camera", data, codec)


FORMS = {"CompressedImage": image, "FFMPEGPacket": ffmpeg, "CompressedVideo": foxglove}
SECOND = 10**9


def video_bag(path: Path, packets, numbers, form: str = "CompressedImage", codec: str = "h264"):
    """A bag of packets; that of number n is stamped n + 1 seconds."""
    messages = [FORMS[form](packets[n], (n + 1) * SECOND, codec) for n in numbers]
    return write_bag(path, {"/camera/video": messages})
