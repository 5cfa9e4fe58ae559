"""A laser scan, for navigation and mapping in the plane."""

from __future__ import annotations

import array
from collections.abc import Collection, Iterable

from sensor_msgs.msg import LaserScan

from mtpano_model.graph.model_info import ModelInfo
from mtpano_model.robot.scan import Scanner
from mtpano_model.robot.surfaces import labelled, surface_ids
from mtpano_ros.outputs.base import DEPTH, HEIGHT, LABELS, NORMALS, Message, Output, Result
from mtpano_ros.outputs.placing import upright_place
from mtpano_ros.parameters.table import Parameters
from mtpano_ros.topics import Topic


class LaserScans(Output):
    """`scan`: the nearest surface by azimuth, in an upright frame at the camera."""

    topics = (Topic("scan", LaserScan, display="LaserScan"),)
    needed = frozenset({DEPTH, NORMALS, LABELS, HEIGHT})

    def __init__(self, model: ModelInfo, parameters: Parameters) -> None:
        super().__init__(model, parameters)
        self._options = parameters.scan
        self._scanner = Scanner(self._options.rules, compiled=None)
        self._floor_ids = surface_ids(model.classes, "floor")

    def fill(self, result: Result, wanted: Collection[Topic]) -> Iterable[Message]:
        if result.parameters.scan != self._options:
            self._options = result.parameters.scan
            self._scanner = Scanner(self._options.rules, compiled=None)
        header, turn = upright_place(result, self._options.frame)
        floor = labelled(result.frame.labels, self._floor_ids)
        scan = self._scanner(result.solid.depth, turn, result.pose.floor_below, floor)
        message = LaserScan(
            header=header,
            angle_min=scan.angle_min,
            angle_max=scan.angle_max,
            angle_increment=scan.angle_increment,
            range_min=scan.min_range,
            range_max=scan.max_range,
            ranges=array.array("f", scan.ranges.tobytes()),
        )
        yield Message(self.topics[0], message)
