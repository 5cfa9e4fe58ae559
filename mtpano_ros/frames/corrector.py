"""Level and scale: turns the picture before the network, and corrects its output afterwards."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtpano_model.graph.model_info import ModelInfo
from mtpano_model.inference.answer import Adjust, Answer
from mtpano_model.pictures.resize import resize_nearest
from mtpano_model.robot.correction import Corrected, Correction
from mtpano_model.robot.scale import MetricScale
from mtpano_model.robot.turning import Turning
from mtpano_ros.mounting.mounting import Mounting, Pose
from mtpano_ros.outputs.base import CONFIDENCE, HEIGHT

# How often the scale of a camera of unknown height is judged: that needs labels, which may not be
# wanted otherwise.
_JUDGE_SECONDS = 1.0
# How long a floor that is out of sight is where it was.
_FLOOR_SECONDS = 10.0


class Corrector:
    """`level` belongs to the thread that prepares pictures, the rest to the one that finishes."""

    def __init__(self, mounting: Mounting, model: ModelInfo) -> None:
        self._mounting = mounting
        # Compiled where pictures will be turned.
        compiled = None if mounting.attitude_source.keeps else False
        self._turning = Turning(compiled)
        self._correction = Correction(model.classes, MetricScale(), model.input_size, compiled)
        self._judged = float("-inf")
        self._floor = float("-inf"), 0.0

    def level(
        self, picture: NDArray[np.uint8], pose: Pose, seen: NDArray[np.bool_] | None = None
    ) -> None:
        """Turn a picture [H, W, 3] of the network's size upright, in place.

        seen: False where no lens looks, [H, W]; what the network says there tells nothing.
        """
        pose.seen = seen
        if not self._mounting.attitude_source.keeps:
            return
        pose.attitude = self._mounting.attitude(pose.stamp, pose.frame, pose.convention)
        self._turning.set_down(pose.attitude.down)
        turned = self._turning.level_picture(picture)
        if turned is not picture:
            picture[...] = turned
            if seen is not None:
                pose.seen = self._turning.level_picture(seen.astype(np.uint8) * 255) > 127

    def adjustment(self, pose: Pose, needs: Collection[str]) -> Adjust | None:
        """What corrects the answer for this image; None where there is nothing to do."""
        source = self._mounting.attitude_source
        now = time.monotonic()
        judging = now - self._judged > _JUDGE_SECONDS
        asked = source.keeps or pose.height.metres or HEIGHT in needs or CONFIDENCE in needs
        if not asked and not judging:
            return None
        self._judged = now
        self._correction.scale.camera_height = pose.height.metres

        def adjust(answer: Answer, size: tuple[int, int]) -> Answer:
            if pose.seen is not None:
                grid = answer.labels.shape
                seen = resize_nearest(pose.seen.view(np.uint8), (grid[0], grid[1])).view(bool)
                answer.planes[:, ~seen] = np.nan
            corrected = self._correction(
                answer, size, pose.attitude.down, pose.stamp, CONFIDENCE in needs
            )
            found = corrected.answer
            if source.keeps:
                normals: Any = np.moveaxis(found.planes[1:], 0, -1)
                source.see(normals, found.labels, pose.stamp)
            pose.floor_below = self._floor_below(pose, corrected)
            self._remember(pose, corrected)
            return found

        return adjust

    def _floor_below(self, pose: Pose, corrected: Corrected) -> float | None:
        """Of this frame where its floor tells it, else the last one, else as told from outside."""
        if corrected.floor.reliable:
            self._floor = pose.stamp, corrected.floor.height * corrected.scale.factor
        stamp, height = self._floor
        return height if abs(pose.stamp - stamp) < _FLOOR_SECONDS else pose.height.metres

    def _remember(self, pose: Pose, corrected: Corrected) -> None:
        state = self._mounting.state
        state.attitude = pose.attitude if self._mounting.attitude_source.keeps else None
        state.height, state.height_problem = pose.height.metres, pose.height.problem
        state.floor, state.scale = corrected.floor, corrected.scale
