"""Depth, normals and labels as colour images for display."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import Image

from mtpano_model.drawing.colors import colorize_depth, colorize_labels
from mtpano_model.inference.frame import Frame
from mtpano_model.pictures.normals import encode_normals
from mtpano_ros.outputs.base import DEPTH, LABELS, NORMALS, Message, Output, Result
from mtpano_ros.outputs.messages import image_message
from mtpano_ros.topics import Topic


class ColoredImage(Output):
    """An rgb8 image that is painted from one field of the frame."""

    bytes_per_pixel = 3

    @abstractmethod
    def paint(self, frame: Frame, out: NDArray[np.uint8]) -> Any:
        """Write the colours, RGB, into out, uint8 [H, W, 3]."""

    def fill(self, result: Result, wanted: Collection[Topic]) -> Iterable[Message]:
        self.paint(result.frame, self._buffer.view((*result.size, 3), np.uint8))
        message = image_message(result.header, "rgb8", result.size, self._buffer)
        yield Message(self.topics[0], message, self._buffer)


class ColoredDepth(ColoredImage):
    """`depth/color`."""

    topics = (Topic("depth/color", Image, display="Image"),)
    needed = frozenset({DEPTH})

    def paint(self, frame: Frame, out: NDArray[np.uint8]) -> Any:
        colorize_depth(frame.depth, out=out)


class ColoredNormals(ColoredImage):
    """`normals/color`: in the optical frame, whatever `outputs.frame_convention` says."""

    topics = (Topic("normals/color", Image, display="Image"),)
    needed = frozenset({NORMALS})

    def paint(self, frame: Frame, out: NDArray[np.uint8]) -> Any:
        encode_normals(frame.normals, out=out)


class ColoredSemantic(ColoredImage):
    """`semantic/color`: in the colours of the model's classes."""

    topics = (Topic("semantic/color", Image, display="Image"),)
    needed = frozenset({LABELS})

    def paint(self, frame: Frame, out: NDArray[np.uint8]) -> Any:
        colorize_labels(frame.labels, self.model.classes.palette, out=out)
