"""Depth corrected by the normals: surfaces that are planes by their normals become planes.

For neighbouring rays p and q on a plane with normal n, log d(q) - log d(p) = log(n.r_p / n.r_q).
Where two planes meet between them, the difference lies between those of both normals. Let t be what
the network's depth lacks of this difference. The correction c of log depth makes up for t between
all neighbours, and is small itself:

    sum over neighbours of w (c_q - c_p - t)^2  +  STIFFNESS * sum of c^2

Weights w = 1 / (1 + (c_q - c_p - t)^2 / JUMP^2)^2 let go where depth steps and no plane explains it
(Geman and McClure's function, by reweighted least squares). The equations, scaled by the roots of
their diagonal, are solved by Chebyshev's iteration (Golub and Varga 1961), which needs no sums over
the picture, with loops that numba compiles or with numpy.
"""

from __future__ import annotations

from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from mtpano_model.geometry.sphere import rays
from mtpano_model.inference.compiled import compiled_loops

Floats = NDArray[np.float32]
_KERNEL = "mtpano_model.inference.depth_finish_kernel"
# On the validation rooms, see docs/network.md.
_STIFFNESS, _JUMP = 0.003, 0.025
_ROUNDS, _STEPS = 3, 20
# Jacobi's iteration multiplies what it has to remove by up to 4 / (4 + STIFFNESS); so few steps do
# more with a smaller bound.
_SLOWEST = 0.997
# Of a surface seen at less than 2 degrees the normal says nothing.
_GRAZING = 0.03


class NormalsFinish:
    """compiled: as in `Postprocessor`."""

    def __init__(self, compiled: bool | None = False) -> None:
        self._kernel: ModuleType | None = None
        if compiled is not False:
            self._kernel = compiled_loops(_KERNEL, required=bool(compiled))

    def __call__(self, depth: Floats, normals: Floats) -> Floats:
        """Metres [h, w] and normals [3, h, w] of any length -> metres [h, w]; NaN stays NaN."""
        correct = correction if self._kernel is None else self._kernel.correction
        with np.errstate(invalid="ignore", divide="ignore"):
            normals = normals / np.sqrt(np.einsum("khw,khw->hw", normals, normals))
        across, linked = _missing(depth, normals, 1)
        down, linked_down = _missing(depth, normals, 0)
        found = correct(
            across, down, linked, linked_down,
            np.float32(_STIFFNESS), np.float32(_JUMP**-2), np.tile(_chebyshev(), (_ROUNDS, 1)),
        )  # fmt: skip
        return depth * np.exp(found)


def _chebyshev() -> NDArray[np.float32]:
    """The factors of _STEPS steps."""
    factors = [1.0, 1 / (1 - _SLOWEST**2 / 2)]
    while len(factors) < _STEPS:
        factors.append(1 / (1 - _SLOWEST**2 * factors[-1] / 4))
    return np.array(factors, np.float32)


def _missing(depth: Floats, normals: Floats, axis: int) -> tuple[Floats, Floats]:
    """t between each pixel and the next one along an axis, and 1 where it is known, else 0.

    Columns wrap; after the last row comes nothing.
    """
    ray = np.moveaxis(rays(*depth.shape), -1, 0)
    next_ray, next_normals = np.roll(ray, -1, axis + 1), np.roll(normals, -1, axis + 1)
    next_depth = np.roll(depth, -1, axis)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        facing = np.stack(
            [
                -np.einsum("khw,khw->hw", n, r)
                for n in (normals, next_normals)
                for r in (ray, next_ray)
            ]
        )
        # A normal too short to be given a length, and a quotient beyond float32, say nothing.
        step = next_depth / depth
        known = ((facing > _GRAZING) & (facing < np.inf)).all(0)
        known &= (depth > 0) & (step > 0) & (step < np.inf)
        if axis == 0:
            known[-1] = False
        ratios = np.where(known, [facing[0] / facing[1], facing[2] / facing[3]], np.float32(1))
        own = np.log(np.where(known, step, np.float32(1)))
    said = np.log(ratios)
    missing = np.clip(own, said.min(0), said.max(0)) - own
    return missing, known.astype(np.float32)


def correction(
    across: Floats,
    down: Floats,
    linked: Floats,
    linked_down: Floats,
    stiffness: np.float32,
    sharpness: np.float32,
    factors: NDArray[np.float32],
) -> Floats:
    """c, [h, w], from t to the right and below, and where they are known (1 or 0), all [h, w].

    sharpness: JUMP^-2. factors: [n, k], of k steps of Chebyshev's iteration in each of n rounds.
    """
    found = np.zeros_like(across)
    for omegas in factors:
        right = linked / np.square(1 + sharpness * np.square(_next(found, 1) - found - across))
        below = linked_down / np.square(1 + sharpness * np.square(_next(found, 0) - found - down))
        root = np.sqrt(stiffness + right + _before(right, 1) + below + _before(below, 0))
        flow, fall = right * across, below * down
        given = (_before(flow, 1) - flow + _before(fall, 0) - fall) / root
        right, below = right / (root * _next(root, 1)), below / (root * _next(root, 0))
        left, above = _before(right, 1), _before(below, 0)
        now = before = found * root
        for omega in omegas:
            after = right * _next(now, 1) + left * _before(now, 1) + given - before
            after += below * _next(now, 0) + above * _before(now, 0)
            before, now = now, omega * after + before
        found = now / root
    return found


def _next(values: Floats, axis: int) -> Floats:
    return np.roll(values, -1, axis)


def _before(values: Floats, axis: int) -> Floats:
    return np.roll(values, 1, axis)
