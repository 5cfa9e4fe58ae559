"""How pictures and answers are turned: by OpenCV's maps, always, or by loops that numba compiles.

Maps are kept while the rotation stays the same. The loops keep none: see places_kernel.py.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mtpano_model.pictures.size import Size
from mtpano_model.robot.sampling import (
    Floats,
    Linear,
    Places,
    bordered,
    ray_factors,
    turned_rays,
)

# Where 1 / depth bends by more than this part of itself there is a step. A plane does not bend at
# all, a corner of a room by at most twice the angle between pixels.
_STEP = 0.15


class PlainTurns:
    """Numpy and OpenCV. rotation: [3, 3], level from camera; None: nothing is to be turned.

    Keeps its memory: fresh pages cost several times as much as the arithmetic.
    """

    def __init__(self) -> None:
        self.turn_to(None)
        self._planes = np.empty((4, 0, 0), np.float32)
        self._labels = np.empty((0, 0), np.uint8)

    def turn_to(self, rotation: NDArray[np.float64] | None) -> None:
        """Turn by this from now on."""
        self.rotation = rotation
        self._picture: tuple[Size, Linear] | None = None
        self._answer: _AnswerMaps | None = None
        self._sizes: tuple[Size, Size] = (0, 0), (0, 0)

    def picture(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """See Turning.level_picture."""
        assert self.rotation is not None
        size = picture.shape[:2]
        if self._picture is None or self._picture[0] != size:
            places = Places(*turned_rays(self.rotation.T, size), size)
            self._picture = size, places.linear()
        return self._picture[1](picture)

    def answer(
        self, planes: Floats, labels: NDArray[Any], size: Size
    ) -> tuple[Floats, NDArray[Any]]:
        """planes [4, h, w] and labels [h, w] on a grid of `size`; see Turning.camera_answer."""
        self._lend(labels, size)
        maps = self._maps()
        source, steps = self._source(planes)
        marked = source.copy()
        marked[steps, 0] = np.nan
        cv2.split(maps.linear(marked, maps.turned), list(self._planes))
        hard = np.flatnonzero(np.isnan(self._planes[0]))
        column, row = maps.nearest.pixels.reshape(-1, 2)[hard].T
        self._planes.reshape(4, -1)[:, hard] = source[row, column].T
        _inverse(self._planes[0], self._planes[0])
        return self._planes, maps.nearest(labels, self._labels)

    def map(self, values: Floats) -> Floats:
        """One more map [h, w], on the grid of the last answer."""
        return self._maps().linear(values)

    def _lend(self, labels: NDArray[Any], size: Size) -> None:
        self._sizes = labels.shape, size
        if self._planes.shape[1:] != size:
            self._planes = np.empty((4, *size), np.float32)
        if self._labels.shape != size or self._labels.dtype != labels.dtype:
            self._labels = np.empty(size, labels.dtype)

    def _maps(self) -> _AnswerMaps:
        assert self.rotation is not None
        if self._answer is None or self._answer.sizes != self._sizes:
            self._answer = _AnswerMaps(self.rotation, *self._sizes)
        return self._answer

    def _source(self, planes: Floats) -> tuple[Floats, NDArray[np.bool_]]:
        """1 / depth and the camera's normals [h, w, 4]; where 1 / depth steps."""
        assert self.rotation is not None
        inverse = _inverse(planes[0])
        # Normals are turned before they are interpolated, while there are fewest of them.
        normals = cv2.transform(cv2.merge(list(planes[1:])), self.rotation.T.astype(np.float32))
        source: Any = cv2.merge((inverse, *cv2.split(normals)))
        return source, _steps(inverse)


class CompiledTurns(PlainTurns):
    """loops: turning_kernel, compiled."""

    def __init__(self, loops: ModuleType) -> None:
        super().__init__()
        self._loops = loops
        self._level = np.empty((0, 0, 3), np.uint8)
        self._hard = np.empty((0, 0), np.uint8)
        self._prepared = np.empty((0, 0, 4), np.float32)

    def picture(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        assert self.rotation is not None
        if picture.ndim == 2:
            return super().picture(picture)  # a map beside the picture, which changes rarely
        if self._level.shape != picture.shape:
            self._level = np.empty_like(picture)
        turn, factors = self.rotation.T.astype(np.float32, "C"), ray_factors(picture.shape[:2])
        self._loops.turn_picture(turn, *factors, bordered(picture), self._level)
        return self._level

    def answer(
        self, planes: Floats, labels: NDArray[Any], size: Size
    ) -> tuple[Floats, NDArray[Any]]:
        assert self.rotation is not None
        if labels.dtype != np.uint8:  # ids of 16 bits are too rare for the loops
            return super().answer(planes, labels, size)
        self._lend(labels, size)
        grid = labels.shape[0] + 2, labels.shape[1] + 2
        if self._hard.shape != grid:
            self._hard = np.empty(grid, np.uint8)
            self._prepared = np.empty((*grid, 4), np.float32)
        turn, back = (r.astype(np.float32, "C") for r in (self.rotation, self.rotation.T))
        self._loops.prepare(back, np.ascontiguousarray(planes), _STEP, self._prepared, self._hard)
        self._loops.turn_answer(
            turn, *ray_factors(size), self._prepared, self._hard, bordered(labels),
            self._planes, self._labels,
        )  # fmt: skip
        return self._planes, self._labels


class _AnswerMaps:
    """From a level answer of one size to the camera's of another."""

    def __init__(self, rotation: NDArray[np.float64], grid: Size, size: Size) -> None:
        self.sizes = grid, size
        places = Places(*turned_rays(rotation, size), grid)
        self.linear, self.nearest = places.linear(), places.nearest()
        self.turned = np.empty((*size, 4), np.float32)


def _inverse(depth: Floats, out: Floats | None = None) -> Floats:
    """1 / depth. What is not above zero stands for no surface, and so does what comes of it."""
    with np.errstate(divide="ignore"):
        return np.reciprocal(depth, out=out)


def _steps(inverse: Floats) -> NDArray[np.bool_]:
    """Pixels beside a step in depth, [h, w]; rows are not compared across the poles."""
    with np.errstate(invalid="ignore"):
        limit = np.float32(_STEP) * np.abs(inverse)
        around = np.roll(inverse, 1, 1) + np.roll(inverse, -1, 1) - 2 * inverse
        steps = np.abs(around) > limit
        upright = inverse[:-2] + inverse[2:] - 2 * inverse[1:-1]
        steps[1:-1] |= np.abs(upright) > limit[1:-1]
    return steps
