"""The result for one panorama: arrays whose units and frame are stated."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mtpano_model.graph.contract import OUTPUTS, label_type
from mtpano_model.pictures.size import Size

# The arrays of a frame, by name; those of optional tasks are in `extras`.
FIELDS = frozenset(task.finished_name for task in OUTPUTS)


@dataclass
class Frame:
    """One processed panorama, all arrays at one output size H x W, optical frame.

    depth: [H, W] float32, metres along the ray. NaN unknown, +Inf open (sky) or beyond max_range,
        -Inf nearer than min_range (REP-117).
    normals: [H, W, 3] float32 unit vectors towards the camera, NaN where invalid.
    labels: [H, W] uint8 (uint16 from 255 classes) class ids, 255 (65535) unlabelled.
    extras: outputs that only some models have, by name: [H, W] float32 ([H, W, 3] for directions),
        NaN where unknown. The optional tasks of `mtpano_model.tasks` define the values.
    milliseconds: time spent by stage name.
    non_finite: how many values of the network's own output were NaN or infinite (0 when healthy).
    """

    depth: NDArray[np.float32]
    normals: NDArray[np.float32]
    labels: NDArray[np.uint8] | NDArray[np.uint16]
    extras: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    milliseconds: dict[str, float] = field(default_factory=dict)
    non_finite: int = 0

    @property
    def size(self) -> Size:
        """(H, W) of every array."""
        height, width = self.depth.shape
        return height, width

    @classmethod
    def empty(cls, size: Size, num_classes: int) -> Frame:
        """Arrays of the right shapes and types, not filled: for `postprocess(..., out=frame)`."""
        return cls(
            depth=np.empty(size, np.float32),
            normals=np.empty((*size, 3), np.float32),
            labels=np.empty(size, label_type(num_classes)),
        )
