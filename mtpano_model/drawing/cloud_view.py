"""Renders an organised cloud from a viewpoint outside the room, as a surface of small quads.

Neighbouring pixels of the panorama span a quad. A quad is drawn if its corners belong to one
surface and if it is seen from the side that the panorama saw. A camera outside a room therefore
looks into it through the near walls and the ceiling, as into a doll's house.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mtpano_model.clouds.cloud import Cloud
from mtpano_model.geometry.sphere import pitch_matrix, yaw_matrix

Rgb = NDArray[np.uint8]
Floats = NDArray[np.float32]

BACKGROUND = (44, 47, 54)
_PACKED_BACKGROUND = int.from_bytes(bytes(BACKGROUND), "little")
_BLOCK = 4096  # quads at a time: the samples' arrays then stay in the cache
_OVERSAMPLING = 2
_NEAREST = 0.05  # metres in front of the camera
_LEAST_SLANT = 0.1  # sine of the angle under which a surface is still told from a jump in depth
_FLAT = 0.2  # a surface seen under a smaller angle is told by lying across its own normals
_SPACING = 0.7  # pixels between a quad's samples: a diagonal step then stays below one pixel
_MAX_STEPS = 128


@dataclass(frozen=True)
class Viewpoint:
    """A pinhole camera in the cloud's frame.

    position: metres. yaw, pitch: radians; yaw > 0 looks right, pitch > 0 up. focal: focal length in
    widths of the picture.
    """

    position: tuple[float, float, float]
    yaw: float
    pitch: float
    focal: float

    @property
    def rotation(self) -> NDArray[np.float64]:
        """3x3 matrix whose columns are the camera's axes: right, down, forward."""
        return yaw_matrix(self.yaw) @ pitch_matrix(self.pitch)


def dollhouse(
    cloud: Cloud, size: tuple[int, int], yaw: float = 0.5, pitch: float = -0.8
) -> Viewpoint:
    """A camera above and outside the room that fits it into a picture of `size` (H, W).

    yaw, pitch: radians. The room is what lies within three times the median range, so that the
    view down a corridor does not make everything else small.
    """
    points = cloud.finite().points.astype(np.float64)
    if len(points) == 0:
        return Viewpoint((0.0, 0.0, 0.0), yaw, pitch, 1.0)
    ranges = np.linalg.norm(points, axis=1)
    points = points[ranges <= 3 * np.median(ranges)]
    rotation = Viewpoint((0.0, 0.0, 0.0), yaw, pitch, 1.0).rotation
    local = points @ rotation
    low, high = np.percentile(local, [0.1, 99.9], axis=0)
    reach = max(float(np.linalg.norm(high - low)) / 2, 0.1)
    eye = (low + high) / 2 - np.array([0, 0, 3 * reach])
    for _ in range(2):  # what is nearer looks larger, so the middle is found by looking
        slopes = (local[:, :2] - eye[:2]) / (local[:, 2:] - eye[2])
        low, high = np.percentile(slopes, [0.1, 99.9], axis=0)
        eye[:2] += (low + high) / 2 * 3 * reach
    focal = 0.92 * min(1 / (high - low)[0], size[0] / size[1] / (high - low)[1])
    x, y, z = (float(value) for value in rotation @ eye)
    return Viewpoint((x, y, z), yaw, pitch, float(focal))


def render(cloud: Cloud, view: Viewpoint, size: tuple[int, int]) -> Rgb:
    """uint8 RGB [H, W, 3] of an organised cloud of a whole panorama; `size` = (H, W).

    ValueError if the cloud is not organised.
    """
    if cloud.grid is None:
        raise ValueError("the cloud is not organised: take it from `cloud_from_frame` as it is")
    height, width = size[0] * _OVERSAMPLING, size[1] * _OVERSAMPLING
    points = _closed(cloud.points.reshape(*cloud.grid, 3))
    colors = _closed(cloud.colors.reshape(*cloud.grid, 3))
    local = (points - np.array(view.position, np.float32)) @ view.rotation.astype(np.float32)
    depth = local[..., 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        screen = local[..., :2] / depth[..., None] * np.float32(view.focal * width)
    screen += np.array([width / 2, height / 2], np.float32)

    normals = _closed(cloud.normals.reshape(*cloud.grid, 3))
    quads = _visible(points, normals, screen, depth, (height, width))
    quads = quads[np.argsort(-depth[quads[:, 0], quads[:, 1]], kind="stable")]
    packed = colors.astype(np.int32) @ np.array([1, 1 << 8, 1 << 16], np.int32)
    canvas = np.full(height * width, np.int32(_PACKED_BACKGROUND))
    # Later assignments win and the quads run from far to near: the painter's algorithm.
    for begin in range(0, len(quads), _BLOCK):
        x, y, color = _samples(screen, packed, quads[begin : begin + _BLOCK])
        inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        canvas[y[inside] * width + x[inside]] = color[inside]
    canvas = canvas.view(np.uint8).reshape(height, width, 4)[..., :3]
    return np.asarray(cv2.resize(canvas, size[::-1], interpolation=cv2.INTER_AREA), np.uint8)


def _closed(grid: NDArray) -> NDArray:
    """[h, w, 3] -> [h, w + 1, 3]: the panorama's last column meets its first."""
    return np.concatenate([grid, grid[:, :1]], axis=1)


def _corners(grid: NDArray) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Upper left, upper right, lower right and lower left value of every quad."""
    return grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:], grid[1:, :-1]


def _flat(points: Floats, normals: Floats) -> NDArray[np.bool_]:
    """Quads [h, w] that lie across the mean normal of their corners, as a far floor does."""
    a, b, c, d = _corners(points)
    normal = np.sum(_corners(normals), axis=0)
    alike = np.linalg.norm(normal, axis=-1)  # 4 where the four normals are one
    flat = alike > 4 - _FLAT
    for line in (c - a, d - b):
        flat &= np.abs((normal * line).sum(-1)) < _FLAT * alike * np.linalg.norm(line, axis=-1)
    return np.asarray(flat)


def _visible(
    points: Floats, normals: Floats, screen: Floats, depth: Floats, size: tuple[int, int]
) -> NDArray[np.int64]:
    """(row, column) of the quads to draw, [N, 2]: whole, one surface, seen from inside, in view."""
    ranges = np.linalg.norm(points, axis=-1)
    corner_ranges = np.stack(_corners(ranges))
    # Neighbours on a plane seen under an angle of sine s differ by the factor 1 + step / s.
    jump = 1 + np.pi / len(points) / _LEAST_SLANT
    a, b, c, d = _corners(screen)
    with np.errstate(invalid="ignore"):
        across, down = c - a, d - b
        whole = corner_ranges.max(axis=0) < jump * corner_ranges.min(axis=0)
        whole |= _flat(points, normals)
        ahead = np.stack(_corners(depth)).min(axis=0) > _NEAREST
        # The order of the corners on the screen turns over when a quad is seen from behind.
        same_side = across[..., 0] * down[..., 1] - across[..., 1] * down[..., 0] > 0
        center = (a + c) / 2
        near = (np.abs(center - np.array(size[::-1]) / 2) < np.array(size[::-1])).all(axis=-1)
    return np.argwhere(whole & ahead & same_side & near)


def _samples(
    screen: Floats, packed: NDArray[np.int32], quads: NDArray[np.int64]
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    """Column, row and packed colour (of the nearest corner) of the pixels that fill the quads."""
    i, j = quads.T
    a, b, c, d = screen[i, j], screen[i, j + 1], screen[i + 1, j + 1], screen[i + 1, j]
    along = np.maximum(np.abs(b - a), np.abs(c - d)).max(axis=1)
    below = np.maximum(np.abs(d - a), np.abs(c - b)).max(axis=1)
    columns = np.clip(np.ceil(along / _SPACING), 1, _MAX_STEPS).astype(np.int32)
    rows = np.clip(np.ceil(below / _SPACING), 1, _MAX_STEPS).astype(np.int32)
    count = columns * rows
    which = np.repeat(np.arange(len(quads)), count)
    index = np.arange(len(which), dtype=np.int32) - np.repeat(np.cumsum(count) - count, count)
    in_row, in_column = np.divmod(index, columns[which])
    u = (in_column + np.float32(0.5)) * (1 / columns).astype(np.float32)[which]
    v = (in_row + np.float32(0.5)) * (1 / rows).astype(np.float32)[which]
    # Bilinear from corner to corner: a + u (b - a) + v (d - a) + u v (a - b + c - d).
    coefficients = np.stack([a, b - a, d - a, a - b + c - d])
    x, y = (np.take(coefficients[..., axis], which, axis=1) for axis in (0, 1))
    x = np.floor(x[0] + u * (x[1] + v * x[3]) + v * x[2]).astype(np.int32)
    y = np.floor(y[0] + u * (y[1] + v * y[3]) + v * y[2]).astype(np.int32)
    corners = np.stack([packed[i, j], packed[i, j + 1], packed[i + 1, j], packed[i + 1, j + 1]])
    return x, y, corners[(u > 0.5) + 2 * (v > 0.5), which]
