"""LabelInfo: the name of every class id."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from std_msgs.msg import Header

from mtpano_model.classes import ClassSet
from mtpano_ros.outputs.base import Message, Output, Result
from mtpano_ros.topics import Topic

try:
    from vision_msgs.msg import LabelInfo
except ImportError:
    LabelInfo = None


class ClassNames(Output):
    """`label_info`: published at every activation, if vision_msgs is installed."""

    if LabelInfo is not None:
        topics = (Topic("label_info", LabelInfo, depth=1, latched=True, display=""),)
    else:
        note = (
            "label_info is not published: vision_msgs is not installed "
            "(apt install ros-$ROS_DISTRO-vision-msgs)"
        )

    def fill(self, result: Result, wanted: Collection[Topic]) -> Iterable[Message]:
        return ()

    def announce(self, header: Header) -> Iterable[Message]:
        for topic in self.topics:
            yield Message(topic, label_info(header, self.model.classes))


def label_info(header: Header, classes: ClassSet) -> Any:
    """A vision_msgs/LabelInfo: id -> name. Call only where vision_msgs is installed."""
    from vision_msgs.msg import LabelInfo, VisionClass

    return LabelInfo(
        header=header,
        class_map=[
            VisionClass(class_id=index, class_name=name) for index, name in enumerate(classes.names)
        ],
        threshold=0.0,
    )
