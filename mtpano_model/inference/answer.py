"""A network's answer for one panorama on its own grid, where it may still be corrected."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtpano_model.pictures.size import Size

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Answer:
    """All of one answer, before it is brought to the size of a frame.

    planes: [4, h, w], depth in metres along the ray, then the normal's x, y and z; finite or NaN.
    labels: [h, w] class ids. logits: [C, h, w] class logits, None where the graph gives ids.
    maps: further values by the name that they get in `Frame.extras`, [h, w] each, finite or NaN.
    raw_depth: [h, w] metres as the network gave them, None where depth in `planes` is the same.
    """

    planes: Floats
    labels: NDArray[Any]
    logits: Floats | None = None
    maps: dict[str, Floats] = field(default_factory=dict)
    raw_depth: Floats | None = None


# Takes an answer and the (H, W) of the frame to be; what it returns may lie on another grid, and
# has to keep its values until the frame is filled. It may write into `planes`.
Adjust = Callable[[Answer, Size], Answer]
