"""Collects the calibrations of lenses from CameraInfo, and their poses from TF."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import Any

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo

from mtpano_model.errors import MtpanoError
from mtpano_model.geometry.cameras import Camera, camera_from_ros
from mtpano_model.rig.camera_info import Pose, calibrated_rig
from mtpano_model.rig.rig import Lens, Rig
from mtpano_model.robot.transforms import TransformError, frame_text, quaternion_of
from mtpano_ros.camera.source import Surroundings
from mtpano_ros.topics import Topic

# Then the lenses that are known begin without the others.
PATIENCE_SECONDS = 5.0
_TOGETHER = "of all lenses"  # what is wrong though each has come
# What image_transport appends to the name of a picture's topic.
_TRANSPORTS = ("compressed", "ffmpeg", "foxglove", "theora", "zstd")


def info_topic(topic: str) -> str:
    """The CameraInfo topic of an image topic: its sibling `camera_info`."""
    base, _, last = topic.rpartition("/")
    if last in _TRANSPORTS and base:
        base = base.rpartition("/")[0]
    return f"{base}/camera_info" if base or topic.startswith("/") else "camera_info"


class LensCalibration:
    """Subscribes to the camera_info of the lenses that need it, until each has arrived.

    problems: messages about what is missing or wrong, by lens. Apart from the subscriptions'
    callbacks, not thread-safe.
    """

    def __init__(self, rig: Rig, around: Surroundings) -> None:
        self._rig, self._around = rig, around
        self._began = time.monotonic()
        self._cameras: dict[str, Camera] = {}
        self._frames: dict[str, str] = {}
        self._poses: dict[str, Pose] = {}
        self._known: frozenset[str] | None = None
        self.problems: dict[str, str] = {}
        waiting = [lens for lens in rig.lenses if lens.camera is None]
        self._subscriptions = {lens.name: self._listen(lens) for lens in waiting}

    def poll(self) -> Rig | None:
        """The rig of all known lenses, if it has changed since the last call.

        None also while missing lenses may still arrive.
        """
        for name in list(self._subscriptions):
            if name in self._cameras:
                self._around.node.destroy_subscription(self._subscriptions.pop(name))
        for name in self._rig.uncalibrated:
            if name not in self._poses:
                self._look_up(name)
        known = frozenset(lens.name for lens in self._rig.lenses if self._is_known(lens))
        is_late = time.monotonic() - self._began > PATIENCE_SECONDS
        if (
            known == self._known
            or not known
            or (len(known) < len(self._rig.lenses) and not is_late)
        ):
            return None
        lenses = tuple(lens for lens in self._rig.lenses if lens.name in known)
        found = replace(self._rig, lenses=lenses)
        self.problems.pop(_TOGETHER, None)
        try:
            made = calibrated_rig(found, self._cameras, self._poses, self._rig.body_frame)
        except MtpanoError as error:
            self.problems[_TOGETHER] = str(error)
            return None
        self._known = known
        return made

    @property
    def is_late(self) -> bool:
        """Whether a calibration is missing that should have arrived."""
        return bool(self.problems) and time.monotonic() - self._began > PATIENCE_SECONDS

    def close(self) -> None:
        """Destroy the subscriptions."""
        for subscription in self._subscriptions.values():
            self._around.node.destroy_subscription(subscription)
        self._subscriptions.clear()

    def _is_known(self, lens: Lens) -> bool:
        return lens.camera is not None or lens.name in self._poses

    def _listen(self, lens: Lens) -> Subscription:
        topic = Topic(info_topic(lens.topic), CameraInfo, depth=1, best_effort=True)
        self.problems[lens.name] = (
            f"lens '{lens.name}' waits for its calibration on {topic.name}: let the driver publish "
            "it, or describe the lens in the rig file"
        )
        return topic.subscription(
            self._around.node, partial(self._take, lens), ReentrantCallbackGroup()
        )

    def _take(self, lens: Lens, message: Any) -> None:
        if lens.name in self._cameras:
            return
        roi = message.roi
        try:
            camera = camera_from_ros(
                message.distortion_model,
                (message.height, message.width),
                tuple(message.k),
                tuple(message.d),
                lens.field_of_view,
                (message.binning_x, message.binning_y),
                (roi.y_offset, roi.x_offset, roi.height, roi.width),
            )
        except MtpanoError as error:
            self.problems[lens.name] = f"lens '{lens.name}': {error}"
            return
        self._frames[lens.name] = message.header.frame_id
        self._cameras[lens.name] = camera

    def _look_up(self, name: str) -> None:
        if name not in self._cameras:
            return
        body, frame = self._rig.body_frame, self._frames[name]
        try:
            found, _ = self._around.look_up(body, frame, None)
        except TransformError as error:
            what = frame_text(frame) if frame else "a frame"
            self.problems[name] = (
                f"lens '{name}': TF has no transform from {body} to {what} ({error}): publish it, "
                "set body_frame in the rig file, or describe the lens there"
            )
            return
        x, y, z = (float(value) for value in found.translation)
        turn = tuple(float(value) for value in quaternion_of(found.matrix))
        self._poses[name] = (x, y, z), (turn[0], turn[1], turn[2], turn[3])
        self.problems.pop(name, None)
