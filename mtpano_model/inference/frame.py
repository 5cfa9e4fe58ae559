"""What one panorama becomes: arrays that know their units and frame."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass
class Frame:
    """One processed panorama, all arrays at one output size H x W, optical frame.

    depth: [H, W] float32, metres along the ray. NaN unknown, +Inf open (sky) or beyond max_range,
        -Inf nearer than min_range (REP-117).
    normals: [H, W, 3] float32 unit vectors towards the camera, NaN where invalid.
    labels: [H, W] uint8 (uint16 from 255 classes) class ids, 255 (65535) unlabelled.
    milliseconds: time spent by stage name.
    non_finite: how many values of the network's own output were NaN or infinite (0 when healthy).
    """

    depth: NDArray[np.float32]
    normals: NDArray[np.float32]
    labels: NDArray[np.uint8] | NDArray[np.uint16]
    milliseconds: dict[str, float] = field(default_factory=dict)
    non_finite: int = 0

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of every array."""
        height, width = self.depth.shape
        return height, width

    @classmethod
    def empty(cls, size: tuple[int, int], num_classes: int) -> Frame:
        """Arrays of the right shapes and types, not filled: for `postprocess(..., out=frame)`."""
        kind = np.uint8 if num_classes < 255 else np.uint16
        return cls(
            depth=np.empty(size, np.float32),
            normals=np.empty((*size, 3), np.float32),
            labels=np.empty(size, kind),
        )
