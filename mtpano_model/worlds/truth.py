"""A view's ground-truth files: depth, normals, classes, and why a pixel has no depth.

NAME_depth.png   uint16, millimetres along the pixel's ray, 0 without depth or beyond 65.534 m
NAME_far.png     only where needed: uint16, millimetres beyond 65.535 m (to 131 m), 0 elsewhere
NAME_normal.png  RGB = round((n + 1) x 127.5) in the optical frame, facing the camera; grey without
NAME_semantic.png  NYU40 ids, 0 unlabelled
NAME_mask.png    0 measured, 1 open (sky, or outside through an open window), 2 the robot itself
                 or a cap over a pole, 3 a hole in the picture
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtpano_model.geometry.sphere import rays
from mtpano_model.pictures.normals import GREY, encode_normals
from mtpano_model.pictures.truth_files import BODY, HOLE, MEASURED, OPEN, split_depth
from mtpano_model.worlds import labels

_BEYOND = 131.0  # metres; Blender gives 1e10 where a ray meets nothing
_LEAST_FACING = 0.02  # shading normals of smooth meshes may turn away at their rims


@dataclass
class Truth:
    """One view's ground truth, [H, W]: millimetres (uint32, 0 none), encoded normals, ids, mask."""

    millimetres: NDArray[np.uint32]
    normals: NDArray[np.uint8]
    semantic: NDArray[np.uint8]
    mask: NDArray[np.uint8]

    @property
    def valid(self) -> NDArray[np.bool_]:
        return self.millimetres > 0

    def cover(self, pixels: NDArray[np.bool_], why: int) -> None:
        """Remove the truth of pixels, bool [H, W], whose picture shows something else."""
        self.millimetres[pixels] = 0
        self.normals[pixels] = GREY
        self.semantic[pixels] = 0
        self.mask[pixels] = why

    def files(self) -> dict[str, NDArray[Any]]:
        """Suffix -> picture to be stored."""
        depth, far = split_depth(self.millimetres)
        stored: dict[str, NDArray[Any]] = {
            "_depth": depth,
            "_normal": self.normals,
            "_semantic": self.semantic,
            "_mask": self.mask,
        }
        if far is not None:
            stored["_far"] = far
        return stored


def encode_truth(
    depth: NDArray[np.floating],
    normal: NDArray[np.floating],
    label: NDArray[np.uint8],
    world_from_camera: NDArray[np.float64],
    outdoors: bool,
) -> Truth:
    """Ground truth of one view from what the renderer measured.

    depth: [H, W] metres along the ray; normal: [H, W, 3] in world axes; label: [H, W] NYU40 ids.
    """
    height, width = depth.shape
    depth = depth.astype(np.float64)
    is_open = ~np.isfinite(depth) | (depth <= 0) | (depth > _BEYOND)
    n = normal.astype(np.float64) @ world_from_camera
    length = np.linalg.norm(n, axis=-1)
    n /= np.maximum(length, 1e-6)[..., None]
    ray = rays(height, width).astype(np.float64)
    facing = -(n * ray).sum(-1)
    # Faces are seen from both sides; shading normals of a rim are turned back to the camera.
    n = np.where((facing < -0.5 * _LEAST_FACING)[..., None], -n, n)
    facing = np.abs(facing)
    n = n - np.where(facing < _LEAST_FACING, _LEAST_FACING - facing, 0.0)[..., None] * ray
    n /= np.maximum(np.linalg.norm(n, axis=-1), 1e-6)[..., None]
    truth = Truth(
        np.where(is_open, 0, np.rint(np.where(is_open, 0, depth) * 1000)).astype(np.uint32),
        encode_normals(n),
        label.copy(),
        np.zeros(depth.shape, np.uint8),
    )
    truth.cover(is_open, OPEN)
    truth.semantic[is_open] = 0 if outdoors else labels.WINDOW
    truth.cover((label == labels.OWN_BODY) & ~is_open, BODY)
    truth.cover((truth.mask == MEASURED) & (length < 0.5), HOLE)
    return truth
