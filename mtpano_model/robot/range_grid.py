"""A panorama as the regular grid of ranges that nvblox's lidar path reads, in a body frame.

nvblox asks for one point a cell, H rows by W columns, W even, x ahead and z up. Cells lie at

    azimuth -pi + k 2 pi / W      elevation +-fov / 2 and evenly between, fov = pi (H - 1) / H

The rows are a panorama's own; its columns lie half a cell off, so each cell is what lies midway
between two neighbouring columns.
"""

from __future__ import annotations

import numpy as np

from mtpano_model.errors import MtpanoError
from mtpano_model.geometry.sphere import latitudes
from mtpano_model.robot.sampling import Floats

# Neighbours whose ranges differ by more are not one surface; the nearer one then holds.
_STEP = 1.1


def range_grid(depth: Floats) -> Floats:
    """Depth [H, W] -> ranges [H, W] at nvblox's cells; not finite where neither neighbour is.

    MtpanoError for an odd width, which nvblox refuses.
    """
    width = depth.shape[1]
    if width % 2:
        raise MtpanoError(
            f"a range grid of {width} columns is odd, and nvblox takes even ones alone: choose an "
            "output size with an even width"
        )
    # Cell k looks along azimuth -pi + k 2 pi / W, which is longitude pi - k 2 pi / W: the border
    # between columns W - k - 1 and W - k.
    right = np.roll(depth[:, ::-1], 1, axis=1)
    left = np.ascontiguousarray(depth[:, ::-1])
    with np.errstate(invalid="ignore"):
        near, far = np.fmin(left, right), np.fmax(left, right)
        # Midway on a plane: there 1 / range is linear.
        between = 2 * near * far / (near + far)
        return np.where(far < _STEP * near, between, near)


def grid_points(ranges: Floats, out: Floats | None = None) -> Floats:
    """Ranges [H, W] -> points [H, W, 3], body frame (x ahead, y left, z up); NaN stays NaN."""
    height, width = ranges.shape
    azimuth = (-np.pi + np.arange(width) * (2 * np.pi / width)).astype(np.float32)
    elevation = latitudes(height).astype(np.float32)[:, None]
    if out is None:
        out = np.empty((height, width, 3), np.float32)
    with np.errstate(invalid="ignore"):
        reach = ranges + ranges * np.float32(0)  # NaN where infinite
    flat = reach * np.cos(elevation)
    np.multiply(flat, np.cos(azimuth), out=out[..., 0])
    np.multiply(flat, np.sin(azimuth), out=out[..., 1])
    np.multiply(reach, np.sin(elevation), out=out[..., 2])
    return out
