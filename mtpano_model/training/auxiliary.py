"""Auxiliary targets, made on the fly: image gradient, edge distance field, point map.

They need no labels, and teach the streams edges and metric layout (arXiv 2602.05330).
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtpano_model.geometry.sphere_rays import rays_like

_EDGE_THRESHOLD = 0.5
_POLE_ROWS = 8  # rows at either pole in which stretched texture would count as edges


def image_gradient(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Sobel (Gx, Gy) of the grey image in [0, 1]; uint8 [H, W, 3] RGB -> float32 [2, H, W].

    Unnormalised kernels, right and down positive, circular in width; the first and last rows are 0.
    """
    grey = (image.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)) / 255
    wrapped = cv2.copyMakeBorder(grey, 0, 0, 1, 1, cv2.BORDER_WRAP)
    gradient = np.stack(
        [
            cv2.Sobel(wrapped, cv2.CV_32F, dx, 1 - dx, borderType=cv2.BORDER_REPLICATE)[:, 1:-1]
            for dx in (1, 0)
        ],
        dtype=np.float32,
    )
    gradient[:, [0, -1]] = 0
    return gradient


def edges(gradient: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Where the magnitude of a gradient [2, H, W] is above 0.5; nowhere in eight rows at a pole."""
    edge = np.hypot(gradient[0], gradient[1]) > _EDGE_THRESHOLD
    edge[:_POLE_ROWS] = edge[-_POLE_ROWS:] = False
    return edge


def edge_distance_field(gradient: NDArray[np.float32]) -> NDArray[np.float32]:
    """log(1 + Euclidean pixels to the nearest edge), [2, H, W] -> [1, H, W].

    Distances go across the seam and are capped at W / 2, which is also their value where there is
    no edge.
    """
    edge = edges(gradient)
    half = edge.shape[1] // 2
    if not edge.any():
        return np.full((1, *edge.shape), np.log1p(half), np.float32)
    free = cv2.copyMakeBorder((~edge).astype(np.uint8), 0, 0, half, half, cv2.BORDER_WRAP)
    distance = cv2.distanceTransform(free, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    # OpenCV's last bit varies from call to call; squares of pixel distances are whole numbers.
    squared = np.rint(np.square(distance[:, half : half + edge.shape[1]], dtype=np.float64))
    return np.log1p(np.minimum(np.sqrt(squared), half))[None].astype(np.float32)


def image_targets(image: Tensor) -> dict[str, Tensor]:
    """grad [2, H, W] and edf [1, H, W] of one uint8 image [3, H, W] (in the loader's workers)."""
    gradient = image_gradient(image.permute(1, 2, 0).contiguous().numpy())
    field = edge_distance_field(gradient)
    return {"grad": torch.from_numpy(gradient), "edf": torch.from_numpy(field)}


def point_map(depth: Tensor) -> Tensor:
    """Depth [B, 1, H, W] metres along the ray -> points [B, 3, H, W], optical frame."""
    return depth * rays_like(depth, *depth.shape[-2:])
