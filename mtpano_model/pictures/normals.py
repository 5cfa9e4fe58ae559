"""Normals as colours of 8 bits: RGB = round((n + 1) x 127.5), grey (128) where there is none."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

GREY = 128  # in all three channels; no unit vector has this code


def encode_normals(
    normals: NDArray[np.floating[Any]], out: NDArray[np.uint8] | None = None
) -> NDArray[np.uint8]:
    """Unit vectors [H, W, 3] -> RGB, grey where they are NaN or 0; into `out` where it is given."""
    if out is None:
        out = np.empty(normals.shape, np.uint8)
    cv2.convertScaleAbs(normals, dst=out, alpha=127.5, beta=127.5)  # 0 becomes 128 as it is
    if np.isnan(normals.min()):  # the minimum of anything with a NaN is NaN
        out[np.isnan(normals)] = GREY
    return out


def decode_normals(
    rgb: NDArray[np.uint8], to_optical: NDArray[np.floating[Any]] | None = None
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """RGB [H, W, 3] -> unit vectors, 0 where there is none, and where there is one [H, W].

    to_optical: 3x3 matrix from the stored frame to the one that is wanted, None for the same.
    """
    # Channel by channel: a reduction over an axis of three is ten times slower.
    valid = ~np.logical_and.reduce([rgb[..., channel] == GREY for channel in range(3)])
    normals = rgb / np.float32(127.5) - 1
    if to_optical is not None:
        normals = normals @ to_optical.T.astype(np.float32)
    normals /= np.sqrt(np.einsum("hwc,hwc->hw", normals, normals))[..., None]
    normals[~valid] = 0
    return normals, valid
