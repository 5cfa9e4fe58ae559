"""Sources of the camera's attitude: an IMU, TF, or the network's results."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray
from rclpy.node import Node

from mtpano_model.classes import ClassSet
from mtpano_model.geometry.sphere import OPTICAL_FROM
from mtpano_model.robot.attitude import (
    LEVEL,
    Attitude,
    AttitudeKeeper,
    ImuAttitude,
    SelfAttitude,
    down_of_rotation,
)
from mtpano_model.robot.surfaces import surface_ids
from mtpano_model.robot.transforms import NotYet, TransformError
from mtpano_ros.camera.camera_thread import CameraThread, NoExecutor
from mtpano_ros.mounting.ros_time import seconds_of
from mtpano_ros.mounting.transforms import Transforms
from mtpano_ros.parameters.table import Parameters
from mtpano_ros.topics import IMU


class AttitudeSource:
    """No source: the camera counts as level. `at` and `see` are called in different threads.

    keeps: whether the panorama is to be turned at all. convention: the axes of the camera's frame
    in TF, see OPTICAL_FROM.
    """

    keeps = False
    convention = "optical"

    def at(self, stamp: float, frame: str) -> Attitude:
        """The attitude for an image of `frame` taken at `stamp` (s)."""
        return Attitude(LEVEL)

    def see(self, normals: NDArray[Any], labels: NDArray[Any], stamp: float) -> None:
        """Use a result of the network in the camera's frame: normals [h, w, 3], labels [h, w]."""

    def close(self) -> None:
        """Destroy the subscriptions."""


class SelfSource(AttitudeSource):
    """The attitude from the floor and the ceiling that the network sees."""

    keeps = True

    def __init__(self, classes: ClassSet) -> None:
        self._keeper = AttitudeKeeper("the network")
        floor, ceiling = (surface_ids(classes, name) for name in ("floor", "ceiling"))
        self._attitude = SelfAttitude(self._keeper, floor, ceiling)

    def at(self, stamp: float, frame: str) -> Attitude:
        return self._keeper.at(stamp)

    def see(self, normals: NDArray[Any], labels: NDArray[Any], stamp: float) -> None:
        self._attitude.add(normals, labels, stamp)


class TfSource(AttitudeSource):
    """The attitude from a TF frame whose z is up, at the image's stamp, or else the newest."""

    keeps = True

    def __init__(self, transforms: Transforms, upright: str) -> None:
        self._transforms, self._upright = transforms, upright
        self._keeper = AttitudeKeeper(f"TF frame '{upright}'")

    def at(self, stamp: float, frame: str) -> Attitude:
        try:
            found, moment = self._look_up(frame, stamp)
        except TransformError as error:
            self._keeper.refuse(str(error))
        else:
            down = OPTICAL_FROM[self.convention] @ down_of_rotation(found.matrix)
            self._keeper.set(down, min(moment, stamp))
        return self._keeper.at(stamp)

    def _look_up(self, frame: str, stamp: float) -> Any:
        try:
            return self._transforms.look_up(frame, self._upright, stamp)
        except NotYet:
            return self._transforms.look_up(frame, self._upright, None)


class ImuSource(AttitudeSource):
    """The topic `imu`, taken by a thread of its own: an executor would wake up for every message.

    Without `attitude.imu_rotation`, the rotation of the IMU is looked up in TF once.
    """

    keeps = True

    def __init__(self, node: Node, transforms: Transforms, mounted: NDArray[Any] | None) -> None:
        self._node, self._transforms = node, transforms
        self._keeper = AttitudeKeeper("the topic imu")
        self._attitude: ImuAttitude | None = None
        self._told = mounted is not None
        self._camera = "", "optical"
        if mounted is not None:
            self._attitude = ImuAttitude(self._keeper, OPTICAL_FROM["body"] @ mounted)
        self._subscription = IMU.subscription(node, self._take, NoExecutor())
        self._thread = CameraThread(node, self._subscription, self._take, self._failed)

    def at(self, stamp: float, frame: str) -> Attitude:
        if self._camera != (frame, self.convention):
            self._camera = frame, self.convention
            if not self._told:
                self._attitude = None
        return self._keeper.at(stamp)

    def close(self) -> None:
        self._thread.stop()
        self._node.destroy_subscription(self._subscription)

    def _take(self, message: Any) -> None:
        try:
            attitude = self._attitude or self._mount(message.header.frame_id)
        except TransformError as error:
            self._keeper.refuse(f"{error}; or set attitude.imu_rotation")
            return
        if attitude is None:
            return
        turn, felt = message.orientation, message.linear_acceleration
        attitude.add(
            seconds_of(message.header.stamp),
            (turn.x, turn.y, turn.z, turn.w),
            (felt.x, felt.y, felt.z),
            message.orientation_covariance[0],
            message.linear_acceleration_covariance[0],
        )

    def _mount(self, frame: str) -> ImuAttitude | None:
        """None before the first image, which names the camera's frame."""
        camera, convention = self._camera
        if not camera:
            return None
        found, _ = self._transforms.look_up(camera, frame, None)
        self._attitude = ImuAttitude(self._keeper, OPTICAL_FROM[convention] @ found.matrix)
        return self._attitude

    def _failed(self, error: Exception) -> None:
        self._keeper.refuse(f"a message of the topic imu cannot be read: {error}")


def open_attitude_source(
    node: Node, transforms: Transforms, parameters: Parameters, classes: ClassSet
) -> AttitudeSource:
    """The source that `level` names; MtpanoError if it needs classes that the model lacks."""
    if parameters.level == "imu":
        return ImuSource(node, transforms, parameters.attitude.imu_matrix)
    if parameters.level == "tf":
        return TfSource(transforms, parameters.attitude.frame)
    return SelfSource(classes) if parameters.level == "self" else AttitudeSource()
