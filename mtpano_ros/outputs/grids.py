"""Clouds for particular programs: nvblox's grid of ranges, and one float channel for each class."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np
from sensor_msgs.msg import PointCloud2

from mtpano_model.graph.model_info import ModelInfo
from mtpano_model.pictures.size import Size
from mtpano_model.robot.channels import class_channels, class_ids
from mtpano_model.robot.range_grid import grid_points, range_grid
from mtpano_ros.outputs.base import DEPTH, LABELS, NORMALS, Message, Output, Result
from mtpano_ros.outputs.messages import cloud_message
from mtpano_ros.outputs.placing import body_place, place
from mtpano_ros.outputs.point_cloud import (
    cloud_bytes,
    cloud_size,
    coarser,
    every,
    float_fields,
    move,
    pack_places,
)
from mtpano_ros.parameters.table import Parameters
from mtpano_ros.topics import Topic

_PLACE = ("x", "y", "z")


class RangeGrid(Output):
    """`range_grid`: one point a cell, in the camera's body frame."""

    topics = (Topic("range_grid", PointCloud2, display=""),)
    needed = frozenset({DEPTH, NORMALS})
    bytes_per_pixel = 12

    def fill(self, result: Result, wanted: Collection[Topic]) -> Iterable[Message]:
        points = self._buffer.view((*result.size, 3), np.float32)
        grid_points(range_grid(result.solid.depth), points)
        message = cloud_message(body_place(result).header, result.size, float_fields(_PLACE))
        yield Message(self.topics[0], message, self._buffer)


class SemanticPoints(Output):
    """`points/semantic`: x y z and for each class of `cloud.classes` a channel, 1 or 0."""

    topics = (Topic("points/semantic", PointCloud2, display=""),)
    needed = frozenset({DEPTH, NORMALS, LABELS})

    def __init__(self, model: ModelInfo, parameters: Parameters) -> None:
        super().__init__(model, parameters)
        named = [name.strip() for name in parameters.cloud.classes.split(",") if name.strip()]
        names = named or list(model.classes.names)
        self._ids = class_ids(names, model.classes)
        self._fields = float_fields([*_PLACE, *(name.replace(" ", "_") for name in names)])

    def fill(self, result: Result, wanted: Collection[Topic]) -> Iterable[Message]:
        options = result.parameters.cloud
        at = place(result, options.frame)
        size = cloud_size(result.size, options.stride)
        points = self._buffer.view((*size, len(self._fields)), np.float32)
        pack_places(result.solid.depth, points, at.convention, options.stride)
        if at.then is not None:
            move(points, at.then, normals=False)
        labels = result.frame.labels[every(options.stride)]
        points[..., len(_PLACE) :] = class_channels(labels, self._ids)
        message = cloud_message(at.header, size, self._fields)
        yield Message(self.topics[0], message, self._buffer)

    def message_bytes(self, size: Size, parameters: Parameters) -> int:
        return cloud_bytes(size, parameters.cloud.stride, self._fields)

    def remedy(self, size: Size, parameters: Parameters, limit: int) -> str:
        return coarser(size, parameters.cloud.stride, self._fields, limit)
