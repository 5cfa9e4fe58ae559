"""CameraInfo of the panorama, for programs that turn pixels into rays."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from mtpano_ros.outputs.base import Message, Output, Result
from mtpano_ros.topics import Topic


class SphereInfo(Output):
    """`camera_info`: needs nothing of the network, so that it alone never runs it."""

    topics = (Topic("camera_info", CameraInfo, display=""),)

    def fill(self, result: Result, wanted: Collection[Topic]) -> Iterable[Message]:
        yield Message(self.topics[0], camera_info(result.header, result.size))


def camera_info(header: Header, size: tuple[int, int]) -> CameraInfo:
    """K, R and P are zero, so that nobody takes a sphere for a pinhole: "uncalibrated", to ROS.

    The size says all: column = (lon / 2 pi + 1/2) W and row = (1/2 - lat / pi) H, where integer +
    0.5 is a pixel's centre.
    """
    height, width = size
    return CameraInfo(
        header=header,
        height=height,
        width=width,
        distortion_model="equirectangular",
        d=[],
    )
