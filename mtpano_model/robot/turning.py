"""Turn a tilted panorama upright for the network, and turn the network's answer back.

    picture (camera) -> level picture -> network -> answer (level) -> answer (camera)

The answer is turned before postprocessing brings it to the output's size, so masks and ranges hold
in the camera's own frame. An answer coarser than the picture is made twice as fine on the way.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtpano_model.inference.compiled import compiled_loops
from mtpano_model.pictures.size import Size
from mtpano_model.robot.sampling import Floats
from mtpano_model.robot.turning_ways import CompiledTurns, PlainTurns

_LOOPS = "mtpano_model.robot.turning_kernel"
# An attitude that changes by less keeps the maps that are there: 4 mm at 5 m.
_SAME_RADIANS = np.radians(0.05)


def level_rotation(down: NDArray[Any]) -> NDArray[np.float64]:
    """The smallest rotation that makes a camera upright: v_level = R @ v_camera, R @ down = y.

    down: gravity's direction in the camera's optical frame, of any length but 0. A camera that
    hangs upside down is turned about its optical axis.
    """
    x, y, z = np.asarray(down, np.float64) / np.linalg.norm(down)
    if y < -0.999999:
        return np.diag([-1.0, -1.0, 1.0])
    axis = np.array([-z, 0.0, x])  # down x (0, 1, 0), its length the angle's sine
    cross = np.array([[0.0, -axis[2], axis[1]], [axis[2], 0.0, -axis[0]], [-axis[1], axis[0], 0.0]])
    return np.eye(3) + cross + cross @ cross / (1 + y)


class Turning:
    """Turns pictures and answers for one attitude after another.

    `rotation` is the one in use, level from camera, or None while nothing needs to be turned. One
    thread at a time. compiled: use numba's loops; None: if numba is there. The loops are compiled
    once on a machine, which takes some seconds.
    """

    def __init__(self, compiled: bool | None = False) -> None:
        loops = None if compiled is False else compiled_loops(_LOOPS, required=bool(compiled))
        self._turns = PlainTurns() if loops is None else CompiledTurns(loops)
        self._down = np.array([0.0, 1.0, 0.0])

    @property
    def rotation(self) -> NDArray[np.float64] | None:
        return self._turns.rotation

    def set_down(self, down: NDArray[Any]) -> None:
        """Use this attitude from now on; changes too small to be seen are left out."""
        unit = np.asarray(down, np.float64) / np.linalg.norm(down)
        if np.linalg.norm(unit - self._down) < _SAME_RADIANS:
            return
        self._down = unit
        upright = unit[1] > np.cos(_SAME_RADIANS)
        self._turns.turn_to(None if upright else level_rotation(unit))

    def level_picture(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """What a level camera would see: uint8 [H, W, 3] or [H, W] -> the same.

        Give it the picture at the network's size: turning a larger one costs more and shows the
        network nothing else. What is returned keeps its values until the next call.
        """
        return picture if self.rotation is None else self._turns.picture(picture)

    def camera_answer(
        self, planes: Floats, labels: NDArray[Any], limit: Size
    ) -> tuple[Floats, NDArray[Any]]:
        """The level answer in the camera's frame, on a grid twice as fine, but at most of `limit`.

        planes: [4, h, w], depth in metres along the ray and the normal's x, y, z, finite or NaN;
        labels: [h, w] ids. Depth is interpolated as 1 / depth, which is exact on planes, but taken
        from the nearest pixel at a step; so are the normals there. Labels are the nearest pixel's.
        What is returned keeps its values until the next call.
        """
        if self.rotation is None:
            return planes, labels
        size = tuple(
            max(small, min(2 * small, most))
            for small, most in zip(labels.shape, limit, strict=True)
        )
        return self._turns.answer(planes, labels, size)

    def camera_map(self, values: Floats) -> Floats:
        """A further map [h, w] of the answer that `camera_answer` was given last, on its grid."""
        return values if self.rotation is None else self._turns.map(values)
