"""The arrays of a frame, placed in the memory of the messages that will carry them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mtpano_model.graph.contract import label_type
from mtpano_model.graph.model_info import ModelInfo
from mtpano_model.inference.frame import Frame
from mtpano_model.pictures.resize import resize_image
from mtpano_model.robot.edge_filter import EdgeFilter
from mtpano_ros.outputs.serialized import Buffer


class FrameMemory:
    """Provides a frame for one thread at a time; the memory is reused while the size is the same.

    depth, normals, labels: the buffers of the arrays of the present frame.
    """

    def __init__(self, model: ModelInfo) -> None:
        self.depth, self.normals, self.labels = Buffer(), Buffer(), Buffer()
        self._label_type = label_type(len(model.classes))
        self._picture = np.empty((0, 0, 3), np.uint8)
        self._edge_filter: tuple[float, EdgeFilter] | None = None

    def frame(self, size: tuple[int, int]) -> Frame:
        """A frame of `size` (H, W) to be filled; the previous frame becomes invalid."""
        return Frame(
            depth=self.depth.view(size, np.float32),
            normals=self.normals.view((*size, 3), np.float32),
            labels=self.labels.view(size, self._label_type),
        )

    def edge_filter(self, degrees: float) -> EdgeFilter | None:
        """The filter that finds flying points; None if it is off."""
        if not degrees:
            return None
        if self._edge_filter is None or self._edge_filter[0] != degrees:
            self._edge_filter = degrees, EdgeFilter(degrees, compiled=None)
        return self._edge_filter[1]

    def picture(self, pixels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
        """`pixels`, uint8 [h, w, 3], at `size` (H, W); resized only if their size differs."""
        if pixels.shape[:2] == size:
            return pixels
        if self._picture.shape[:2] != size:
            self._picture = np.empty((*size, 3), np.uint8)
        return resize_image(pixels, size, self._picture)
