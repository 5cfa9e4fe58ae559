"""How rendered truth is stored: depth in one picture or two, and why a pixel has none.

Sixteen bits of millimetres end at 65.534 m; a second picture, where there is one, goes on to 131 m.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

# Values of a mask: measured; sky, or outside through an open window; the robot itself or a cap over
# a pole; a hole in the picture.
MEASURED, OPEN, BODY, HOLE = range(4)

_FARTHEST_MM = 65534  # in the first picture
_OFFSET_MM = 65535  # what the second one counts from; its 0 is "nothing beyond"


def split_depth(millimetres: NDArray[Any]) -> tuple[NDArray[np.uint16], NDArray[np.uint16] | None]:
    """Millimetres of any integer type, 0 none -> both pictures; None where nothing is beyond."""
    beyond = millimetres > _FARTHEST_MM
    near = np.where(beyond, 0, millimetres).astype(np.uint16)
    if not beyond.any():
        return near, None
    far = np.clip(millimetres.astype(np.int64) - _OFFSET_MM, 1, 65535)
    return near, np.where(beyond, far, 0).astype(np.uint16)


def joined_depth(
    near: NDArray[np.uint16], far: NDArray[np.uint16] | None = None
) -> NDArray[np.float32]:
    """Both pictures, or the one there is -> float32 metres of the same shape, 0 none."""
    metres = near / np.float32(1000)
    if far is None:
        return metres
    return np.where(far > 0, (far + np.float32(_OFFSET_MM)) / np.float32(1000), metres)
