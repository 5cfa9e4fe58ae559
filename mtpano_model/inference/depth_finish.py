"""Depth corrected by the normals: blurred steps get sharp, surfaces that are planes become planes.

For neighbouring rays p and q on a plane with normal n, d(q) / d(p) = n.r_p / n.r_q. Where two
planes meet between them, the ratio lies between those of both normals (its bounds). Two steps
follow from this:

1. A network blurs a depth step over many pixels. A pixel is part of a blurred step where the depth
   beside it is outside the bounds by more than a tolerance. From the first pixel to the left, to
   the right, above and below that is not, its plane is extended to the pixel's ray. If the pixel
   lies between the depths from left and right, or those from above and below, it takes the one
   that is nearest in metres. What is nearer than both sides, such as a thin post, or farther, stays
   as it is: the floor below a post and the wall beside it are not two sides of one step.
2. Let t be what log depth lacks to be within the bounds. The correction c of log depth makes up for
   t between all neighbours, and is small itself:

       sum over neighbours of w (c_q - c_p - t)^2  +  stiffness * sum of c^2

   Weights w = 1 / (1 + (c_q - c_p - t)^2 / JUMP^2)^2 let go where depth steps and no plane explains
   it (Geman and McClure's function, by reweighted least squares). The equations, scaled by the
   roots of their diagonal, are solved by Chebyshev's iteration (Golub and Varga 1961), which needs
   no sums over the picture. Coarser grids are solved first, so that a wall as wide as the picture
   needs no more iterations than a narrow one.

The loops over pixels are in depth_finish_kernel.py, which numba compiles, and the same in numpy in
depth_finish_plain.py.
"""

from __future__ import annotations

from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from mtpano_model.geometry.sphere import rays
from mtpano_model.inference import depth_finish_plain
from mtpano_model.inference.compiled import compiled_loops

Floats = NDArray[np.float32]
_KERNEL = "mtpano_model.inference.depth_finish_kernel"
# All were chosen on rendered views for training, see docs/network.md.
# The longest blurred step, in degrees of longitude: what is to be sharpened is looked for so far.
_REACH_DEG = 8.4
# Of log depth a degree: less than this is a bow, and more a blurred step.
_STEEPEST = 0.028
_JUMP = 0.01
# Stiffness with 64 rows. With half the distance between pixels, t is half as large.
_STIFFNESS = 0.001
# (rounds of weights, steps of the iteration in each) of the coarsest grid and finer ones.
_COARSEST, _MIDDLE, _FINEST = (3, 40), (2, 20), (2, 10)
_COARSEST_ROWS = 64
# Jacobi's iteration multiplies what it has to remove by up to 4 / (4 + stiffness); so few steps do
# more with a smaller bound.
_SLOWEST = {10: 0.99, 20: 0.997, 40: 0.999}


class NormalsFinish:
    """compiled: as in `Postprocessor`."""

    def __init__(self, compiled: bool | None = False) -> None:
        kernel = None if compiled is False else compiled_loops(_KERNEL, required=bool(compiled))
        self._loops: ModuleType = depth_finish_plain if kernel is None else kernel
        self._ray = np.empty((3, 0, 0), np.float32)

    def __call__(self, depth: Floats, normals: Floats) -> Floats:
        """Metres [h, w] and normals [3, h, w] of any length -> metres [h, w]; NaN stays NaN."""
        height, width = depth.shape
        if self._ray.shape[1:] != depth.shape:
            self._ray = _loopable(np.moveaxis(rays(height, width), -1, 0))
        depth, normals = _loopable(depth), _loopable(normals)
        degree = width / 360
        tolerance = np.float32(np.exp(_STEEPEST / degree))
        with np.errstate(all="ignore"):
            links = self._loops.bounds(depth, normals, self._ray)
            sharp = self._loops.sharpen(
                depth, normals, self._ray, links, tolerance, round(_REACH_DEG * degree)
            )
            found = self._corrected(self._loops.missing(sharp, links))
            return np.asarray(sharp * np.exp(found), np.float32)

    def _corrected(self, missing: Floats, finest: bool = True) -> Floats:
        """c, [h, w], from t across and down and where they are known (1 or 0), [4, h, w]."""
        height, width = missing.shape[1:]
        if height > _COARSEST_ROWS and height % 2 == 0 and width % 2 == 0:
            begin = _finer(self._corrected(_coarser(missing), False))
            rounds, steps = _FINEST if finest else _MIDDLE
        else:
            begin = np.zeros((height, width), np.float32)
            rounds, steps = _COARSEST
        stiffness = _STIFFNESS * (_COARSEST_ROWS / height) ** 2
        found: Floats = self._loops.solve(
            begin, missing, np.float32(stiffness), np.float32(_JUMP**-2),
            np.tile(_chebyshev(steps), (rounds, 1)),
        )  # fmt: skip
        return found


def _loopable(values: Floats) -> Floats:
    """As the compiled loops need them. They write nothing into it, but refuse read-only arrays."""
    return np.require(values, np.float32, ["C", "W"])


def _chebyshev(steps: int) -> Floats:
    """The factors of so many steps."""
    slowest = _SLOWEST[steps]
    factors = [1.0, 1 / (1 - slowest**2 / 2)]
    while len(factors) < steps:
        factors.append(1 / (1 - slowest**2 * factors[-1] / 4))
    return np.array(factors, np.float32)


def _coarser(missing: Floats) -> Floats:
    """t between every second pixel, [4, h / 2, w / 2]: the sum of both links, if both are known."""
    rows, columns = missing[:, ::2], missing[:, :, ::2]
    across = rows[[0, 2], :, ::2], rows[[0, 2], :, 1::2]
    down = columns[[1, 3], ::2], columns[[1, 3], 1::2]
    (right, right_linked), (below, below_linked) = (
        ((one[0] + two[0]), one[1] * two[1]) for one, two in (across, down)
    )
    return np.stack([right * right_linked, below * below_linked, right_linked, below_linked])


def _finer(coarse: Floats) -> Floats:
    """The correction between the coarser pixels by interpolation; the last row repeats."""
    height, width = coarse.shape
    rows = np.empty((height, 2 * width), np.float32)
    rows[:, ::2] = coarse
    rows[:, 1::2] = (coarse + np.roll(coarse, -1, 1)) / 2
    fine = np.empty((2 * height, 2 * width), np.float32)
    fine[::2] = rows
    fine[1:-1:2] = (rows[:-1] + rows[1:]) / 2
    fine[-1] = rows[-1]
    return fine
