"""A frame of arrays -> the 32-byte points of a PointCloud2.

Fields x y z rgb normal_x normal_y normal_z label; a point is ray x depth. One pass over the
message's memory: with numba a compiled loop, else bands of rows that fit the cache, in which eight
planes are computed one by one and then transposed into points.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import PointField

from mtpano_model.geometry.sphere import frame_matrix, latitudes, longitudes
from mtpano_model.inference.frame import Frame

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
# Points a band: its eight planes (1 MiB) then stay in the second-level cache.
_BAND = 32768
VERTICAL = 1  # the optical y axis: the same in every column
_TO_BGRA = {"rgb": cv2.COLOR_RGB2BGRA, "bgr": cv2.COLOR_BGR2BGRA}


class _Axes(NamedTuple):
    """x, y, z of a convention: depth x rows x columns; source: the optical axis, times sign."""

    rows: Floats  # [3, h]
    columns: Floats  # [3, w]
    source: tuple[int, ...]
    sign: tuple[np.float32, ...]


class CloudPacker:
    """Packs organised clouds, keeping its scratch memory from frame to frame.

    compiled: use numba's loop, None: if numba is there.
    """

    def __init__(self, compiled: bool | None = None) -> None:
        self._loop = None if compiled is False else _compiled_loop(required=bool(compiled))
        self._scratch = np.empty((0, 0), np.float32)

    def pack(
        self,
        frame: Frame,
        picture: NDArray[np.uint8],
        order: Literal["rgb", "bgr"],
        out: Floats,
        convention: str = "optical",
        stride: int = 1,
    ) -> None:
        """Write every `stride`-th row and column of the frame into out [h, w, 8].

        picture: uint8 [H, W, 3] at the frame's size, channels in `order`. convention: the axes,
        optical or body. Depths of NaN and of either infinity give NaN points that keep their
        label. h, w: see `cloud_size`.
        """
        axes = _axes(frame.size, convention, stride)
        picture = np.ascontiguousarray(picture)
        if self._loop is not None and frame.labels.dtype == np.uint8:
            red = 0 if order == "rgb" else 2
            self._loop(frame.depth, frame.normals, picture, frame.labels, *axes, red, stride, out)
        else:
            every = _every(stride)
            strided = Frame(
                frame.depth[every],
                np.ascontiguousarray(frame.normals[every]),
                frame.labels[every],
            )
            self._pack_planes(strided, np.ascontiguousarray(picture[every]), order, out, axes)

    def _pack_planes(
        self, frame: Frame, picture: NDArray[np.uint8], order: str, out: Floats, axes: _Axes
    ) -> None:
        height, width = frame.size
        band = max(1, _BAND // width)
        if self._scratch.shape != (9, band * width):
            self._scratch = np.empty((9, band * width), np.float32)
        points = out.reshape(height * width, 8)
        for top in range(0, height, band):
            rows = slice(top, min(top + band, height))
            scratch = self._scratch[:, : (rows.stop - top) * width]
            planes = scratch.reshape(9, rows.stop - top, width)
            _positions(frame.depth[rows], axes, rows, planes)
            _normals(frame.normals[rows], axes, planes[4:7])
            colors = scratch[3].view(np.uint8).reshape(rows.stop - top, width, 4)
            cv2.cvtColor(picture[rows], _TO_BGRA[order], dst=colors)
            bits = scratch[3].view(np.uint32)
            np.bitwise_and(bits, np.uint32(0x00FFFFFF), out=bits)
            np.copyto(planes[7].view(np.uint32), frame.labels[rows])
            cv2.transpose(scratch[:8], dst=points[top * width : rows.stop * width])


def cloud_size(size: tuple[int, int], stride: int) -> tuple[int, int]:
    """(rows, columns) of the cloud of a frame of `size`."""
    return len(range(size[0])[_every(stride)[0]]), len(range(size[1])[_every(stride)[1]])


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


def _every(stride: int) -> tuple[slice, slice]:
    return slice(stride // 2, None, stride), slice(stride // 2, None, stride)


def _compiled_loop(required: bool) -> Callable[..., None] | None:
    try:
        from mtpano_ros.point_kernel import pack
    except ImportError:
        if required:
            raise
        return None
    return pack


@lru_cache(maxsize=16)
def _axes(size: tuple[int, int], convention: str, stride: int) -> _Axes:
    """The ray is (cos lat sin lon, -sin lat, cos lat cos lon)."""
    rows, columns = _every(stride)
    latitude, longitude = latitudes(size[0])[rows], longitudes(size[1])[columns]
    by_row = np.stack([np.cos(latitude), -np.sin(latitude), np.cos(latitude)])
    by_column = np.stack([np.sin(longitude), np.ones_like(longitude), np.cos(longitude)])
    turn = frame_matrix("optical", convention)  # a permutation of axes with signs
    source = np.abs(turn).argmax(axis=1)
    sign = turn.sum(axis=1)
    return _Axes(
        np.ascontiguousarray(by_row[source] * sign[:, None], np.float32),
        np.ascontiguousarray(by_column[source], np.float32),
        tuple(source.tolist()),
        tuple(np.float32(one) for one in sign),
    )


def _positions(depth: Floats, axes: _Axes, rows: slice, planes: Floats) -> None:
    """x, y, z into planes 0..2; the last plane is scratch."""
    finite = planes[-1]
    with np.errstate(invalid="ignore"):
        np.multiply(depth, np.float32(0), out=finite)  # NaN where infinite
    np.add(finite, depth, out=finite)
    for plane, by_row, by_column, source in zip(planes, *axes[:3], strict=False):
        np.multiply(finite, by_row[rows, None], out=plane)
        if source != VERTICAL:
            np.multiply(plane, by_column, out=plane)


def _normals(normals: Floats, axes: _Axes, planes: Floats) -> None:
    cv2.split(normals, [planes[axes.source.index(axis)] for axis in range(3)])
    for plane, sign in zip(planes, axes.sign, strict=True):
        if sign < 0:
            np.negative(plane, out=plane)
