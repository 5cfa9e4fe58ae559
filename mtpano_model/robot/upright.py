"""Level and scale for single pictures, without sensors: by the floor and ceiling that are seen."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtpano_model.inference import Estimator, Frame, ValueRules
from mtpano_model.inference.answer import Answer
from mtpano_model.inference.estimator import STAGES
from mtpano_model.pictures.size import Size
from mtpano_model.robot.attitude import LEVEL, SelfAttitude, down_of_surfaces
from mtpano_model.robot.correction import Corrected, Correction
from mtpano_model.robot.scale import MetricScale
from mtpano_model.robot.surfaces import surface_ids
from mtpano_model.robot.turning import Turning


@dataclass(frozen=True, eq=False)
class Upright:
    """frame: in the picture's own frame. tilt: degrees by which the picture was turned. factor:
    what depth was multiplied by. problem: a sentence on what could not be measured, else ""."""

    frame: Frame
    tilt: float
    factor: float
    problem: str


class UprightPredictor:
    """Predicts upright and in true metres, for one picture at a time.

    level: run the network twice, the second time on the picture turned upright by the first
    result. camera_height: metres over the floor, None if unknown. MtpanoError for an impossible
    height, or for a model that knows neither floor nor ceiling.
    """

    def __init__(self, estimator: Estimator, level: bool, camera_height: float | None) -> None:
        self._estimator, self._level, self._height = estimator, level, camera_height
        classes = estimator.info.classes
        self._surfaces = surface_ids(classes, "floor"), surface_ids(classes, "ceiling")
        MetricScale(camera_height)
        if level:
            SelfAttitude.check(*self._surfaces)

    def predict(
        self,
        rgb: NDArray[np.uint8],
        size: Size,
        rules: ValueRules,
        down: NDArray[np.float64] | None = None,
    ) -> Upright:
        """As Estimator.predict. down: which way is down, where that is known without looking."""
        times = [perf_counter()]
        batch = self._estimator.preprocess(rgb)
        times.append(perf_counter())
        problem, outputs = "", None
        if not self._level:
            down = LEVEL
        elif down is None:
            outputs = self._estimator.infer(batch)
            down, problem = self._down(outputs)
        turning = Turning()
        turning.set_down(down)
        if turning.rotation is not None:
            batch[0] = turning.level_picture(batch[0])
        if outputs is None or turning.rotation is not None:
            outputs = self._estimator.infer(batch)
        times.append(perf_counter())
        # Of its own: what one picture shows says nothing about the next.
        info = self._estimator.info
        correction = Correction(info.classes, MetricScale(self._height), info.input_size)
        found: list[Corrected] = []

        def adjust(answer: Answer, size: Size) -> Answer:
            found.append(correction(answer, size, down, 0.0))
            return found[0].answer

        frame = self._estimator.postprocess(outputs, size, rules, adjust=adjust)
        times.append(perf_counter())
        for stage, seconds in zip(STAGES, np.diff(times), strict=True):
            frame.milliseconds[stage] = float(seconds * 1e3)
        scale = found[0].scale
        tilt = float(np.degrees(np.arccos(np.clip(down @ LEVEL, -1, 1))))
        return Upright(frame, tilt, scale.factor, "; ".join(filter(None, (problem, scale.reason))))

    def _down(self, outputs: dict[str, NDArray[Any]]) -> tuple[NDArray[np.float64], str]:
        seen = self._estimator.postprocess(outputs)
        step = max(1, seen.size[0] // 64)
        every = slice(step // 2, None, step)
        down = down_of_surfaces(seen.normals[every, every], seen.labels[every, every],
                                *self._surfaces)  # fmt: skip
        if down is None:
            return LEVEL, "too little floor and ceiling is seen to level it"
        return down, ""
