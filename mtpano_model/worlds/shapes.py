"""The upper side of a model, read from its OBJ file, so that things can be put on it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_CELL = 0.025  # metres
_MOST_CELLS = 96
_LEVEL = 0.98  # cosine of what counts as a level face
# OBJ files have y up and z towards the viewer; here z is up and the front looks along -y.
_FROM_OBJ = np.array([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]])


@dataclass(frozen=True)
class Board:
    """A level place inside a model, such as a shelf; metres in the model's frame."""

    z: float
    x0: float
    x1: float
    y0: float
    y1: float
    gap: float  # free height above


@dataclass(frozen=True)
class Shape:
    """heights: [rows along y, columns along x] metres of the top, NaN where there is nothing."""

    heights: NDArray[np.float32]
    boards: tuple[Board, ...]

    def level_at(
        self,
        x: float,
        y: float,
        w: float,
        d: float,
        size: tuple[float, float, float],
        tolerance: float = 0.02,
    ) -> float | None:
        """Height of the top under a w x d footprint around (x, y), if it is level there."""
        rows, columns = self.heights.shape
        i0, i1 = (round((v / size[1] + 0.5) * rows) for v in (y - d / 2, y + d / 2))
        j0, j1 = (round((v / size[0] + 0.5) * columns) for v in (x - w / 2, x + w / 2))
        if min(i0, j0) < 0 or i1 > rows or j1 > columns:
            return None
        under = self.heights[i0 : max(i1, i0 + 1), j0 : max(j1, j0 + 1)]
        if not under.size or np.isnan(under).any() or under.max() - under.min() > tolerance:
            return None
        return float(under.max())


def block_shape(size: tuple[float, float, float]) -> Shape:
    """The shape of a plain block."""
    rows, columns = _grid(size)
    return Shape(np.full((rows, columns), size[2], np.float32), ())


def read_shape(
    path: Path, rotation: NDArray[np.float64], size: tuple[float, float, float]
) -> Shape:
    """Shape of an OBJ scaled to `size`; a plain block where the file has no triangles."""
    triangles = read_triangles(path)
    if not len(triangles):
        return block_shape(size)
    triangles = triangles @ (_FROM_OBJ @ rotation).T
    low, high = triangles.min((0, 1)), triangles.max((0, 1))
    scale = np.array(size) / np.maximum(high - low, 1e-9)
    triangles = (triangles - (low + high) / 2 * (1, 1, 0) - low * (0, 0, 1)) * scale
    return _shape(triangles, size)


def read_triangles(path: Path) -> NDArray[np.float64]:
    """[n, 3, 3] corners as the file has them; faces of more corners are fanned."""
    vertices: list[list[float]] = []
    faces: list[tuple[int, int, int]] = []
    for line in path.read_text(encoding="latin1").splitlines():
        if line.startswith("v "):
            vertices.append([float(v) for v in line.split()[1:4]])
        elif line.startswith("f "):
            corners = [int(c.split("/")[0]) for c in line.split()[1:]]
            corners = [c - 1 if c > 0 else len(vertices) + c for c in corners]
            faces.extend(
                (corners[0], corners[k], corners[k + 1]) for k in range(1, len(corners) - 1)
            )
    if not faces:
        return np.empty((0, 3, 3))
    return np.array(vertices)[np.array(faces)]


def _grid(size: tuple[float, float, float]) -> tuple[int, int]:
    return tuple(int(np.clip(np.ceil(s / _CELL), 1, _MOST_CELLS)) for s in (size[1], size[0]))  # type: ignore[return-value]


def _shape(triangles: NDArray[np.float64], size: tuple[float, float, float]) -> Shape:
    rows, columns = _grid(size)
    heights = np.full((rows, columns), -np.inf)
    cell = np.array([size[0] / columns, size[1] / rows])
    normal = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    length = np.linalg.norm(normal, axis=1)
    level = np.abs(normal[:, 2]) > _LEVEL * np.maximum(length, 1e-12)
    level_points: list[NDArray] = []
    parts, is_level = triangles, level
    for _ in range(18):  # halve what is larger than a cell, then mark the cell of every piece
        large = (np.ptp(parts[:, :, :2], axis=1) > cell * 0.7).any(1)
        middles = parts[~large].mean(1)
        j = np.clip(((middles[:, 0] / size[0] + 0.5) * columns).astype(int), 0, columns - 1)
        i = np.clip(((middles[:, 1] / size[1] + 0.5) * rows).astype(int), 0, rows - 1)
        np.maximum.at(heights, (i, j), middles[:, 2])
        level_points.append(middles[is_level[~large]])
        parts, is_level = _halved(parts[large]), np.repeat(is_level[large], 2)
        if not len(parts):
            break
    heights[np.isinf(heights)] = np.nan
    return Shape(heights.astype(np.float32), _boards(np.concatenate(level_points), size, cell))


def _halved(triangles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each triangle cut in two across its longest side (seen from above)."""
    sides = np.linalg.norm((np.roll(triangles, -1, 1) - triangles)[:, :, :2], axis=2)
    first = sides.argmax(1)
    rows = np.arange(len(triangles))
    a, b, c = (triangles[rows, (first + k) % 3] for k in range(3))
    middle = (a + b) / 2
    return np.stack([np.stack((a, middle, c), 1), np.stack((middle, b, c), 1)], 1).reshape(-1, 3, 3)


def _boards(points: NDArray, size: tuple[float, float, float], cell: NDArray) -> tuple[Board, ...]:
    """Level layers that cover much of the footprint, with how much is free above each."""
    if not len(points):
        return ()
    layer = np.round(points[:, 2] / 0.01).astype(int)
    found = []
    for z in np.unique(layer):
        here = points[layer == z]
        cells = np.unique(np.floor(here[:, :2] / cell).astype(int), axis=0)
        if len(cells) * cell[0] * cell[1] > 0.4 * size[0] * size[1]:
            found.append((z * 0.01, here))
    boards = []
    ends = [z for z, _ in found[1:]] + [size[2] + 0.3]
    for (z, here), above in zip(found, ends, strict=False):
        (x0, y0), (x1, y1) = here[:, :2].min(0), here[:, :2].max(0)
        if above - z > 0.15 and z < size[2] - 0.1:
            boards.append(
                Board(float(z), float(x0), float(x1), float(y0), float(y1), float(above - z))
            )
    return tuple(boards)
