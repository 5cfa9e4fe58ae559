"""Points that hang in the air between fore- and background, found as ROS's scan shadow filter does.

At a step in depth an interpolated pixel lies on neither side. Seen from the camera, the line from
it to its neighbour then runs almost along the ray: for neighbours at ranges r and s > r, dr apart,
and an angle d between them, that angle is atan(r sin d / (s - r cos d)). A pixel hangs where it is
on such a slope on both sides at once, rising or falling through it; the last pixel of the
foreground and the first of the background are slopes on one side only, and stay.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtpano_model.errors import MtpanoError
from mtpano_model.geometry.sphere import latitudes, rays
from mtpano_model.inference.compiled import compiled_loops
from mtpano_model.robot.sampling import Floats

Mask = NDArray[np.bool_]
_LOOP = "mtpano_model.robot.edge_filter_kernel"
# On 28 views of rooms that the default model never saw, at 256x512: of the 2.0 % of pixels that lie
# between fore- and background, 10, 15 and 20 degrees find 31, 42 and 46 %, and drop 0.4, 0.7 and
# 1.0 % of all pixels though they are right within 5 %.
DEFAULT_DEGREES = 15.0
# A surface that is seen at up to so many times the limiting angle may be the slope itself.
_SPARED = 1.5
# Towards the poles columns crowd together until noise between them looks like a slope.
_LEAST_COSINE = 0.3


class EdgeFilter:
    """degrees: the angle below which a slope is no surface; 0 leaves everything as it is.

    compiled: use numba's loop; None: if numba is there.
    """

    def __init__(self, degrees: float, compiled: bool | None = False) -> None:
        if not 0 <= degrees < 90:
            raise MtpanoError(
                f"edge_filter {degrees:g} degrees makes no sense: expected 0 (off) to below 90"
            )
        self._loop = None if compiled is False else compiled_loops(_LOOP, required=bool(compiled))
        self._tangent = np.tan(np.radians(degrees))
        self._slanting = np.sin(np.radians(min(_SPARED * degrees, 90)))

    def hanging(self, depth: Floats, normals: Floats | None = None) -> Mask:
        """Pixels [H, W] of a panorama's depth that hang.

        normals: [H, W, 3]; with them a slope is spared where the surface itself is seen that
        slantingly, such as a floor far away.
        """
        if not self._tangent:
            return np.zeros(depth.shape, bool)
        height, width = depth.shape
        crowded = np.maximum(np.cos(latitudes(height)), _LEAST_COSINE)
        across, down = self._ratio(2 * np.pi / width * crowded), self._ratio(np.pi / height)
        if self._loop is not None:
            hanging = np.empty(depth.shape, bool)
            self._loop.hanging(depth, across, down, hanging)
        else:
            hanging = _hanging(depth, across[:, None], down)
        if normals is not None:
            self._spare_slanting(hanging, normals)
        return hanging

    def _spare_slanting(self, hanging: Mask, normals: Floats) -> None:
        found = np.flatnonzero(hanging)
        ray = rays(*hanging.shape).reshape(-1, 3)[found]
        cosine = np.abs(np.einsum("nk,nk->n", ray, normals.reshape(-1, 3)[found]))
        with np.errstate(invalid="ignore"):
            hanging.reshape(-1)[found[cosine < self._slanting]] = False

    def _ratio(self, angle: float | NDArray[np.float64]) -> Any:
        """How many times as far the farther of two neighbours is at the limiting angle."""
        return (np.cos(angle) + np.sin(angle) / self._tangent).astype(np.float32)


def _hanging(depth: Floats, across: Floats, down: np.float32) -> Mask:
    with np.errstate(invalid="ignore"):
        # One column more on either side, so that the seam is no border.
        wrapped = np.concatenate([depth[:, -1:], depth, depth[:, :1]], 1)
        near, far = wrapped[:, :-1], wrapped[:, 1:]
        rises, falls = far > near * across, near > far * across
        hanging: Mask = (rises[:, :-1] & rises[:, 1:]) | (falls[:, :-1] & falls[:, 1:])
        rises, falls = depth[1:] > depth[:-1] * down, depth[:-1] > depth[1:] * down
        hanging[1:-1] |= (rises[:-1] & rises[1:]) | (falls[:-1] & falls[1:])
    return hanging
