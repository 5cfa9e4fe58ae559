"""Groups of frames that are measured apart: by kind of place and by how wide the room is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from mtpano_model.classes import ClassSet
from mtpano_model.data.sample import PanoramaDataset
from mtpano_model.geometry.sphere import surface_points
from mtpano_model.metrics.evaluation import Maps

KIND, WIDTH = "kind", "width of the room"
# Upper ends, metres: closets, passages, rooms of homes, offices and large spaces.
_WIDTHS = (1.6, 3.0, 6.0, 12.0)
_OPEN = "no walls around"
_ENCLOSING = ("wall", "door", "window", "curtain")
_SECTORS = 120  # of the horizon
_NARROWEST = 0.05  # quantile of the widths in all directions: a pillar is no wall
_LEAST_SEEN = 0.2  # of the directions: in the open, walls rarely face each other
_PARALLEL = 0.95
_LEVEL = (0.0, 1.0, 0.0)


@runtime_checkable
class DescribedFrames(Protocol):
    """A data set that knows more of a frame than its maps."""

    def facts(self, index: int) -> Mapping[str, Any]: ...


def groups_of(
    frames: PanoramaDataset, index: int, truth: Maps, classes: ClassSet
) -> dict[str, str]:
    """The group of a frame with exact depth in each way of grouping: {"kind": "hall", ...}."""
    facts = _facts(frames, index)
    groups = {}
    if isinstance(facts.get("kind"), str):
        groups[KIND] = facts["kind"]
    if truth.depth is not None and truth.normals is not None and truth.labels is not None:
        known = [classes.names.index(name) for name in _ENCLOSING if name in classes.names]
        walls = np.isin(truth.labels, known) & (truth.depth > 0)
        width = room_width(truth.depth, truth.normals, walls, down_of(frames, index))
        groups[WIDTH] = _width_group(width)
    return groups


def in_order(family: str, names: list[str]) -> list[str]:
    """Group names as they are to be listed."""
    if family != WIDTH:
        return sorted(names)
    known = [*(_width_group(width - 0.1) for width in (*_WIDTHS, np.inf)), _OPEN]
    return [name for name in known if name in names]


def room_width(
    depth: NDArray[np.floating],
    normals: NDArray[np.floating],
    walls: NDArray[np.bool_],
    down: NDArray[np.floating],
) -> float | None:
    """Metres between the nearest two parallel walls that the camera stands between; None in the
    open.

    depth: [H, W] metres along the ray; normals: [H, W, 3]; walls: [H, W], where they are those of a
    wall; down: unit vector, optical frame. In each of 60 directions forth and back one point of a
    wall is taken, the median by distance; where both walls face each other, their distances at
    right angles are added. Of these sums the 5 % quantile.
    """
    aside = np.cross(down, (0.0, 0.0, 1.0))
    aside /= max(float(np.linalg.norm(aside)), 1e-9)
    ground = np.stack([aside, np.cross(aside, down)], 1)
    points = surface_points(depth.astype(np.float64), walls)
    distance = np.linalg.norm(points @ ground, axis=1)
    shallow = np.abs(points @ down) < distance
    points, distance = (points @ ground)[shallow], distance[shallow]
    facing = (normals[walls] @ ground)[shallow]
    sector = ((np.arctan2(*points.T) / (2 * np.pi) + 1) * _SECTORS).astype(int) % _SECTORS
    middle = np.full((_SECTORS, 4), np.nan)  # of each sector: a point and its normal
    for number in np.unique(sector):
        here = np.flatnonzero(sector == number)
        chosen = here[np.argsort(distance[here])[len(here) // 2]]
        middle[number] = *points[chosen], *facing[chosen]
    away = -(middle[:, :2] * middle[:, 2:]).sum(1)
    forth, back = middle[: _SECTORS // 2], middle[_SECTORS // 2 :]
    parallel = (forth[:, 2:] * back[:, 2:]).sum(1) < -_PARALLEL
    widths = (away[: _SECTORS // 2] + away[_SECTORS // 2 :])[parallel]
    if len(widths) < _LEAST_SEEN * _SECTORS / 2:
        return None
    return float(np.quantile(widths, _NARROWEST))


def _width_group(width: float | None) -> str:
    if width is None:
        return _OPEN
    low: float = 0
    for high in _WIDTHS:
        if width < high:
            return f"{low:g} to {high:g} m" if low else f"under {high:g} m"
        low = high
    return f"{low:g} m and more"


def _facts(frames: PanoramaDataset, index: int) -> Mapping[str, Any]:
    return frames.facts(index) if isinstance(frames, DescribedFrames) else {}


def down_of(frames: PanoramaDataset, index: int) -> NDArray[np.float64]:
    """Unit vector, optical frame: gravity or the pose of the index, whose world has z up; else the
    camera is taken for level."""
    facts = _facts(frames, index)
    for value in (facts.get("gravity_optical"), facts.get("world_from_camera")):
        try:
            vector = np.array(value, np.float64)
        except (TypeError, ValueError):
            continue
        vector = -vector[2] if vector.shape == (3, 3) else vector
        if vector.shape == (3,) and np.linalg.norm(vector) > 0.5:
            return vector / np.linalg.norm(vector)
    return np.array(_LEVEL)
