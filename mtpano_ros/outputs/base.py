"""What an output is: its topics, what it needs of a panorama, and how it fills its messages.

To add one, write a class in this folder and name it in table.py. The tests then ask for its topics
in deploy/sros2_policy.xml, rviz/pano.rviz and docs/node.md; the advice on transport asks the class.
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
    """What outputs are filled from, for one image.

    header: the image's stamp, and the frame of the camera. frame: at the size of the outputs; only
    those of its arrays are filled that a wanted output needs. pose: how the camera was held.
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
        """The frame without depth where points would hang in the air, see `edge_filter`.

        It needs depth and normals.
        """
        filtering = self.memory.edge_filter(self.parameters.edge_filter)
        if filtering is None:
            return self.frame
        depth = self.frame.depth.copy()
        depth[filtering.hanging(depth, self.frame.normals)] = np.nan
        return replace(self.frame, depth=depth)

    def untransformed(self, reason: str) -> None:
        """Something is sent in the image's own frame, since a transform is missing."""
        state = self.mounting.state
        state.untransformed += 1
        state.untransformed_reason = reason

    @cached_property
    def picture(self) -> NDArray[np.uint8]:
        """The image [H, W, 3] at the size of the outputs, channels in `panorama.order`."""
        return self.memory.picture(self.panorama.colors(self.size), self.size)


class Message(NamedTuple):
    """A message for a topic. buffer: holds its data, unless the message itself does."""

    topic: Topic
    message: Any
    buffer: Buffer | None = None


class Output(ABC):
    """One kind of result. An instance lives from configure to cleanup; one thread calls `fill`.

    topics: all that it may publish, in the order of sending. A class names them; an instance may
        replace them where parameters decide. A latched topic (label_info, /tf_static) does not
        count as a reason to work; it is handed to `fill` whenever another topic of the output is
        wanted. Outputs that name the same topic share its publisher.
    note: a line for the log, such as why it has no topics here.
    needed: what each of its topics needs, as named above; see `needs` where they differ.
    bytes_per_pixel: of its largest message, 0 where that is small or no image.
    """

    topics: tuple[Topic, ...] = ()
    note = ""
    needed: frozenset[str] = frozenset()
    bytes_per_pixel = 0

    def __init__(self, model: ModelInfo, parameters: Parameters) -> None:
        """parameters: those of configure, for what is fixed from then on."""
        self.model = model
        self._buffer = Buffer()  # for its message; empty until it is filled

    def needs(self, wanted: Collection[Topic]) -> frozenset[str]:
        """What the `wanted` ones of its topics need; `needed` by default."""
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
        """What to set for the largest message to have at most `limit` bytes.

        Empty where only a smaller size of all outputs helps.
        """
        return ""
