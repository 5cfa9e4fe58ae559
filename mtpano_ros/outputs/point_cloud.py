"""Packs a frame's arrays as the 32-byte points of a PointCloud2.

Fields x y z rgb normal_x normal_y normal_z label, and height as a ninth where the camera's own
height is known; a point is ray x depth. With numba a compiled
loop fills the message's memory in one pass (point_kernel.py). Without it numpy computes one field
after the other, with the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import PointField

from mtpano_model.geometry.sphere import frame_matrix, latitudes, longitudes
from mtpano_model.inference.compiled import compiled_loops
from mtpano_model.inference.frame import Frame
from mtpano_model.robot.transforms import Transform

Floats = NDArray[np.float32]

POINT_STEP = 32
_NAMES = ("x", "y", "z", "rgb", "normal_x", "normal_y", "normal_z", "label")
FIELDS = [
    PointField(
        name=name,
        offset=4 * position,
        datatype=PointField.UINT32 if name == "label" else PointField.FLOAT32,
        count=1,
    )
    for position, name in enumerate(_NAMES)
]


def float_fields(names: Sequence[str], first: int = 0) -> list[PointField]:
    """FLOAT32 fields side by side, the first of them at this position."""
    return [
        PointField(name=name, offset=4 * position, datatype=PointField.FLOAT32, count=1)
        for position, name in enumerate(names, first)
    ]


FIELDS_WITH_HEIGHT = [*FIELDS, *float_fields(["height"], len(FIELDS))]


class Axes(NamedTuple):
    """How the points of a grid of h x w pixels are computed in the axes of a convention.

    Component k of a point is depth * rows[k, i] * columns[k, j]; component k of a normal is
    sign[k] times component source[k] of the normal in the optical frame.
    """

    rows: Floats  # [3, h]
    columns: Floats  # [3, w]
    source: tuple[int, ...]
    sign: tuple[np.float32, ...]


class CloudPacker:
    """Packs organised clouds. compiled: use numba's loop; None: use it if numba is installed."""

    def __init__(self, compiled: bool | None = None) -> None:
        self._loop = None if compiled is False else _compiled_loop(required=bool(compiled))

    def pack(
        self,
        frame: Frame,
        picture: NDArray[np.uint8],
        order: Literal["rgb", "bgr"],
        out: Floats,
        convention: str = "optical",
        stride: int = 1,
    ) -> None:
        """Write every `stride`-th row and column of the frame into out [h, w, 8 or more].

        picture: uint8 [H, W, 3] at the frame's size, channels in `order`. convention: the axes,
        optical or body. A depth of NaN or infinity gives a NaN point that keeps its label. h, w:
        see `cloud_size`.
        """
        axes = _axes(frame.size, convention, stride)
        red = 0 if order == "rgb" else 2
        if self._loop is not None and frame.labels.dtype == np.uint8:
            picture = np.ascontiguousarray(picture)
            self._loop(frame.depth, frame.normals, picture, frame.labels, *axes, red, stride, out)
        else:
            _pack(frame, picture, axes, red, stride, out)


def _pack(
    frame: Frame, picture: NDArray[np.uint8], axes: Axes, red: int, stride: int, out: Floats
) -> None:
    taken = every(stride)
    # Plane by plane: numpy writes into contiguous memory several times as fast.
    points = np.moveaxis(np.empty((8, *out.shape[:2]), np.float32), 0, -1)
    _fill_places(frame.depth[taken], axes, points)
    normals, colors = frame.normals[taken], picture[taken].astype(np.uint32)
    for axis in range(3):
        np.multiply(axes.sign[axis], normals[..., axes.source[axis]], out=points[..., 4 + axis])
    bits = points.view(np.uint32)
    bits[..., 3] = colors[..., red] << 16 | colors[..., 1] << 8 | colors[..., 2 - red]
    bits[..., 7] = frame.labels[taken]
    out[..., :8] = points


def pack_places(depth: Floats, out: Floats, convention: str = "optical", stride: int = 1) -> None:
    """x, y and z of every `stride`-th row and column of depth [H, W] into out [h, w, 3 or more]."""
    axes = _axes((depth.shape[0], depth.shape[1]), convention, stride)
    _fill_places(depth[every(stride)], axes, out)


def _fill_places(depth: Floats, axes: Axes, out: Floats) -> None:
    with np.errstate(invalid="ignore"):
        reach = depth + depth * np.float32(0)  # NaN where infinite
    for axis in range(3):
        np.multiply(reach, axes.rows[axis, :, None], out=out[..., axis])
        out[..., axis] *= axes.columns[axis]


def move(points: Floats, then: Transform, normals: bool) -> None:
    """Transform packed points [h, w, n] to another frame, in place; with `normals`, these too."""
    matrix = then.matrix.astype(np.float32)
    affine = np.column_stack([matrix, then.translation]).astype(np.float32)
    for first, turn in ((0, affine), (4, matrix))[: 1 + normals]:
        vectors = np.ascontiguousarray(points[..., first : first + 3])
        points[..., first : first + 3] = cv2.transform(vectors, turn)


def cloud_size(size: tuple[int, int], stride: int) -> tuple[int, int]:
    """(rows, columns) of the cloud of a frame of `size`."""
    return len(range(size[0])[every(stride)[0]]), len(range(size[1])[every(stride)[1]])


def cloud_bytes(size: tuple[int, int], stride: int, fields: Sequence[PointField]) -> int:
    """Bytes of the points of a frame of `size`; every field has four."""
    rows, columns = cloud_size(size, stride)
    return rows * columns * 4 * len(fields)


def coarser(size: tuple[int, int], stride: int, fields: Sequence[PointField], limit: int) -> str:
    """The setting of the least `cloud.stride` with which the points have at most `limit` bytes."""
    while cloud_bytes(size, stride, fields) > limit:
        stride += 1
    return f"cloud.stride to {stride}"


def voxel_choice(points: Floats, voxel: float) -> NDArray[np.intp]:
    """Indices of one point in every occupied cube of `voxel` metres: the first in memory.

    points: [N, 8] as packed. A measured point is kept, not a mean, so that its colour, normal and
    label stay those of one pixel. NaN points are left out.
    """
    found = np.flatnonzero(np.isfinite(points[:, 0]))
    cells = np.floor(points[found, :3] * np.float32(1 / voxel)).astype(np.int64)
    cells -= cells.min(axis=0, initial=0)
    extent = cells.max(axis=0, initial=0) + 1
    keys = (cells[:, 0] * extent[1] + cells[:, 1]) * extent[2] + cells[:, 2]
    return found[np.sort(np.unique(keys, return_index=True)[1])]


def every(stride: int) -> tuple[slice, slice]:
    """The rows and columns that a cloud of this stride uses."""
    return slice(stride // 2, None, stride), slice(stride // 2, None, stride)


def _compiled_loop(required: bool) -> Callable[..., None] | None:
    kernel = compiled_loops("mtpano_ros.outputs.point_kernel", required)
    return None if kernel is None else kernel.pack


@lru_cache(maxsize=16)
def _axes(size: tuple[int, int], convention: str, stride: int) -> Axes:
    """The ray is (cos lat sin lon, -sin lat, cos lat cos lon)."""
    rows, columns = every(stride)
    latitude, longitude = latitudes(size[0])[rows], longitudes(size[1])[columns]
    by_row = np.stack([np.cos(latitude), -np.sin(latitude), np.cos(latitude)])
    by_column = np.stack([np.sin(longitude), np.ones_like(longitude), np.cos(longitude)])
    turn = frame_matrix("optical", convention)  # a permutation of axes with signs
    source = np.abs(turn).argmax(axis=1)
    sign = turn.sum(axis=1)
    return Axes(
        np.ascontiguousarray(by_row[source] * sign[:, None], np.float32),
        np.ascontiguousarray(by_column[source], np.float32),
        tuple(source.tolist()),
        tuple(np.float32(one) for one in sign),
    )
