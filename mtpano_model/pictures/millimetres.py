"""Depth as 16-bit millimetres: the one rule for image messages, files and label stores.

REP-118's rule: 0 is "no distance". It also holds for what is open (+Inf) or beyond 65.535 m, since
readers of such images (nvblox, depth_image_proc, Open3D, our own data sets) know no other mark and
would put a wall wherever one is written, 65.5 m away. What is open can be told from the labels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def millimetres(
    depth: NDArray[np.float32], out: NDArray[np.uint16] | None = None
) -> NDArray[np.uint16]:
    """Metres -> uint16 millimetres of the same shape, rounded, into `out` if given.

    0 where unknown (NaN), infinite, negative or beyond 65.535 m.
    """
    scaled = depth * np.float32(1000)
    np.rint(scaled, out=scaled)
    scaled[~((scaled >= 0) & (scaled <= 65535))] = 0
    if out is None:
        out = np.empty(depth.shape, np.uint16)
    np.copyto(out, scaled, casting="unsafe")
    return out
