"""The confidence image: how reliable the depth of each pixel is."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import cv2
import numpy as np
from sensor_msgs.msg import Image

from mtpano_model.graph.model_info import ModelInfo
from mtpano_ros.outputs.base import CONFIDENCE, DEPTH, Message, Output, Result
from mtpano_ros.outputs.messages import image_message
from mtpano_ros.parameters.table import Parameters
from mtpano_ros.topics import Topic


class Confidence(Output):
    """`confidence`: 0 to 255; 0 where depth is unknown."""

    topics = (Topic("confidence", Image, display=""),)
    needed = frozenset({CONFIDENCE, DEPTH})
    bytes_per_pixel = 1

    def __init__(self, model: ModelInfo, parameters: Parameters) -> None:
        super().__init__(model, parameters)
        own = any(task.finished_name == CONFIDENCE for task in model.tasks)
        source = (
            "the network" if own else "class probability and the agreement of depth and normals"
        )
        self.note = f"confidence is made from {source}"

    def fill(self, result: Result, wanted: Collection[Topic]) -> Iterable[Message]:
        out = self._buffer.view(result.size, np.uint8)
        sure = result.frame.extras[CONFIDENCE]
        cv2.convertScaleAbs(np.clip(sure, 0, 1), dst=out, alpha=255)
        out[~(np.isfinite(result.frame.depth) & np.isfinite(sure))] = 0
        message = image_message(result.header, "mono8", result.size, self._buffer)
        yield Message(self.topics[0], message, self._buffer)
