"""Depth, normals and labels as images, straight from the frame's arrays."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import cv2
import numpy as np
from sensor_msgs.msg import Image

from mtpano_model.geometry.sphere import frame_matrix
from mtpano_model.graph.contract import label_type
from mtpano_model.graph.model_info import ModelInfo
from mtpano_model.pictures.millimetres import millimetres
from mtpano_ros.outputs.base import DEPTH, LABELS, NORMALS, Message, Output, Result
from mtpano_ros.outputs.messages import image_message, label_encoding
from mtpano_ros.parameters.table import Parameters
from mtpano_ros.topics import Topic

_TO_BODY = frame_matrix("optical", "body").astype(np.float32)


class DepthImage(Output):
    """`depth`: metres along the ray, or millimetres."""

    topics = (Topic("depth", Image, display=""),)
    needed = frozenset({DEPTH})
    bytes_per_pixel = 4

    def fill(self, result: Result, wanted: Collection[Topic]) -> Iterable[Message]:
        encoding, buffer = result.parameters.outputs.depth_encoding, result.memory.depth
        if encoding == "16UC1":
            buffer = self._buffer
            millimetres(result.frame.depth, buffer.view(result.size, np.uint16))
        message = image_message(result.header, encoding, result.size, buffer)
        yield Message(self.topics[0], message, buffer)


class NormalsImage(Output):
    """`normals`: unit vectors in the axes of `outputs.frame_convention`."""

    topics = (Topic("normals", Image, display=""),)
    needed = frozenset({NORMALS})
    bytes_per_pixel = 12

    def fill(self, result: Result, wanted: Collection[Topic]) -> Iterable[Message]:
        buffer = result.memory.normals
        if result.parameters.outputs.frame_convention == "body":
            buffer = self._buffer
            turned = buffer.view((*result.size, 3), np.float32)
            cv2.transform(result.frame.normals, _TO_BODY, dst=turned)
        message = image_message(result.header, "32FC3", result.size, buffer)
        yield Message(self.topics[0], message, buffer)


class SemanticImage(Output):
    """`semantic`: class ids, of 16 bits from 255 classes on."""

    topics = (Topic("semantic", Image, display=""),)
    needed = frozenset({LABELS})

    def __init__(self, model: ModelInfo, parameters: Parameters) -> None:
        super().__init__(model, parameters)
        self.bytes_per_pixel = label_type(len(model.classes)).itemsize

    def fill(self, result: Result, wanted: Collection[Topic]) -> Iterable[Message]:
        buffer, encoding = result.memory.labels, label_encoding(result.frame.labels.dtype)
        message = image_message(result.header, encoding, result.size, buffer)
        yield Message(self.topics[0], message, buffer)
