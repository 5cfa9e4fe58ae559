"""The coloured point cloud, organised or with one point for each voxel, and parts of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import PointCloud2, PointField

from mtpano_model.graph.model_info import ModelInfo
from mtpano_model.robot.height import ObstacleRules, heights, split
from mtpano_model.robot.surfaces import labelled, surface_ids
from mtpano_ros.outputs.base import (
    COLORS,
    DEPTH,
    HEIGHT,
    LABELS,
    NORMALS,
    Message,
    Output,
    Result,
    Size,
)
from mtpano_ros.outputs.messages import cloud_message, dense_cloud_message
from mtpano_ros.outputs.placing import Place, place
from mtpano_ros.outputs.point_cloud import (
    FIELDS,
    FIELDS_WITH_HEIGHT,
    CloudPacker,
    cloud_bytes,
    cloud_size,
    coarser,
    every,
    move,
    voxel_choice,
)
from mtpano_ros.parameters.table import Parameters
from mtpano_ros.topics import Topic

Floats = NDArray[np.float32]


class Points(Output):
    """`points`: position, colour, normal and label of every pixel, and its height over the floor
    where `camera_height` is set. `points/obstacles`, `points/floor`: its points on obstacles and on
    the floor."""

    topics = (
        Topic("points", PointCloud2, display="PointCloud2"),
        Topic("points/obstacles", PointCloud2, display=""),
        Topic("points/floor", PointCloud2, display=""),
    )

    def __init__(self, model: ModelInfo, parameters: Parameters) -> None:
        super().__init__(model, parameters)
        self._packer = CloudPacker()
        self._floor_ids = surface_ids(model.classes, "floor")

    def needs(self, wanted: Collection[Topic]) -> frozenset[str]:
        needs = {DEPTH, NORMALS, LABELS, COLORS}
        return frozenset(needs if set(wanted) == {self.topics[0]} else needs | {HEIGHT})

    def fill(self, result: Result, wanted: Collection[Topic]) -> Iterable[Message]:
        options = result.parameters.cloud
        whole, *parts = self.topics
        at = place(result, options.frame)
        fields = _fields(result.parameters)
        split_up = any(topic in wanted for topic in parts)
        height = self._heights(result) if split_up or fields is FIELDS_WITH_HEIGHT else None
        points = self._packed(result, at, fields, height)
        if whole in wanted and not options.voxel_size:
            message = cloud_message(at.header, points.shape[:2], fields)
            yield Message(whole, message, self._buffer)
        elif whole in wanted:
            flat = points.reshape(-1, len(fields))
            chosen = flat[voxel_choice(flat, options.voxel_size)]
            yield Message(whole, dense_cloud_message(at.header, chosen, fields))
        if height is not None and split_up:
            floor, obstacles = self._split(result, height)
            for topic, mask in zip(parts, (obstacles, floor), strict=True):
                if topic in wanted:
                    chosen = points[mask[every(options.stride)] & np.isfinite(points[..., 0])]
                    yield Message(topic, dense_cloud_message(at.header, chosen, fields))

    def _packed(
        self, result: Result, at: Place, fields: list[PointField], height: Floats | None
    ) -> Floats:
        stride = result.parameters.cloud.stride
        points = self._buffer.view((*cloud_size(result.size, stride), len(fields)), np.float32)
        self._packer.pack(
            result.solid, result.picture, result.panorama.order, points, at.convention, stride
        )
        if at.then is not None:
            move(points, at.then, normals=True)
        if height is not None and fields is FIELDS_WITH_HEIGHT:
            points[..., -1] = height[every(stride)]
        return points

    def _heights(self, result: Result) -> Floats:
        """Metres above the floor [H, W], NaN where unknown."""
        pose = result.pose
        below = np.nan if pose.floor_below is None else pose.floor_below
        return heights(result.solid.depth, pose.attitude.down, below)

    def _split(self, result: Result, height: Floats) -> tuple[NDArray[np.bool_], ...]:
        """(floor, obstacles), bool [H, W]; by labels alone where no floor is known."""
        labels, options = result.frame.labels, result.parameters.obstacles
        if result.pose.floor_below is None:
            floor = labelled(labels, self._floor_ids)
            return floor, ~floor
        rules = ObstacleRules(self._floor_ids, options.min_height, options.max_height)
        return split(height, labels, rules)

    def message_bytes(self, size: Size, parameters: Parameters) -> int:
        return cloud_bytes(size, parameters.cloud.stride, _fields(parameters))

    def remedy(self, size: Size, parameters: Parameters, limit: int) -> str:
        return coarser(size, parameters.cloud.stride, _fields(parameters), limit)


def _fields(parameters: Parameters) -> list[PointField]:
    return FIELDS if parameters.camera_metres is None else FIELDS_WITH_HEIGHT
