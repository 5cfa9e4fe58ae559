"""The interface of an output: its topics, the results that it needs, and how it fills its messages.

To add one, write a class in this folder and name it in table.py. The tests then require its topics
in deploy/sros2_policy.xml, rviz/pano.rviz and docs/node.md. transport_advice.py uses the class.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from std_msgs.msg import Header

from mtpano_model.graph.model_info import ModelInfo
from mtpano_model.inference.frame import Frame
from mtpano_model.pictures.size import Size
from mtpano_ros.camera.shot import Panorama
from mtpano_ros.mounting.mounting import Mounting, Pose
from mtpano_ros.outputs.memory import FrameMemory
from mtpano_ros.outputs.serialized import Buffer
from mtpano_ros.parameters.table import Parameters
from mtpano_ros.topics import Topic

# What an output may need: the fields of a Frame, which come from the network, and the camera's own
# colours at the size of the outputs. CONFIDENCE comes in the frame's extras. HEIGHT is how far the
# floor is below the camera, in the pose.
DEPTH, NORMALS, LABELS, COLORS = "depth", "normals", "labels", "colors"
CONFIDENCE, HEIGHT = "confidence", "height"


@dataclass
class Result:
    """The results of one image, from which outputs are filled.

    header: the image's stamp, and the frame of the camera. frame: at the size of the outputs; only
    the arrays that a wanted output needs are filled. pose: the camera's attitude and height.
    """

    header: Header
    frame: Frame
    panorama: Panorama
    parameters: Parameters
    memory: FrameMemory
    pose: Pose
    mounting: Mounting

    @property
    def size(self) -> Size:
        """(H, W) of the outputs."""
        return self.frame.size

    @cached_property
    def solid(self) -> Frame:
        """The frame without the depth of flying points, see `edge_filter`.

        The frame must have depth and normals.
        """
        filtering = self.memory.edge_filter(self.parameters.edge_filter)
        if filtering is None:
            return self.frame
        depth = self.frame.depth.copy()
        depth[filtering.hanging(depth, self.frame.normals)] = np.nan
        return replace(self.frame, depth=depth)

    def untransformed(self, reason: str) -> None:
        """Note that an output is sent in the image's own frame, since a transform is missing."""
        state = self.mounting.state
        state.untransformed += 1
        state.untransformed_reason = reason

    @cached_property
    def picture(self) -> NDArray[np.uint8]:
        """The image [H, W, 3] at the size of the outputs, channels in `panorama.order`."""
        return self.memory.picture(self.panorama.colors(self.size), self.size)


class Message(NamedTuple):
    """A message for a topic. buffer: holds its data; None if the message itself does."""

    topic: Topic
    message: Any
    buffer: Buffer | None = None


class Output(ABC):
    """One kind of result. An instance lives from configure to cleanup; one thread calls `fill`.

    topics: all topics that it may publish, in the order of sending. A class names them; an
        instance may replace them as its parameters require. A latched topic (label_info,
        /tf_static) is not a reason to compute anything; it is passed to `fill` whenever another
        topic of the output is wanted. Outputs that name the same topic share its publisher.
    note: a line for the log, such as why the output has no topics.
    needed: the results that each of its topics needs, by the names above; see `needs` if they
        differ. bytes_per_pixel: of its largest message; 0 if that is small or not an image.
    """

    topics: tuple[Topic, ...] = ()
    note = ""
    needed: frozenset[str] = frozenset()
    bytes_per_pixel = 0

    def __init__(self, model: ModelInfo, parameters: Parameters) -> None:
        """parameters: those at configure, for settings that are fixed from then on."""
        self.model = model
        self._buffer = Buffer()  # for its message; empty until it is filled

    def needs(self, wanted: Collection[Topic]) -> frozenset[str]:
        """The results that the `wanted` ones of its topics need; `needed` by default."""
        return self.needed

    @abstractmethod
    def fill(self, result: Result, wanted: Collection[Topic]) -> Iterable[Message]:
        """The messages of one image for the `wanted` topics."""

    def announce(self, header: Header) -> Iterable[Message]:
        """Messages of latched topics that are due at every activation; none by default."""
        return ()

    def message_bytes(self, size: Size, parameters: Parameters) -> int:
        """Bytes of the data of its largest message, for outputs of `size` (H, W)."""
        return size[0] * size[1] * self.bytes_per_pixel

    def remedy(self, size: Size, parameters: Parameters, limit: int) -> str:
        """The setting with which the largest message has at most `limit` bytes.

        Empty if only a smaller size of all outputs helps.
        """
        return ""
