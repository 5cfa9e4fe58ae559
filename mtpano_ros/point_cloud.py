"""A frame of arrays -> the 32-byte points of a PointCloud2.

Fields x y z rgb normal_x normal_y normal_z label; a point is ray x depth. Written in bands of rows
that fit the cache: eight planes are computed one by one, then transposed into points in one pass
over the message's memory.
"""

from __future__ import annotations

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
_TO_BGRA = {"rgb": cv2.COLOR_RGB2BGRA, "bgr": cv2.COLOR_BGR2BGRA}


class _Axis(NamedTuple):
    """One coordinate: depth x rows x columns; source: the optical axis it is, times sign."""

    rows: Floats  # [H, 1]
    columns: Floats | None  # [W], None where it does not depend on the column
    source: int
    sign: int


class CloudPacker:
    """Packs organised clouds, keeping its scratch memory from frame to frame."""

    def __init__(self) -> None:
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

        picture: uint8 [H, W, 3] at the frame's size, channels in `order`. Depths of NaN and of
        either infinity give NaN points that keep their label. h, w: see `cloud_size`.
        convention: the axes, optical or body.
        """
        every = _every(stride)
        depth, labels = frame.depth[every], frame.labels[every]
        normals = np.ascontiguousarray(frame.normals[every])
        picture = np.ascontiguousarray(picture[every])
        height, width = depth.shape
        axes = _axes(frame.size, convention, stride)
        band = max(1, _BAND // width)
        if self._scratch.shape != (10, band * width):
            self._scratch = np.empty((10, band * width), np.float32)
        points = out.reshape(height * width, 8)
        for top in range(0, height, band):
            rows = slice(top, min(top + band, height))
            size = (rows.stop - top) * width
            scratch = self._scratch[:, :size]
            planes = scratch.reshape(10, rows.stop - top, width)
            _positions(depth[rows], axes, rows, planes)
            _normals(normals[rows], axes, planes[4:7])
            colors = scratch[3].view(np.uint8).reshape(rows.stop - top, width, 4)
            cv2.cvtColor(picture[rows], _TO_BGRA[order], dst=colors)
            bits = scratch[3].view(np.uint32)
            np.bitwise_and(bits, np.uint32(0x00FFFFFF), out=bits)
            np.copyto(planes[7].view(np.uint32), labels[rows])
            cv2.transpose(scratch[:8], dst=points[top * width : top * width + size])


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


@lru_cache(maxsize=16)
def _axes(size: tuple[int, int], convention: str, stride: int) -> tuple[_Axis, ...]:
    """x, y, z of the convention; the ray is (cos lat sin lon, -sin lat, cos lat cos lon)."""
    rows, columns = _every(stride)
    latitude, longitude = latitudes(size[0])[rows, None], longitudes(size[1])[columns]
    optical = (
        (np.cos(latitude), np.sin(longitude)),
        (-np.sin(latitude), None),
        (np.cos(latitude), np.cos(longitude)),
    )
    axes = []
    for weights in frame_matrix("optical", convention):
        source = int(np.abs(weights).argmax())
        sign = int(weights[source])
        by_row, by_column = optical[source]
        axes.append(
            _Axis(
                (sign * by_row).astype(np.float32),
                None if by_column is None else by_column.astype(np.float32),
                source,
                sign,
            )
        )
    return tuple(axes)


def _positions(depth: Floats, axes: tuple[_Axis, ...], rows: slice, planes: Floats) -> None:
    """x, y, z into planes 0..2; planes 8 and 9 are scratch."""
    finite, horizontal = planes[8], planes[9]
    with np.errstate(invalid="ignore"):
        np.multiply(depth, np.float32(0), out=finite)  # NaN where infinite
    np.add(finite, depth, out=finite)
    for plane, axis in zip(planes, axes, strict=False):
        if axis.columns is None:
            np.multiply(finite, axis.rows[rows], out=plane)
        else:
            np.multiply(finite, axis.rows[rows], out=horizontal)
            np.multiply(horizontal, axis.columns, out=plane)


def _normals(normals: Floats, axes: tuple[_Axis, ...], planes: Floats) -> None:
    by_source = [planes[[axis.source for axis in axes].index(source)] for source in range(3)]
    cv2.split(normals, by_source)
    for plane, axis in zip(planes, axes, strict=True):
        if axis.sign < 0:
            np.negative(plane, out=plane)
