"""How the camera is mounted: its attitude, its height over the floor, and transforms."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node

from mtpano_model.classes import ClassSet
from mtpano_model.errors import MtpanoError
from mtpano_model.robot.attitude import LEVEL, Attitude
from mtpano_model.robot.scale import check_camera_height
from mtpano_model.robot.transforms import NotYet, TransformError
from mtpano_ros.mounting.attitude_source import open_attitude_source
from mtpano_ros.mounting.state import GeometryState
from mtpano_ros.mounting.transforms import Transforms
from mtpano_ros.parameters.table import Parameters


@dataclass(frozen=True)
class Height:
    """metres: height of the camera over the floor, None if unknown; problem: why it is unknown."""

    metres: float | None = None
    problem: str = ""


@dataclass
class Pose:
    """How the camera was held when an image was taken. stamp: seconds. convention: axes of frame.

    height: metres over the floor, by parameter or TF. floor_below: metres down to the floor in the
    frame's depth, which may differ by what `MetricScale` does not correct; None if unknown.
    seen: [h, w] of the levelled picture, False where no lens looks; None: all is seen.
    """

    stamp: float = 0.0
    frame: str = ""
    convention: str = "optical"
    attitude: Attitude = field(default_factory=lambda: Attitude(LEVEL))
    height: Height = Height()
    floor_below: float | None = None
    seen: NDArray[np.bool_] | None = None


class Mounting:
    """Exists from activate to deactivate. state: for the geometry status in /diagnostics."""

    def __init__(
        self, node: Node, parameters: Parameters, classes: ClassSet, state: GeometryState
    ) -> None:
        self.state, self._node = state, node
        self.transforms = Transforms(node)
        self.attitude_source = open_attitude_source(node, self.transforms, parameters, classes)
        self._height: dict[tuple[str, str], float] = {}

    def now(self) -> float:
        """Seconds of the node's clock, which is the simulation's under use_sim_time."""
        return float(self._node.get_clock().now().nanoseconds * 1e-9)

    def attitude(self, stamp: float, frame: str, convention: str = "optical") -> Attitude:
        """The attitude for an image of `frame`, with axes of `convention`, taken at `stamp` (s)."""
        self.attitude_source.convention = convention
        return self.attitude_source.at(stamp, frame)

    def camera_height(self, parameters: Parameters, stamp: float, frame: str) -> Height:
        """The height of the camera at `frame`; the last known one if TF has none at `stamp`."""
        given = parameters.camera_metres
        if not isinstance(given, str):
            return Height(given)
        key = given, frame
        try:
            try:
                found, _ = self.transforms.look_up(given, frame, stamp)
            except NotYet:
                found, _ = self.transforms.look_up(given, frame, None)
            self._height[key] = check_camera_height(float(found.translation[2]))
        except (TransformError, MtpanoError) as error:
            return Height(self._height.get(key), f"no camera height: {error}")
        return Height(self._height[key])

    def close(self) -> None:
        """Destroy the subscriptions."""
        self.attitude_source.close()
        self.transforms.close()
