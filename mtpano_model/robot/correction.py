"""The two corrections of a network's answer, before it is brought to the output's size.

First the floor tells the scale, while the answer is level; then the answer is turned back into the
camera's frame. Masks and ranges come afterwards, so they hold in the camera's frame and in true
metres.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtpano_model.classes import ClassSet
from mtpano_model.inference.answer import Answer
from mtpano_model.pictures.size import Size
from mtpano_model.robot.attitude import LEVEL
from mtpano_model.robot.confidence import confidence
from mtpano_model.robot.scale import FloorView, MetricScale, Scale, floor_view
from mtpano_model.robot.surfaces import surface_ids
from mtpano_model.robot.turning import Turning


@dataclass(frozen=True, eq=False)
class Corrected:
    """answer: depth in true metres, everything in the camera's frame; keeps its values until the
    next call. floor, scale: what was found."""

    answer: Answer
    floor: FloorView
    scale: Scale


class Correction:
    """Corrects one answer after another; one thread at a time.

    scale: see MetricScale. The floor is what `classes` calls so. picture: (H, W) that the network
    sees. compiled: see Turning.
    """

    def __init__(
        self, classes: ClassSet, scale: MetricScale, picture: Size, compiled: bool | None = False
    ) -> None:
        self.scale = scale
        self._picture = picture
        self._floor_ids = surface_ids(classes, "floor")
        self._turning = Turning(compiled)

    def __call__(
        self,
        answer: Answer,
        limit: Size,
        down: NDArray[Any],
        stamp: float,
        with_confidence: bool = False,
    ) -> Corrected:
        """The answer for a picture that was turned level; its `planes` are scaled in place.

        down: in the camera's optical frame, as it was when the picture was turned. limit: (H, W) of
        the output. stamp: seconds. with_confidence: add a map of that name, 0 to 1, unless the
        network itself has given one.
        """
        planes, maps = answer.planes, dict(answer.maps)
        if with_confidence and "confidence" not in maps:
            # What was corrected by the normals agrees with them, right or wrong.
            depth = planes[0] if answer.raw_depth is None else answer.raw_depth
            maps["confidence"] = confidence(answer.logits, depth, planes[1:])
        floor = floor_view(planes[0], answer.labels, LEVEL, self._floor_ids)
        scale = self.scale.update(floor, stamp)
        if scale.factor != 1:
            planes[0] *= np.float32(scale.factor)
        self._turning.set_down(down)
        # A finer grid than the picture's holds nothing more, and costs four times as much.
        finest = min(limit[0], self._picture[0]), min(limit[1], self._picture[1])
        planes, labels = self._turning.camera_answer(planes, answer.labels, finest)
        maps = {name: self._turning.camera_map(values) for name, values in maps.items()}
        return Corrected(Answer(planes, labels, None, maps), floor, scale)
