"""Which way is down: from an IMU, from a known rotation, or from the floor and ceiling seen.

All sources give `down`, gravity's direction in the camera's optical frame, at the time of an image.
Times are seconds, all of the same clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp
from threading import Lock
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mtpano_model.errors import MtpanoError
from mtpano_model.geometry.sphere import pitch_matrix, roll_matrix
from mtpano_model.robot.sampling import Floats

Vector = NDArray[np.float64]
State = Literal["measured", "held", "level"]
LEVEL: Vector = np.array([0.0, 1.0, 0.0])

_GRAVITY = 9.81
# Beyond, an accelerometer feels more than gravity (m/s2, as parts of it).
_GRAVITY_TOLERANCE = 0.2
_UNIT_TOLERANCE = 0.1


@dataclass(frozen=True, eq=False)
class Attitude:
    """down: unit vector [3], in the camera's optical frame.

    state: "measured" for this image; "held", the last measurement, if there is no newer one; or
    "level", if nothing is known. reason: a sentence unless it was measured, else "".
    """

    down: Vector
    state: State = "measured"
    reason: str = ""


class AttitudeKeeper:
    """Keeps a source's measurements, and gives the attitude at an image's time. Thread-safe.

    max_age: seconds for which a measurement counts as one for an image. hold: seconds after which
    the last measurement expires and the camera counts as level. MtpanoError unless 0 < max_age <=
    hold.
    """

    def __init__(self, source: str, max_age: float = 0.5, hold: float = 10.0) -> None:
        if not 0 < max_age <= hold:
            raise MtpanoError(
                f"an attitude's age of at most {max_age:g} s, held for {hold:g} s, makes no sense: "
                "expected 0 < age <= hold"
            )
        self._source, self._max_age, self._hold = source, max_age, hold
        # A sensor's thread writes what the image's thread reads.
        self._lock = Lock()
        self._down, self._stamp = LEVEL, float("-inf")
        self._problem = ""

    def set(self, down: Vector, stamp: float) -> None:
        """A measurement; an older one than the last is left out, unless the clock was set back."""
        with self._lock:
            if self._stamp - self._hold < stamp < self._stamp:
                return
            self._down, self._stamp, self._problem = down / np.linalg.norm(down), stamp, ""

    def refuse(self, problem: str) -> None:
        """The source gave something that cannot be used; `problem` is a sentence."""
        with self._lock:
            self._problem = problem

    def at(self, stamp: float) -> Attitude:
        """The attitude for an image taken at `stamp`, in seconds."""
        with self._lock:
            down, measured, problem = self._down, self._stamp, self._problem
        age = abs(stamp - measured)
        if age <= self._max_age:
            return Attitude(down)
        reason = problem or (
            f"{self._source} has given no attitude yet"
            if measured == float("-inf")
            else f"the last attitude of {self._source} is {age:.1f} s away from the image"
        )
        if age <= self._hold:
            return Attitude(down, "held", reason)
        return Attitude(LEVEL, "level", reason)


class ImuAttitude:
    """Down from sensor_msgs/Imu: its orientation where it has one, else low-passed gravity.

    camera_from_imu: [3, 3], v_optical = R @ v_imu. seconds: time constant of the low pass.
    """

    def __init__(
        self, keeper: AttitudeKeeper, camera_from_imu: NDArray[Any], seconds: float = 0.5
    ) -> None:
        self._keeper, self._seconds = keeper, seconds
        self._turn = np.asarray(camera_from_imu, np.float64)
        self._up: Vector | None = None
        self._stamp = 0.0

    def add(
        self,
        stamp: float,
        orientation: Any,
        acceleration: Any,
        orientation_variance: float = 0.0,
        acceleration_variance: float = 0.0,
    ) -> None:
        """Take one message: orientation [x, y, z, w] in a frame whose z is up, m/s2 [3].

        The variances are the first elements of the covariances; -1 says that the value is none
        (REP-145). What cannot be used is refused in one sentence, which the attitude then tells.
        """
        down, problem = _down_of_orientation(orientation, orientation_variance)
        if down is None:
            down, gravity_problem = self._gravity(stamp, acceleration, acceleration_variance)
            problem = problem or gravity_problem
        if down is None:
            if problem:
                self._keeper.refuse(problem)
            return
        in_camera = self._turn @ down
        if in_camera[1] <= 0:
            self._keeper.refuse(
                "the IMU says that the camera hangs upside down: expected an acceleration that "
                "points up at rest (+9.81 m/s2 on the axis that is up) and the IMU's frame in TF"
            )
            return
        self._keeper.set(in_camera, stamp)

    def _gravity(
        self, stamp: float, acceleration: Any, variance: float
    ) -> tuple[Vector | None, str]:
        felt = np.asarray(acceleration, np.float64)
        if variance == -1:
            return (
                None,
                "the IMU has neither orientation nor acceleration (both covariances are -1)",
            )
        if felt.shape != (3,) or not np.isfinite(felt).all():
            return (
                None,
                f"the IMU's acceleration is {felt.tolist()}, expected three numbers in m/s2",
            )
        size = float(np.linalg.norm(felt))
        if abs(size / _GRAVITY - 1) > _GRAVITY_TOLERANCE:
            return None, (
                f"the IMU feels {size:.2f} m/s2, expected about {_GRAVITY} at rest: either it is "
                "being shaken, or its unit is not m/s2"
            )
        up, elapsed = felt / size, stamp - self._stamp
        if self._up is not None and 0 <= elapsed < 10 * self._seconds:
            up = self._up + (1 - exp(-elapsed / self._seconds)) * (up - self._up)
        self._up, self._stamp = up / np.linalg.norm(up), stamp
        return -self._up, ""


def _down_of_orientation(orientation: Any, variance: float) -> tuple[Vector | None, str]:
    quaternion = np.asarray(orientation, np.float64)
    if variance == -1 or not quaternion.any():  # all zeros: a driver that never filled it
        return None, ""
    size = float(np.linalg.norm(quaternion))
    if not abs(size - 1) <= _UNIT_TOLERANCE:
        return None, (
            f"the IMU's orientation is {quaternion.tolist()}, expected a quaternion of length 1, "
            "or a covariance of -1 where there is none"
        )
    x, y, z, w = quaternion / size
    # The last row of the rotation that takes the sensor's vectors to the world's, times -1.
    return -np.array([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)]), ""


def down_of_rotation(camera_from_upright: NDArray[Any]) -> Vector:
    """Down in the camera's optical frame, given its rotation to a frame whose z is up, [3, 3]."""
    return -np.asarray(camera_from_upright, np.float64)[:, 2]


def down_of_tilt(pitch: float, roll: float) -> Vector:
    """Down of a camera that looks up by `pitch` and leans to the right by `roll`, degrees: first
    pitched, then rolled about its new axis, as Google's Photo Sphere XMP has it."""
    turn = pitch_matrix(float(np.radians(pitch))) @ roll_matrix(float(np.radians(roll)))
    return turn.T @ LEVEL


class SelfAttitude:
    """Down from what the network says: floors look up, ceilings look down. Slowly low-passed.

    floor_ids, ceiling_ids: their class ids. seconds: time constant. It needs `min_share` of the
    sphere to be floor or ceiling.
    """

    def __init__(
        self,
        keeper: AttitudeKeeper,
        floor_ids: tuple[int, ...],
        ceiling_ids: tuple[int, ...],
        seconds: float = 2.0,
        min_share: float = 0.05,
    ) -> None:
        self.check(floor_ids, ceiling_ids)
        self._keeper, self._floor, self._ceiling = keeper, floor_ids, ceiling_ids
        self._seconds, self._min_share = seconds, min_share
        self._down: Vector | None = None
        self._stamp = 0.0

    @staticmethod
    def check(floor_ids: tuple[int, ...], ceiling_ids: tuple[int, ...]) -> None:
        """MtpanoError where a model's classes cannot tell."""
        if not floor_ids and not ceiling_ids:
            raise MtpanoError(
                "this model knows neither floor nor ceiling, so a picture cannot tell which way is "
                "down: expected a class named floor or ceiling, or level by an IMU or TF"
            )

    def add(self, normals: Floats, labels: NDArray[Any], stamp: float) -> None:
        """Take a frame's normals [H, W, 3] and labels [H, W], in the camera's optical frame."""
        step = max(1, labels.shape[0] // 64)
        down = down_of_surfaces(
            normals[::step, ::step], labels[::step, ::step], self._floor, self._ceiling,
            self._min_share,
        )  # fmt: skip
        if down is None:
            self._keeper.refuse("too little floor and ceiling is seen to tell which way is down")
            return
        elapsed = stamp - self._stamp
        if self._down is not None and 0 <= elapsed < 10 * self._seconds:
            down = self._down + (1 - exp(-elapsed / self._seconds)) * (down - self._down)
        self._down, self._stamp = down / np.linalg.norm(down), stamp
        self._keeper.set(self._down, stamp)


def down_of_surfaces(
    normals: Floats,
    labels: NDArray[Any],
    floor_ids: tuple[int, ...],
    ceiling_ids: tuple[int, ...],
    min_share: float = 0.05,
) -> Vector | None:
    """Down from floor and ceiling normals [h, w, 3] by labels [h, w]; None where few agree.

    The mean by solid angle, then again of those within 20 degrees of it, three times.
    """
    sign = np.isin(labels, ceiling_ids).astype(np.float32) - np.isin(labels, floor_ids)
    height = labels.shape[0]
    area = np.sin((np.arange(height) + 0.5) / height * np.pi)[:, None]
    vectors = np.nan_to_num(normals) * sign[..., None]
    weight = np.where(np.isfinite(normals).all(-1), area * np.abs(sign), 0)
    enough = min_share * area.sum() * labels.shape[1]
    near = weight
    for _ in range(4):
        if near.sum() < enough:
            return None
        mean = np.tensordot(near, vectors, 2)
        if not mean.any():
            return None
        mean = mean / np.linalg.norm(mean)
        near = weight * (vectors @ mean > np.cos(np.radians(20)))
    return mean
