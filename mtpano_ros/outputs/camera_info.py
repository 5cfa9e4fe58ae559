"""CameraInfo of the panorama, for programs that turn pixels into rays."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from mtpano_ros.outputs.base import Message, Output, Result
from mtpano_ros.topics import Topic


class SphereInfo(Output):
    """`camera_info`: needs no result of the network, so that it never causes inference."""

    topics = (Topic("camera_info", CameraInfo, display=""),)

    def fill(self, result: Result, wanted: Collection[Topic]) -> Iterable[Message]:
        yield Message(self.topics[0], camera_info(result.header, result.size))


def camera_info(header: Header, size: tuple[int, int]) -> CameraInfo:
    """A CameraInfo for a size (H, W).

    K, R and P are zero, "uncalibrated" by ROS's definition, so that no program takes the sphere for
    a pinhole.

    The projection follows from the size: column = (lon / 2 pi + 1/2) W and row = (1/2 - lat / pi)
    H, where integer + 0.5 is a pixel's centre.
    """
    height, width = size
    return CameraInfo(
        header=header,
        height=height,
        width=width,
        distortion_model="equirectangular",
        d=[],
    )
