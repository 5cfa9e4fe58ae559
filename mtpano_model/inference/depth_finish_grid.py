"""Depth is finished on its own grid, or on the network's where a GPU tail has enlarged it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mtpano_model.inference.depth_finish import Floats, NormalsFinish
from mtpano_model.pictures.resize import resize_linear
from mtpano_model.pictures.size import Size


class Finished(NamedTuple):
    """On one grid: metres after and before, [1, h, w], and the vectors [3, h, w] that were used."""

    depth: Floats
    raw: Floats
    vectors: Floats


class GridFinish:
    """Finishes the depth of one network; its loops are loaded with the first call.

    input_size: (H, W) of the network's picture. compiled: as in `Postprocessor`.
    """

    def __init__(self, input_size: Size, compiled: bool | None) -> None:
        self._input_size, self._compiled = input_size, compiled
        self._finish: NormalsFinish | None = None

    def __call__(self, depth: Floats, vectors: Floats) -> Finished:
        """depth: metres [1, h, w]; vectors: normals of any length [3, h', w'].

        What a GPU tail has enlarged holds nothing more, and would cost several times as much.
        """
        if self._finish is None:
            self._finish = NormalsFinish(self._compiled)
        grid = min(depth.shape[1:], self._input_size)
        raw, vectors = on_grid(depth, grid), on_grid(vectors, grid)
        return Finished(self._finish(raw[0], vectors)[None], raw, vectors)


def on_grid(planes: Floats, grid: tuple[int, ...]) -> Floats:
    """[n, h, w] on another grid (H, W)."""
    if planes.shape[1:] == grid:
        return planes
    height, width = grid
    return np.stack([resize_linear(plane, (height, width)) for plane in planes])
