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
    """

    depth: NDArray[np.float32]
    normals: NDArray[np.float32]
    labels: NDArray[np.uint8] | NDArray[np.uint16]
    milliseconds: dict[str, float] = field(default_factory=dict)
