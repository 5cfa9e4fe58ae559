"""How the camera is mounted: which way is down, how high it is, and transforms."""

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
    """metres: of the camera over the floor, None where it is not known; problem: why not."""

    metres: float | None = None
    problem: str = ""


@dataclass
class Pose:
    """How the camera was held when an image was taken. stamp: seconds. convention: axes of frame.

    height: as told from outside. floor_below: metres from the camera down to the floor as the frame
    has it, which is the same up to what `MetricScale` leaves out; None where no floor is known.
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
    """From activate to deactivate. state: what /diagnostics says of it."""

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
        """For an image of `frame`, which has the axes of `convention`, taken at `stamp` (s)."""
        self.attitude_source.convention = convention
        return self.attitude_source.at(stamp, frame)

    def camera_height(self, parameters: Parameters, stamp: float, frame: str) -> Height:
        """Of the camera at `frame`; the last one that was known where TF does not say it now."""
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
        """Listen no more."""
        self.attitude_source.close()
        self.transforms.close()
