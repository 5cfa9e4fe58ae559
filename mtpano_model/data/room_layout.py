"""What a panorama inside an empty room shows: a polygon of walls, a flat floor and ceiling."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mtpano_model.geometry.sphere import rays


@dataclass(frozen=True)
class Span:
    """A door, window or opening on a wall: its ends (x, z) on the ground, heights above the
    camera, metres."""

    kind: str
    first: NDArray[np.float64]
    second: NDArray[np.float64]
    bottom: float
    top: float


@dataclass
class LayoutView:
    """depth: float32 [H, W], metres along the ray, 0 unknown. normals: float32 [H, W, 3], optical,
    towards the camera. kinds: [H, W], of "wall", "floor", "ceiling", "door", "window", ""."""

    depth: NDArray[np.float32]
    normals: NDArray[np.float32]
    kinds: NDArray[np.str_]


@dataclass(frozen=True)
class RoomLayout:
    """A room around the camera, in metres. corners: [N, 2], (x right, z forward), in order.

    floor, ceiling: how far below and above the camera. spans: what is on the walls; one of kind
    "opening" is looked through, and nothing is known there.
    """

    corners: NDArray[np.float64]
    floor: float
    ceiling: float
    spans: list[Span] = field(default_factory=list)

    def render(self, size: tuple[int, int]) -> LayoutView:
        """Exact at pixel centres. The nearest wall hides what is behind it."""
        ray = rays(*size).astype(np.float64)
        across = np.hypot(ray[..., 0], ray[..., 2])
        wall, distance = self._walls(ray[size[0] // 2])
        with np.errstate(divide="ignore", invalid="ignore"):
            level = np.where(ray[..., 1] > 0, self.floor / ray[..., 1], -self.ceiling / ray[..., 1])
            depth = np.minimum(distance[None] / across, np.abs(level))
        on_wall = distance[None] / across <= np.abs(level)
        kinds = np.where(on_wall, "wall", np.where(ray[..., 1] > 0, "floor", "ceiling"))
        kinds = kinds.astype("<U8")
        height = -ray[..., 1] * depth  # above the camera
        columns = ray[size[0] // 2][:, [0, 2]] * distance[:, None]
        for span in self.spans:
            along = span.second - span.first
            place = ((columns - span.first) @ along) / (along @ along)
            away = np.abs((columns - span.first) @ [-along[1], along[0]]) / np.hypot(*along)
            inside = (place >= 0) & (place <= 1) & (away < 0.05)  # metres: on that very wall
            there = on_wall & inside[None] & (height >= span.bottom) & (height <= span.top)
            kinds[there] = span.kind
        normals = np.zeros((*size, 3))
        normals[..., 1] = np.where(ray[..., 1] > 0, -1, 1)
        normals[on_wall] = np.broadcast_to(self._normals()[wall][None], (*size, 3))[on_wall]
        unknown = (kinds == "opening") | ~np.isfinite(depth)
        depth[unknown], normals[unknown], kinds[unknown] = 0, 0, ""
        return LayoutView(depth.astype(np.float32), normals.astype(np.float32), kinds)

    def _walls(self, row: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """The nearest wall of every column and how far it is on the ground; row: rays [W, 3]."""
        flat = row[:, [0, 2]] / np.hypot(row[:, 0], row[:, 2])[:, None]
        start = self.corners
        edge = np.roll(start, -1, 0) - start
        cross = flat[:, None, 0] * edge[None, :, 1] - flat[:, None, 1] * edge[None, :, 0]
        with np.errstate(divide="ignore", invalid="ignore"):
            t = (start[:, 0] * edge[:, 1] - start[:, 1] * edge[:, 0])[None] / cross
            s = (
                start[None, :, 0] * flat[:, None, 1] - start[None, :, 1] * flat[:, None, 0]
            ) / cross
        hit = (t > 0) & (s >= -1e-9) & (s <= 1 + 1e-9)
        t = np.where(hit, t, np.inf)
        wall = t.argmin(1)
        return wall, t[np.arange(len(t)), wall]

    def _normals(self) -> NDArray[np.float64]:
        """Of the walls, [N, 3], towards the side that the camera is on."""
        edge = np.roll(self.corners, -1, 0) - self.corners
        normal = np.stack([edge[:, 1], np.zeros(len(edge)), -edge[:, 0]], 1)
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
        side = normal[:, 0] * self.corners[:, 0] + normal[:, 2] * self.corners[:, 1]
        return normal * np.where(side > 0, -1, 1)[:, None]
