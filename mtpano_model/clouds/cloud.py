"""Points in space from a frame: position = ray x depth, in the optical frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtpano_model.geometry.sphere import surface_points
from mtpano_model.inference.frame import Frame
from mtpano_model.pictures.resize import resize_image


@dataclass(frozen=True, eq=False)
class Cloud:
    """N points, optical frame (x right, y down, z forward).

    points: [N, 3] float32 metres, NaN where there is no surface. colors: [N, 3] uint8 RGB.
    normals: [N, 3] float32 unit vectors towards the camera, NaN where invalid. labels: [N] uint32.
    grid: (rows, columns) of an organised cloud, which keeps every pixel in the picture's order;
        None where points without a surface have been dropped.
    """

    points: NDArray[np.float32]
    colors: NDArray[np.uint8]
    normals: NDArray[np.float32]
    labels: NDArray[np.uint32]
    grid: tuple[int, int] | None = None

    def __len__(self) -> int:
        return len(self.points)

    def finite(self) -> Cloud:
        """Without the points that have no surface."""
        keep = np.isfinite(self.points[:, 0])
        return Cloud(self.points[keep], self.colors[keep], self.normals[keep], self.labels[keep])


def cloud_from_frame(frame: Frame, rgb: NDArray[np.uint8], stride: int = 1) -> Cloud:
    """Organised cloud of every `stride`-th row and column.

    rgb: the input picture, uint8 [h, w, 3] of any size; colours are sampled from it. Depths of NaN
    and of either infinity give NaN points that keep their label.
    """
    every = (slice(stride // 2, None, stride), slice(stride // 2, None, stride))
    depth = np.where(np.isfinite(frame.depth), frame.depth, np.float32(np.nan))
    where = surface_points(depth, every)
    return Cloud(
        points=where.reshape(-1, 3),
        colors=resize_image(rgb, frame.size)[every].reshape(-1, 3),
        normals=frame.normals[every].reshape(-1, 3),
        labels=frame.labels[every].reshape(-1).astype(np.uint32),
        grid=(where.shape[0], where.shape[1]),
    )
