"""Finds the message classes of camera pictures by their ROS names."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from std_msgs.msg import Header

from mtpano_model.errors import MtpanoError
from mtpano_model.pictures.messages import PICTURE_TYPES

_EXPECTED = "expected Image, CompressedImage, FFMPEGPacket or CompressedVideo"


def picture_type(topic: str, published: list[str]) -> Any:
    """The message class for a topic that is published with these types.

    None if nobody publishes it. MtpanoError if none of the types carries pictures, or its package
    is not installed.
    """
    name = next((one for one in PICTURE_TYPES if one in published), None)
    if name is None and published:
        raise MtpanoError(f"{topic} has messages of type {published[0]}, {_EXPECTED}")
    if name is None:
        return None
    return message_class(name, f"{topic} has messages of type {name}, whose package")


def message_class(name: str, package_of: str) -> Any:
    """The class of a type such as sensor_msgs/msg/Image.

    package_of: the beginning of the MtpanoError's message if its package is not installed.
    """
    package, _, kind = name.split("/")
    try:
        return getattr(import_module(f"{package}.msg"), kind)
    except (ImportError, AttributeError):
        raise MtpanoError(
            f"{package_of} is not installed: "
            f"apt install ros-$ROS_DISTRO-{package.replace('_', '-')}"
        ) from None


def header_of(message: Any) -> Header:
    """The header; that of a CompressedVideo is made from its timestamp and frame_id."""
    if hasattr(message, "header"):
        header: Header = message.header
        return header
    return Header(stamp=message.timestamp, frame_id=message.frame_id)
